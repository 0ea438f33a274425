//! Events as text: a version, the origin, and a word for each event.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{CacheKey, Error, ErrorKind, Event, Result, TagDigest};

/// What every message begins with; another release's begins otherwise.
const VERSION: &str = "1";

/// The version, the origin, and the spaces.
const HEADER: usize = 1 + 1 + 16;

/// Whose an event is, for stores that carry events as text: each storage has one, and its clones share it.
///
/// ```
/// use cache_api::{CacheKey, Event, EventOrigin};
///
/// let (here, there) = (EventOrigin::random()?, EventOrigin::random()?);
/// let event = Event::Changed(CacheKey::from_bytes([7; 32]));
/// let messages = here.messages(&[event.clone()], 8000);
/// assert_eq!(there.read(messages[0].as_bytes())?, [event]);
/// assert_eq!(here.read(messages[0].as_bytes())?, []);
/// # Ok::<(), cache_api::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventOrigin([u8; 8]);

impl EventOrigin {
    /// A new one.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|e| Error::new(ErrorKind::Other, "random").with_source(e))?;
        Ok(Self(bytes))
    }

    /// Yet another one, as for another storage over the same connections.
    #[must_use]
    pub fn another(&self) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Self(u64::from_be_bytes(self.0).wrapping_add(count).to_be_bytes())
    }

    /// The events as messages of ASCII text, each of at most `max` bytes (128 at least). Heartbeats are left
    /// out: they prove something only where they are sent.
    #[must_use]
    pub fn messages(&self, events: &[Event], max: usize) -> Vec<String> {
        let room = max.max(128).saturating_sub(HEADER);
        let mut messages: Vec<String> = Vec::new();
        for word in events.iter().flat_map(|event| words(event, room)) {
            match messages.last_mut() {
                Some(last) if last.len().saturating_add(1 + word.len()) <= HEADER + room => {
                    last.push(' ');
                    last.push_str(&word);
                }
                _ => messages.push(format!("{VERSION} {:016x} {word}", u64::from_be_bytes(self.0))),
            }
        }
        messages
    }

    /// The events of a message; none of one's own.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when it is none of this release's. It may be another's that tells of a change: what
    /// cannot be read is to be passed on as [`Event::Cleared`].
    pub fn read(&self, message: &[u8]) -> Result<Vec<Event>> {
        let unreadable = || {
            Error::new(ErrorKind::Corrupt, "events")
                .with_message("a message that no storage of this release sent")
        };
        let mut words = std::str::from_utf8(message).map_err(|_| unreadable())?.split(' ');
        if words.next() != Some(VERSION) {
            return Err(unreadable());
        }
        let origin = words.next().and_then(unhex::<8>).ok_or_else(unreadable)?;
        if origin == self.0 {
            return Ok(Vec::new());
        }
        let events: Option<Vec<Event>> = words.map(event).collect();
        events.filter(|events| !events.is_empty()).ok_or_else(unreadable)
    }
}

/// An event as words of at most `room - 1` bytes.
fn words(event: &Event, room: usize) -> Vec<String> {
    match event {
        Event::Changed(key) => vec![format!("c{key}")],
        Event::Purged(tags) => {
            let word = |tags: &[TagDigest]| {
                let start = String::with_capacity(1 + 32 * tags.len()) + "p";
                tags.iter().fold(start, |mut word, tag| {
                    let _ = write!(word, "{tag}");
                    word
                })
            };
            tags.chunks((room.saturating_sub(2) / 32).max(1)).map(word).collect()
        }
        Event::Cleared => vec!["x".to_owned()],
        Event::Heartbeat => Vec::new(),
    }
}

fn event(word: &str) -> Option<Event> {
    if word == "x" {
        return Some(Event::Cleared);
    }
    if let Some(key) = word.strip_prefix('c') {
        return Some(Event::Changed(CacheKey::from_bytes(unhex(key)?)));
    }
    let tags = word.strip_prefix('p').filter(|tags| !tags.is_empty())?;
    let (tags, rest) = tags.as_bytes().as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    let tag = |hex: &[u8; 32]| Some(TagDigest::from_bytes(unhex(std::str::from_utf8(hex).ok()?)?));
    Some(Event::Purged(tags.iter().map(tag).collect::<Option<Arc<[_]>>>()?))
}

/// The bytes of some lower-case hex; `None` for anything else.
fn unhex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: EventOrigin = EventOrigin([1; 8]);
    const THERE: EventOrigin = EventOrigin([2; 8]);

    fn key(number: u8) -> CacheKey {
        CacheKey::from_bytes([number; 32])
    }

    fn tags(count: u8) -> Event {
        Event::Purged((0..count).map(|number| TagDigest::from_bytes([number; 16])).collect())
    }

    #[test]
    fn events_come_back_in_messages_of_bounded_length() {
        let mut events: Vec<_> = (0..=255).map(|number| Event::Changed(key(number))).collect();
        events.extend([Event::Cleared, Event::Heartbeat, tags(3)]);
        for max in [1, 128, 129, 200, 7999, 100_000] {
            let messages = HERE.messages(&events, max);
            assert!(messages.iter().all(|message| message.len() <= max.max(128)), "{max}");
            let mut read = Vec::new();
            for message in &messages {
                read.extend(THERE.read(message.as_bytes()).unwrap());
                assert_eq!(HERE.read(message.as_bytes()).unwrap(), []);
            }
            assert_eq!(read.iter().filter(|event| matches!(event, Event::Changed(_))).count(), 256);
            let purged: usize =
                read.iter().map(|event| if let Event::Purged(tags) = event { tags.len() } else { 0 }).sum();
            assert_eq!((purged, read.contains(&Event::Cleared)), (3, true));
        }
        assert!(HERE.messages(&[Event::Heartbeat], 128).is_empty());
        let many: usize = HERE.messages(&[tags(200)], 7999).iter().map(String::len).sum();
        assert!(many > 200 * 32, "{many}");
    }

    #[test]
    fn no_two_are_the_same() {
        let mut seen = std::collections::HashSet::from([HERE.0]);
        for _ in 0..100 {
            assert!(seen.insert(HERE.another().0));
        }
    }

    #[test]
    fn what_no_storage_sent_is_an_error() {
        let good = HERE.messages(&[Event::Changed(key(1)), tags(1)], 200).concat();
        assert_eq!(THERE.read(good.as_bytes()).unwrap().len(), 2);
        for (bad, why) in [
            (String::new(), "empty"),
            ("hello".to_owned(), "another program's"),
            (good.replacen('1', "2", 1), "another version"),
            ("1 0101010101010101".to_owned(), "no event"),
            ("1 0101010101010101 ".to_owned(), "an empty word"),
            ("1 01 x".to_owned(), "a short origin"),
            ("1 0101010101010101 y".to_owned(), "an unknown event"),
            ("1 0101010101010101 p".to_owned(), "no tags"),
            (good[..good.len() - 1].to_owned(), "cut"),
            (good.replace('c', "C"), "no hex"),
            (format!("{good}é"), "no ASCII"),
        ] {
            assert!(THERE.read(bad.as_bytes()).unwrap_err().is_corrupt(), "{why}: {bad}");
        }
        assert!(THERE.read(&[0xff, 0xfe]).unwrap_err().is_corrupt());
    }
}
