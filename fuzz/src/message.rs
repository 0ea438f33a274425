//! Messages as the text that seeds are written in: a line to begin with, a line a field, an empty line between two.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The instant at which everything stored arrived.
pub(crate) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

pub(crate) struct Message<'a> {
    pub(crate) first: &'a [u8],
    pub(crate) fields: HeaderMap,
}

/// The messages in a text.
pub(crate) fn messages(text: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut lines = text.split(|&byte| byte == b'\n').peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let first = lines.next()?;
        let mut fields = HeaderMap::new();
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            let at = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(at);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                fields.append(name, value);
            }
        }
        Some(Message { first, fields })
    })
}
