use std::{borrow::Cow, collections::BTreeMap};

/// Names in lower case, each with what becomes of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<Box<str>, Effect>);

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It leaves no trace.
    Hide,
    /// Nor does it count.
    Ignore,
}

impl Names {
    pub(super) fn put(&mut self, name: &str, effect: Option<Effect>) {
        let name = name.to_ascii_lowercase();
        match effect {
            Some(effect) => self.0.insert(name.into(), effect),
            None => self.0.remove(&*name),
        };
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn effect(&self, name: &str) -> Option<Effect> {
        if self.0.is_empty() {
            return None;
        }
        let upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        self.0.get(&*name).copied()
    }

    pub(super) fn ignores(&self, name: &str) -> bool {
        self.effect(name) == Some(Effect::Ignore)
    }

    /// In the order of bytes.
    pub(super) fn ignored(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, effect)| **effect == Effect::Ignore).map(|(name, _)| &**name)
    }
}
