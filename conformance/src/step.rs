//! Stops a future between two polls: what a caller who goes away does to it, and what another can do
//! meanwhile.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use futures_util::future::BoxFuture;

use crate::failure::Outcome;

/// After that many polls a future is driven to its end: no storage needs as many for one operation.
pub(crate) const MAX_POLLS: u32 = 200;

/// Polls `future` until it is ready or was polled `times` times. A poll comes when the future asks for it.
pub(crate) async fn step<T>(future: &mut BoxFuture<'_, T>, times: u32) -> Option<T> {
    let mut polled = 0;
    poll_fn(|context| {
        if polled == times {
            return Poll::Ready(None);
        }
        polled = polled.saturating_add(1);
        match Pin::as_mut(future).poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if polled == times => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Polls `future` so many times and drops it: `None` if it was not ready by then.
pub(crate) async fn cut_off<T>(future: impl Future<Output = T> + Send, times: u32) -> Option<T> {
    let mut future: BoxFuture<'_, T> = Box::pin(future);
    step(&mut future, times).await
}

/// Lets `other` run to its end while `stopped` stands still, and then `stopped`.
///
/// One that stands still may hold what the other waits for, such as a store's only writer: then both go on.
pub(crate) async fn meanwhile<A, B>(
    stopped: BoxFuture<'_, Outcome<A>>,
    other: impl Future<Output = Outcome<B>> + Send,
) -> Outcome<(A, B)> {
    let mut other: BoxFuture<'_, Outcome<B>> = Box::pin(other);
    match tokio::time::timeout(Duration::from_millis(100), &mut other).await {
        Ok(other) => {
            let other = other?;
            Ok((stopped.await?, other))
        }
        Err(_) => {
            let (stopped, other) = tokio::join!(stopped, other);
            Ok((stopped?, other?))
        }
    }
}

/// Gives way a few times, so that tasks interleave differently each time.
pub(crate) async fn jitter(seed: u64) {
    for _ in 0..seed % 7 {
        tokio::task::yield_now().await;
    }
    let mut spin = pin!((seed / 7) % 64);
    while *spin > 0 {
        *spin -= 1;
        std::hint::spin_loop();
    }
}
