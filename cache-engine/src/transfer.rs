//! A body on its way from the origin to the caller and to the storage at once.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use bytes::Bytes;
use cache_api::Scan;
use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::{
    error::BodyError,
    flight::{Landing, Pilot},
    network::WireBody,
    observer::Observer,
    pipe::Pipe,
    sink::Sink,
    stats::{Flow, NotStored},
};

/// The transfer of one body.
///
/// It goes at the pace of the slower of caller and store. With others waiting for the flight it goes at the
/// store's: the caller then reads back what it was too slow for.
pub(crate) struct Transfer<E> {
    pub(crate) wire: WireBody<E>,
    /// The length that the origin announced.
    pub(crate) expected: Option<u64>,
    /// To the caller; none for a refresh in the background.
    pub(crate) pipe: Option<Arc<Pipe>>,
    /// To the storage, as long as that works.
    pub(crate) sink: Option<Sink>,
    /// Looks for what must not be stored. Until the end nobody reads back from the store what may have to go.
    pub(crate) scan: Option<Scan>,
    pub(crate) pilot: Option<Pilot<E>>,
    /// How much may be outstanding for a transfer to go on that nobody waits for.
    pub(crate) finish_dropped: u64,
    /// How long other processes wait for a caller that does not read.
    pub(crate) patience: Duration,
    /// Asks for an end of what nobody waits for.
    pub(crate) closing: CancellationToken,
    pub(crate) observer: Arc<Observer>,
}

/// Tells the caller that a transfer ended, however it did.
struct EndOf(Option<Arc<Pipe>>);

