//! JSON text. It is taken apart and put together again as it is written: no number loses digits, no repeated name its
//! first value, so that two bodies which a server may tell apart stay two.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::names::Names;

/// As deep as `serde_json` itself reads.
const MAX_DEPTH: u8 = 128;

/// The members of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

enum Shape<'a> {
    Object(Members<'a>),
    Array(Vec<&'a RawValue>),
    Scalar(&'a str),
}

impl<'a> Shape<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        match text.as_bytes().first()? {
            b'{' => serde_json::from_str(text).ok().map(Self::Object),
            b'[' => serde_json::from_str(text).ok().map(Self::Array),
            _ => serde_json::from_str::<&RawValue>(text).ok().map(|raw| Self::Scalar(raw.get())),
        }
    }
}

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'a> Visitor<'a> for Read {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// Without what is ignored and without white space; `None` for what is no JSON.
pub(super) fn kept(body: &[u8], names: &Names) -> Option<Vec<u8>> {
    let mut out = String::with_capacity(body.len());
    keep(std::str::from_utf8(body).ok()?, names, MAX_DEPTH, &mut out)?;
    Some(out.into_bytes())
}

fn keep(text: &str, names: &Names, depth: u8, out: &mut String) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match Shape::of(text)? {
        Shape::Scalar(text) => out.push_str(text),
        Shape::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                keep(item.get(), names, depth, out)?;
            }
            out.push(']');
        }
        Shape::Object(Members(members)) => {
            out.push('{');
            let kept = members.iter().filter(|(name, _)| !names.ignores(name));
            for (index, (name, value)) in kept.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(name).ok()?);
                out.push(':');
                keep(value.get(), names, depth, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

/// The strings and numbers in what is hidden, decoded.
pub(super) fn values(body: &[u8], names: &Names, found: &mut dyn FnMut(&str)) {
    if let Ok(text) = std::str::from_utf8(body)
        && !names.is_empty()
    {
        walk(text, names, MAX_DEPTH, false, found);
    }
}

fn walk(text: &str, names: &Names, depth: u8, hidden: bool, found: &mut dyn FnMut(&str)) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match Shape::of(text) {
        Some(Shape::Array(items)) => {
            items.iter().for_each(|item| walk(item.get(), names, depth, hidden, found));
        }
        Some(Shape::Object(Members(members))) => {
            for (name, value) in &members {
                walk(value.get(), names, depth, hidden || names.effect(name).is_some(), found);
            }
        }
        Some(Shape::Scalar(text)) if hidden => match serde_json::from_str::<String>(text) {
            Ok(string) => found(&string),
            Err(_) if !matches!(text, "true" | "false" | "null") => found(text),
            Err(_) => {}
        },
        _ => {}
    }
}
