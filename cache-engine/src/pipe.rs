//! What has arrived of a body and its caller has not taken yet.
//!
//! The side that fills it is the transfer; the side that empties it is the caller's body. What is already in the
//! store may be dropped here: a caller that fell behind reads it back from there.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use tokio::sync::Notify;

use crate::error::BodyError;

/// The most that waits here for a caller, in bytes, before the transfer waits too or lets go what is stored.
pub(crate) const WINDOW: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    room: Notify,
    gone: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes of the body from `start` on, up to the newest.
    queue: VecDeque<Bytes>,
    queued: usize,
    start: u64,
    /// How far the caller has come.
    taken: u64,
    /// Up to where the store has acknowledged.
    stored: u64,
    end: Option<Result<(), BodyError>>,
    /// Nobody reads any more.
    closed: bool,
    waker: Option<Waker>,
}

/// What the caller's body gets next.
pub(crate) enum Next {
    /// These bytes.
    Bytes(Bytes),
    /// Bytes that only the store has: the body from this offset on, in frames that are not the last.
    Stored(u64),
    /// The end.
    End,
    /// The body broke off.
    Failed(BodyError),
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what arrived.
    pub(crate) fn push(&self, bytes: Bytes) {
        let mut state = self.state();
        if !state.closed && !bytes.is_empty() {
            state.queued += bytes.len();
            state.queue.push_back(bytes);
            state.wake();
        }
    }

    /// Says up to where the store has whole frames of the body.
    pub(crate) fn stored(&self, offset: u64) {
        self.state().stored = offset;
    }

    /// Ends the body.
    pub(crate) fn end(&self, result: Result<(), BodyError>) {
        let mut state = self.state();
        if state.end.is_none() {
            state.end = Some(result);
            state.wake();
        }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Whether the caller has all that it is allowed to fall behind.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state();
        !state.closed && state.queued >= WINDOW
    }

    /// Waits until the caller took something, or went away.
    pub(crate) async fn drained(&self) {
        loop {
            let notified = self.room.notified();
            if !self.is_full() {
                return;
            }
            notified.await;
        }
    }

    /// Lets go of what the store has, so far as the caller is a window behind.
    pub(crate) fn shed(&self) {
        let state = &mut *self.state();
        while state.queued >= WINDOW {
            let Some(front) = state.queue.front() else { break };
            let end = state.start + front.len() as u64;
            if end > state.stored {
                break;
            }
            state.queued -= front.len();
            state.start = end;
            state.queue.pop_front();
        }
    }

    /// The caller's next bytes.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Next> {
        let state = &mut *self.state();
        if state.taken < state.start {
            return Poll::Ready(Next::Stored(state.taken));
        }
        while let Some(mut bytes) = state.queue.pop_front() {
            state.queued -= bytes.len();
            // What was read back from the store may reach into the queue.
            let seen = usize::try_from(state.taken - state.start).unwrap_or(usize::MAX).min(bytes.len());
            state.start += bytes.len() as u64;
            state.taken = state.taken.max(state.start);
            self.room.notify_one();
            bytes.advance(seen);
            if !bytes.is_empty() {
                return Poll::Ready(Next::Bytes(bytes));
            }
        }
        match state.end.take() {
            Some(Ok(())) => {
                state.end = Some(Ok(()));
                Poll::Ready(Next::End)
            }
            Some(Err(error)) => {
                state.end = Some(Ok(()));
                Poll::Ready(Next::Failed(error))
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Says that the caller read `len` bytes back from the store.
    pub(crate) fn took(&self, len: u64) {
        self.state().taken += len;
    }

    /// Says that nobody reads any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.queue.clear();
        state.queued = 0;
        drop(state);
        self.room.notify_one();
        self.gone.notify_one();
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn deserted(&self) {
        loop {
            let notified = self.gone.notified();
            if self.is_closed() {
                return;
            }
            notified.await;
        }
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn next(pipe: &Pipe) -> Poll<Next> {
        pipe.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn chunk(byte: u8, len: usize) -> Bytes {
        vec![byte; len].into()
    }

    #[test]
    fn a_caller_that_fell_behind_is_sent_to_the_store_and_comes_back() {
        let pipe = Pipe::default();
        for byte in 0..8 {
            pipe.push(chunk(byte, WINDOW / 4));
        }
        pipe.shed();
        assert!(pipe.is_full(), "nothing may go that the store does not have");
        pipe.stored(WINDOW as u64 + 10);
        pipe.shed();
        // The first four quarters went; the fifth is stored in part only.
        assert!(matches!(next(&pipe), Poll::Ready(Next::Stored(0))));
        // What is read back reaches over a whole quarter and into the next.
        pipe.took(WINDOW as u64 * 5 / 4 + 10);
        let Poll::Ready(Next::Bytes(bytes)) = next(&pipe) else { panic!("no bytes") };
        assert_eq!((bytes[0], bytes.len()), (5, WINDOW / 4 - 10));
        for byte in 6..8 {
            assert!(matches!(next(&pipe), Poll::Ready(Next::Bytes(bytes)) if bytes[0] == byte));
        }
        assert!(next(&pipe).is_pending());
        pipe.end(Ok(()));
        assert!(matches!(next(&pipe), Poll::Ready(Next::End)));
    }

    #[test]
    fn what_arrived_before_a_failure_is_still_handed_out() {
        let pipe = Pipe::default();
        pipe.push(chunk(1, 3));
        pipe.end(Err(BodyError::Interrupted));
        assert!(matches!(next(&pipe), Poll::Ready(Next::Bytes(_))));
        assert!(matches!(next(&pipe), Poll::Ready(Next::Failed(BodyError::Interrupted))));
        assert!(matches!(next(&pipe), Poll::Ready(Next::End)));
    }
}