impl<E: StdError + Send + Sync + 'static> Transfer<E> {
    pub(crate) async fn run(mut self) {
        let end = EndOf(self.pipe.clone());
        let mut received: u64 = 0;
        loop {
            if !self.may_go_on(received).await {
                self.let_go(Landing::Lost, NotStored::Abandoned, "nobody waits for the body");
                return;
            }
            let Some(next) = self.next().await else { continue };
            match next {
                Some(Ok(mut bytes)) => {
                    received = received.saturating_add(bytes.len() as u64);
                    self.observer.body_bytes.add(Flow::Origin, bytes.len() as u64);
                    if self.expected.is_some_and(|expected| received > expected) {
                        return self.broken(end, received);
                    }
                    if self.expected == Some(received) {
                        // The last byte waits for the commit: who has read all finds it stored.
                        let whole = bytes.clone();
                        let last = bytes.split_off(bytes.len().saturating_sub(1));
                        end.push(bytes);
                        self.take_in(whole).await;
                        self.commit().await;
                        end.push(last);
                        let _ = self.wire.next().now_or_never();
                        return end.with(Ok(()));
                    }
                    end.push(bytes.clone());
                    self.take_in(bytes).await;
                }
                Some(Err(error)) => {
                    let error = Arc::new(error);
                    let landing = Landing::Failed(Some(Arc::clone(&error)));
                    self.let_go(landing, NotStored::Broken, "the origin's body broke off");
                    return end.with(Err(BodyError::Network(error)));
                }
                None if self.expected.is_some_and(|expected| received != expected) => {
                    return self.broken(end, received);
                }
                None => {
                    self.commit().await;
                    return end.with(Ok(()));
                }
            }
        }
    }

    /// Waits until there is room for more; `false` when there is no reason to go on.
    async fn may_go_on(&mut self, received: u64) -> bool {
        let Some(pipe) = &self.pipe else {
            return self.sink.is_some();
        };
        loop {
            if pipe.is_closed() {
                let rest = self.expected.map(|expected| expected.saturating_sub(received));
                let is_small = rest.is_some_and(|rest| rest <= self.finish_dropped);
                let is_wanted = self.pilot.as_ref().is_some_and(Pilot::has_passengers);
                return self.sink.is_some() && (is_wanted || is_small && !self.closing.is_cancelled());
            }
            if !pipe.is_full() {
                return true;
            }
            match (&mut self.pilot, &self.sink) {
                (Some(pilot), Some(_)) if pilot.has_passengers() && self.scan.is_none() => {
                    pipe.shed();
                    return true;
                }
                (Some(pilot), Some(_)) => tokio::select! {
                    () = pipe.drained() => {}
                    () = pilot.boarded(), if self.scan.is_none() => {}
                    () = tokio::time::sleep(self.patience), if pilot.has_lease() => pilot.yield_lease(),
                    () = self.closing.cancelled() => self.sink = None,
                },
                (None, Some(_)) => tokio::select! {
                    () = pipe.drained() => {}
                    () = self.closing.cancelled() => self.sink = None,
                },
                _ => pipe.drained().await,
            }
        }
    }

    /// The origin's next bytes; `None` when who waited for them went away meanwhile.
    async fn next(&mut self) -> Option<Option<Result<Bytes, E>>> {
        match &self.pipe {
            Some(pipe) if !pipe.is_closed() => tokio::select! {
                biased;
                next = self.wire.next() => Some(next),
                () = pipe.deserted() => None,
            },
            _ => match &self.pilot {
                Some(pilot) if pilot.has_passengers() => tokio::select! {
                    biased;
                    next = self.wire.next() => Some(next),
                    () = pilot.alone() => None,
                },
                _ => tokio::select! {
                    biased;
                    next = self.wire.next() => Some(next),
                    () = self.closing.cancelled() => None,
                },
            },
        }
    }

    async fn take_in(&mut self, bytes: Bytes) {
        if self.scan.as_mut().is_some_and(|scan| scan.finds(&bytes)) {
            self.scan = None;
            self.let_go(Landing::Uncacheable, NotStored::Secret, "the body repeats what is redacted");
        }
        let Some(sink) = &mut self.sink else { return };
        match sink.write(bytes).await {
            Ok(stored) => {
                if let Some(pipe) = &self.pipe {
                    pipe.stored(stored);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the response is not stored");
                let why = if sink.is_too_large() { NotStored::Size } else { NotStored::Storage };
                self.let_go(Landing::Private, why, "the storage did not take it");
            }
        }
    }

    async fn commit(&mut self) {
        let Some(sink) = self.sink.take() else { return };
        let is_cut_short = sink.is_cut_short();
        let landing = match sink.commit().await {
            Ok(_) => Landing::Stored,
            Err(_) => {
                let why = if is_cut_short { NotStored::Broken } else { NotStored::Storage };
                self.observer.not_stored.add(why, 1);
                Landing::Private
            }
        };
        if let Some(pilot) = self.pilot.take() {
            pilot.land(landing);
        }
    }

    /// Gives up storing; who waits for the flight is told how it ended.
    fn let_go(&mut self, landing: Landing<E>, reason: NotStored, why: &'static str) {
        if self.sink.take().is_some() {
            self.observer.not_stored.add(reason, 1);
            tracing::debug!(why, "the response is not stored");
        }
        if let Some(pilot) = self.pilot.take() {
            pilot.land(landing);
        }
    }

    fn broken(mut self, end: EndOf, received: u64) {
        self.let_go(Landing::Lost, NotStored::Broken, "the body is not as long as Content-Length says");
        end.with(Err(BodyError::Length { expected: self.expected.unwrap_or(0), received }));
    }
}

impl EndOf {
    fn push(&self, bytes: Bytes) {
        if let Some(pipe) = &self.0 {
            pipe.push(bytes);
        }
    }

    fn with(mut self, result: Result<(), BodyError>) {
        if let Some(pipe) = self.0.take() {
            pipe.end(result);
        }
    }
}

impl Drop for EndOf {
    fn drop(&mut self) {
        if let Some(pipe) = self.0.take() {
            pipe.end(Err(BodyError::Interrupted));
        }
    }
}
