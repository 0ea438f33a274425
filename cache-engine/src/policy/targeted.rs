use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::{CacheControl, Options};

/// The directives that govern a response, and whether a targeted field gave them (RFC 9213).
#[derive(Clone, Debug, Default)]
pub(super) struct Control {
    pub(super) directives: CacheControl,
    pub(super) targeted: bool,
}

/// RFC 9213 §2.2: the first targeted field that is present, valid and not empty, else `Cache-Control`.
pub(super) fn control(headers: &HeaderMap, options: &Options) -> Control {
    options
        .targeted
        .iter()
        .find_map(|field| parse(headers, field))
        .map(|directives| Control { directives, targeted: true })
        .unwrap_or_else(|| Control { directives: CacheControl::of(headers), targeted: false })
}

/// Targeted fields are structured: one that is malformed, or has a value of the wrong type, is ignored.
fn parse(headers: &HeaderMap, field: &HeaderName) -> Option<CacheControl> {
    let mut joined = Vec::new();
    for line in headers.get_all(field) {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(line.as_bytes());
    }
    let members: Dictionary = Parser::new(joined.as_slice()).parse().ok()?;
    let mut directives = CacheControl::default();
    let mut any = false;
    for (name, member) in &members {
        let ListEntry::Item(item) = member else { continue };
        let wants_number = matches!(name.as_str(), "max-age" | "s-maxage");
        match &item.bare_item {
            BareItem::Boolean(true) if !wants_number => directives.set(name.as_str().as_bytes(), None),
            BareItem::Integer(number) => {
                directives.set(name.as_str().as_bytes(), Some(i64::from(*number).to_string().as_bytes()));
            }
            BareItem::String(text) if !wants_number => {
                directives.set(name.as_str().as_bytes(), Some(text.as_str().as_bytes()));
            }
            _ => continue,
        }
        any = true;
    }
    any.then_some(directives)
}
