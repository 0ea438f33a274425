//! `application/x-www-form-urlencoded` text: a query, a form. What is kept stays as it is written, byte by byte.

use std::borrow::Cow;

use url::form_urlencoded;

use super::{REDACTED, names::Names};

struct Pair<'a> {
    text: &'a [u8],
    name: Cow<'a, str>,
    raw_name: &'a [u8],
    /// As it is written; `None` without a "=".
    raw_value: Option<&'a [u8]>,
}

fn pairs(text: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    text.split(|&byte| byte == b'&').map(|text| {
        let at = text.iter().position(|&byte| byte == b'=');
        let (raw_name, raw_value) = match at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))) {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let name = form_urlencoded::parse(raw_name).next().map(|(name, _)| name).unwrap_or_default();
        Pair { text, name, raw_name, raw_value }
    })
}

/// Without what is ignored; `None` where nothing is.
pub(super) fn kept(text: &[u8], names: &Names) -> Option<Vec<u8>> {
    if !pairs(text).any(|pair| names.ignores(&pair.name)) {
        return None;
    }
    let kept = pairs(text).filter(|pair| !names.ignores(&pair.name)).map(|pair| pair.text);
    Some(kept.collect::<Vec<_>>().join(&b'&'))
}

/// With a word in place of what is hidden.
pub(super) fn redacted(text: &str, names: &Names, out: &mut String) {
    for (index, pair) in pairs(text.as_bytes()).enumerate() {
        if index > 0 {
            out.push('&');
        }
        let hidden = pair.raw_value.is_some() && names.effect(&pair.name).is_some();
        let shown = if hidden { pair.raw_name } else { pair.text };
        out.push_str(&String::from_utf8_lossy(shown));
        if hidden {
            out.push('=');
            out.push_str(REDACTED);
        }
    }
}

/// Whether something hidden has a value, other than the word that stands for one.
pub(super) fn has(text: &[u8], names: &Names) -> bool {
    let has_value = |pair: &Pair<'_>| {
        pair.raw_value.is_some_and(|value| !value.is_empty() && value != REDACTED.as_bytes())
    };
    pairs(text).any(|pair| has_value(&pair) && names.effect(&pair.name).is_some())
}

/// The values of what is hidden, as they are written.
pub(super) fn values(text: &[u8], names: &Names, mut found: impl FnMut(&[u8])) {
    if names.is_empty() {
        return;
    }
    for pair in pairs(text) {
        if let Some(value) = pair.raw_value.filter(|_| names.effect(&pair.name).is_some()) {
            found(value);
        }
    }
}
