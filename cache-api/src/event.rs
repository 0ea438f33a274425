use std::{pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_core::Stream;

use crate::{CacheKey, Result, TagDigest};

/// How long an [`EventStream`] that stands is silent at most.
///
/// A storage fails a stream on which it can prove no life for that long. A consumer that was told nothing for
/// twice as long, not even a [`Event::Heartbeat`], had better take it for lost, too.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// What others change in the namespace: for whoever keeps a copy of entries in front of a shared store.
///
/// # What holds
///
/// - What others are acknowledged after [`subscribe`](Events::subscribe) returned is delivered, within some
///   milliseconds (a storage may gather events for up to 10), or the stream ends with an `Err`. The event comes
///   after the change: a lookup from then on sees it.
/// - An `Err` is the last item. Between it and the next `subscribe` that returned, events were missed: whatever was
///   trusted before is not to be trusted. The stream also ends so when the storage is closed.
/// - Own changes are not delivered. A storage's clones are one with it; another storage opened on the namespace,
///   in the same process too, is another.
/// - An event may come twice, or be wider than what happened ([`Event::Cleared`]), never narrower. Those of
///   different resources come in any order.
/// - A slow reader holds up nobody, and costs bounded memory: it finds an [`Event::Cleared`] in place of what it did
///   not fetch in time.
/// - Dropping the stream ends the subscription.
///
/// What dies at its `dead_at` is no event, nor is what a store evicts for room: copies of it are still what was
/// stored. A write that was cut off (its future dropped, its answer lost) may be told before it happens: where
/// that matters, as with a process that dies between a change and its telling, a copy needs a bound of its own.
#[async_trait]
pub trait Events: Send + Sync + std::fmt::Debug {
    /// Listens from now on, over a connection of its own where the store has connections. An
    /// [`Event::Heartbeat`] comes at once.
    ///
    /// # Errors
    /// When the channel cannot be opened; nothing is delivered then.
    async fn subscribe(&self) -> Result<EventStream>;
}

/// The stream that [`Events::subscribe`] returns. After an `Err` it is at its end.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Event>> + Send>>;

/// What happened in the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The resource is not what it was: something was stored, a head was replaced, or it (or one version of it)
    /// was removed, be it that nothing was there.
    Changed(CacheKey),
    /// What has any of these tags was removed.
    Purged(Arc<[TagDigest]>),
    /// Everything may have changed: the namespace was cleared, or what happened cannot be told one by one.
    Cleared,
    /// Nothing happened, and the channel works: at the beginning, and then at least every [`HEARTBEAT`].
    Heartbeat,
}
