use std::{sync::Arc, time::Duration};

use cache_api::{Error, ErrorKind, EventStream, HEARTBEAT, Result, Storage};
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep, timeout};

use crate::{error, tier::Tier};

/// A channel that was silent for longer than that is taken for lost.
const SILENCE: Duration = HEARTBEAT.saturating_mul(2);

/// Keeps a subscription to the store's events, and what they tell of out of the tier. Without one the tier is not
/// trusted.
///
/// Ends when the store is closed, or is dropped.
pub(crate) async fn listen(store: Arc<dyn Storage>, tier: Arc<Tier>) {
    let _distrust = Distrust(&tier);
    let mut pause = Pause::default();
    loop {
        let begun = Instant::now();
        let cause = match subscribe(&*store).await {
            Ok(events) => {
                tier.trust();
                tracing::debug!(store = %store, "memory is trusted: the store's events come in");
                let cause = follow(events, &tier).await;
                tier.distrust();
                cause
            }
            Err(cause) => cause,
        };
        if cause.kind() == ErrorKind::Closed {
            return;
        }
        if begun.elapsed() > SILENCE {
            pause = Pause::default();
        }
        let pause = pause.next();
        report(&*store, &cause, pause);
        sleep(pause).await;
    }
}

fn report(store: &dyn Storage, cause: &(dyn std::error::Error + 'static), pause: Duration) {
    tracing::warn!(%store, error = cause, ?pause, "memory is not trusted: the store's events are lost");
}

async fn subscribe(store: &dyn Storage) -> Result<EventStream> {
    let events = store.abilities().events.ok_or_else(|| error(ErrorKind::Closed, "events"))?;
    timeout(SILENCE, events.subscribe()).await.map_err(|_| error(ErrorKind::Timeout, "subscribe"))?
}

/// Returns why nothing comes any more.
async fn follow(mut events: EventStream, tier: &Tier) -> Error {
    loop {
        match timeout(SILENCE, events.next()).await {
            Ok(Some(Ok(event))) => tier.apply(&event),
            Ok(Some(Err(cause))) => return cause,
            Ok(None) => return error(ErrorKind::Unavailable, "events"),
            Err(_) => {
                return error(ErrorKind::Timeout, "events").with_message("no sign of life from the store");
            }
        }
    }
}

/// Nobody listens any more, whatever the reason: a task ends with its runtime, too.
struct Distrust<'a>(&'a Tier);

impl Drop for Distrust<'_> {
    fn drop(&mut self) {
        self.0.distrust();
    }
}

/// How long to wait before another attempt: twice as long each time, up to ten seconds, less up to half of it, so that
/// replicas do not come back all at once.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(100))
    }
}

impl Pause {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = pause.saturating_mul(2).min(HEARTBEAT);
        pause.mul_f64(1.0 - fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut pause = Pause::default();
        let pauses: Vec<_> = std::iter::repeat_with(|| pause.next()).take(12).collect();
        let millis = Duration::from_millis;
        assert!((millis(50)..=millis(100)).contains(&pauses[0]), "{pauses:?}");
        assert!((millis(400)..=millis(800)).contains(&pauses[3]), "{pauses:?}");
        assert!(pauses[8..].iter().all(|pause| (HEARTBEAT / 2..=HEARTBEAT).contains(pause)), "{pauses:?}");
    }
}
