//! [`EventOrigin`]: what is read of a message is written and read again alike.

use std::sync::LazyLock;

use cache_api::{CacheKey, Event, EventOrigin, TagDigest};

static HERE: LazyLock<EventOrigin> = LazyLock::new(|| EventOrigin::random().expect("random bytes"));
static THERE: LazyLock<EventOrigin> = LazyLock::new(|| HERE.another());

/// Reads a message.
pub fn run(data: &[u8]) {
    let Ok(events) = HERE.read(data) else { return };
    for max in [0, 200, 7999] {
        let messages = THERE.messages(&events, max);
        assert!(messages.iter().all(|message| message.len() <= max.max(128)));
        let read: Vec<Event> =
            messages.iter().flat_map(|message| HERE.read(message.as_bytes()).unwrap()).collect();
        assert_eq!(flat(&read), flat(&events));
    }
}

/// Events without regard to how the tags of a purge are spread over them.
fn flat(events: &[Event]) -> Vec<(Option<CacheKey>, Option<TagDigest>)> {
    let one = |event: &Event| match event {
        Event::Changed(key) => vec![(Some(*key), None)],
        Event::Purged(tags) => tags.iter().map(|tag| (None, Some(*tag))).collect(),
        _ => vec![(None, None)],
    };
    events.iter().flat_map(one).collect()
}
