use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_core::Stream;

use crate::{Error, ErrorKind, Event, EventStream, Result};

/// How many keys and tags a stream holds for its reader.
const CAPACITY: usize = 8192;

/// An [`EventStream`], and the end by which a storage fills it.
///
/// What the reader does not fetch in time becomes one [`Event::Cleared`]: neither end waits for the other, and
/// memory is bounded.
#[must_use]
pub fn event_channel() -> (EventSender, EventStream) {
    let shared = Arc::new(Shared::default());
    let reader = Reader(Arc::clone(&shared));
    (EventSender(shared), Box::pin(reader))
}

/// The end of an [`event_channel`] that a storage fills.
///
/// Dropped, it ends the stream with an `Err`, as does a task that panics.
#[derive(Debug)]
pub struct EventSender(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Event>,
    /// Keys and tags in the queue.
    held: usize,
    /// Why there is nothing more.
    end: Option<Error>,
    writer_gone: bool,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSender {
    /// Passes an event on, if somebody still reads.
    pub fn send(&self, event: Event) {
        let mut state = self.0.lock();
        if state.reader_gone {
            return;
        }
        state.push(event);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether nobody reads any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().reader_gone
    }

    /// Ends the stream: events may have been missed. What the reader did not fetch goes, since this says more.
    pub fn fail(self, cause: Error) {
        self.end(cause);
    }

    /// Returns when nobody reads any more. Only the last call of several at once is woken.
    pub async fn closed(&self) {
        poll_fn(|context| {
            let mut state = self.0.lock();
            if state.reader_gone {
                return Poll::Ready(());
            }
            state.writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn end(&self, cause: Error) {
        let mut state = self.0.lock();
        if state.writer_gone {
            return;
        }
        state.writer_gone = true;
        state.queue.clear();
        state.end = Some(cause);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.end(
            Error::new(ErrorKind::Unavailable, "events")
                .with_message("nobody listens for events any more: subscribe again"),
        );
    }
}

impl State {
    fn push(&mut self, event: Event) {
        if event == Event::Heartbeat && self.queue.back() == Some(&Event::Heartbeat) {
            return;
        }
        self.held = self.held.saturating_add(weight(&event));
        // All that came before is part of it.
        if event == Event::Cleared || self.held > CAPACITY {
            self.queue.clear();
            self.held = 1;
            self.queue.push_back(Event::Cleared);
        } else {
            self.queue.push_back(event);
        }
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::Purged(tags) => tags.len().saturating_add(1),
        _ => 1,
    }
}

struct Reader(Arc<Shared>);

impl Stream for Reader {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock();
        if let Some(event) = state.queue.pop_front() {
            state.held = state.held.saturating_sub(weight(&event));
            return Poll::Ready(Some(Ok(event)));
        }
        if state.writer_gone {
            return Poll::Ready(state.end.take().map(Err));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader_gone = true;
        state.queue.clear();
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;
    use crate::{CacheKey, TagDigest};

    fn next(stream: &mut EventStream) -> Poll<Option<Result<Event>>> {
        stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn changed(number: u8) -> Event {
        Event::Changed(CacheKey::from_bytes([number; 32]))
    }

    #[track_caller]
    fn expect(stream: &mut EventStream, expected: &Event) {
        match next(stream) {
            Poll::Ready(Some(Ok(event))) => assert_eq!(event, *expected),
            other => panic!("{other:?} in place of {expected:?}"),
        }
    }

    #[test]
    fn events_come_in_turn_and_heartbeats_once() {
        let (sender, mut stream) = event_channel();
        assert!(next(&mut stream).is_pending());
        for event in [Event::Heartbeat, Event::Heartbeat, changed(1), Event::Heartbeat] {
            sender.send(event);
        }
        expect(&mut stream, &Event::Heartbeat);
        expect(&mut stream, &changed(1));
        expect(&mut stream, &Event::Heartbeat);
        assert!(next(&mut stream).is_pending());
    }

    #[test]
    fn what_is_not_fetched_becomes_one() {
        let (sender, mut stream) = event_channel();
        for _ in 0..2 * CAPACITY {
            sender.send(changed(1));
        }
        assert!(sender.0.lock().queue.len() <= CAPACITY);
        expect(&mut stream, &Event::Cleared);
        expect(&mut stream, &changed(1));
        let tags: Arc<[TagDigest]> = vec![TagDigest::from_bytes([1; 16]); CAPACITY].into();
        sender.send(Event::Purged(tags));
        expect(&mut stream, &Event::Cleared);
        // A clear says all that was waiting.
        sender.send(changed(1));
        sender.send(Event::Cleared);
        sender.send(changed(2));
        expect(&mut stream, &Event::Cleared);
        expect(&mut stream, &changed(2));
        assert_eq!(sender.0.lock().held, 0);
    }

    #[test]
    fn a_failure_comes_first_and_last() {
        let (sender, mut stream) = event_channel();
        sender.send(changed(1));
        sender.fail(Error::new(ErrorKind::Timeout, "events"));
        let Poll::Ready(Some(Err(error))) = next(&mut stream) else { panic!("no error") };
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(matches!(next(&mut stream), Poll::Ready(None)));
        let (sender, mut stream) = event_channel();
        drop(sender);
        assert!(matches!(next(&mut stream), Poll::Ready(Some(Err(_)))));
        assert!(matches!(next(&mut stream), Poll::Ready(None)));
    }

    #[test]
    fn the_sender_learns_that_nobody_reads() {
        let (sender, stream) = event_channel();
        let mut closed = Box::pin(sender.closed());
        let mut context = Context::from_waker(Waker::noop());
        assert!(closed.as_mut().poll(&mut context).is_pending());
        drop(stream);
        assert!(closed.as_mut().poll(&mut context).is_ready());
        drop(closed);
        sender.send(changed(1));
        assert!(sender.is_closed() && sender.0.lock().queue.is_empty());
    }
}
