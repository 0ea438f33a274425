//! What happens in the namespace, heard with `LISTEN` over a connection that does nothing else.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{
    BodyId, Error, ErrorKind, Event, EventSender, EventStream, Events, HEARTBEAT, Namespace, Result,
    TagDigest, event_channel,
};
use sqlx::{
    postgres::{PgListener, PgPoolOptions},
    query,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    PostgresStorage,
    connections::Repeat,
    error::{cannot_connect, error, failed},
    storage::Inner,
};

/// How long after an echo the next one is asked for.
const BEAT: Duration = Duration::from_secs(3);

/// The longest name of a channel, in bytes.
const CHANNEL_MAX: usize = 63;

/// The channel of a namespace of a schema. Neither name has a dot.
pub(crate) fn channel(schema: &str, namespace: &Namespace) -> Arc<str> {
    let name = format!("http-cache:{schema}.{namespace}");
    // Any digest would do.
    if name.len() <= CHANNEL_MAX {
        name.into()
    } else {
        format!("http-cache:{}", TagDigest::of(&name)).into()
    }
}

#[async_trait]
impl Events for PostgresStorage {
    async fn subscribe(&self) -> Result<EventStream> {
        let inner = &self.inner;
        inner.ready().await?;
        // By this the subscription talks to itself.
        let echo = format!("http-cache:echo:{}", BodyId::random()?);
        let listener = inner.listener(&[&inner.sender.channel, &echo]).await?;
        let (sender, stream) = event_channel();
        let mut listening = Listening { inner: Arc::clone(inner), listener, echo, round: 0 };
        listening.echo(Duration::ZERO, &sender).await?;
        tokio::spawn(listening.deliver(sender));
        Ok(stream)
    }
}

/// A subscription.
struct Listening {
    inner: Arc<Inner>,
    listener: PgListener,
    echo: String,
    round: u64,
}

impl Listening {
    /// Works until nobody reads any more, the storage is closed, or the channel is lost.
    async fn deliver(mut self, sender: EventSender) {
        let inner = Arc::clone(&self.inner);
        let cause = tokio::select! {
            () = sender.closed() => return,
            () = inner.connections.closed() => error(ErrorKind::Closed, "events"),
            cause = self.listen(&sender) => cause,
        };
        sender.fail(cause);
    }

    /// Returns why nothing comes any more.
    async fn listen(&mut self, sender: &EventSender) -> Error {
        loop {
            if let Err(cause) = self.echo(BEAT, sender).await {
                return cause;
            }
        }
    }

    /// Passes on what comes, and proves meanwhile that all is well: what is notified over another connection
    /// comes back over this one. Through a pooler that lends connections for a transaction it does not.
    async fn echo(&mut self, pause: Duration, sender: &EventSender) -> Result<()> {
        self.round += 1;
        let word = self.round.to_string();
        let (inner, echo) = (Arc::clone(&self.inner), self.echo.clone());
        let mut asking = pin!(async {
            sleep(pause).await;
            let notify = || query("SELECT pg_notify($1, $2)").bind(&echo).bind(&word);
            inner.connections.run("events", Repeat::Safe, notify).await
        });
        let (mut heard, mut asked) = (false, false);
        let deadline = Instant::now() + HEARTBEAT;
        while !(heard && asked) {
            tokio::select! {
                received = self.listener.try_recv() => match received {
                    Ok(Some(notice)) if notice.channel() == echo => heard |= notice.payload() == word,
                    Ok(Some(notice)) => inner.pass_on(notice.payload(), sender),
                    Ok(None) => return Err(error(ErrorKind::Unavailable, "events").with_message(
                        "the connection that listens was lost: subscribe again")),
                    Err(cause) => return Err(failed("events", cause)),
                },
                done = &mut asking, if !asked => {
                    done?;
                    asked = true;
                }
                () = sleep_until(deadline) => return Err(error(ErrorKind::Timeout, "events").with_message(
                    "what is notified does not arrive: LISTEN needs a session of its own, which a pooler in \
                     transaction mode does not give")),
            }
        }
        sender.send(Event::Heartbeat);
        Ok(())
    }
}

impl Inner {
    /// A connection that listens to these channels.
    async fn listener(&self, channels: &[&str]) -> Result<PgListener> {
        let (options, wait) = self.connections.options();
        let place = self.connections.place();
        // It holds one connection, which is not replaced: what was missed meanwhile would not show.
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(wait).max_lifetime(None);
        let pool = pool.idle_timeout(None).test_before_acquire(false).connect_lazy_with(options);
        let listener = PgListener::connect_with(&pool).await;
        let mut listener = listener.map_err(|cause| cannot_connect(&place, cause))?;
        listener.eager_reconnect(false);
        let listening = listener.listen_all(channels.iter().copied()).await;
        listening.map_err(|cause| failed("subscribe", cause))?;
        Ok(listener)
    }

    fn pass_on(&self, payload: &str, sender: &EventSender) {
        match self.sender.origin.read(payload.as_bytes()) {
            Ok(events) => events.into_iter().for_each(|event| sender.send(event)),
            Err(cause) => {
                // It may be a newer release's word of a change.
                let cause: &dyn std::error::Error = &cause;
                tracing::warn!(
                    backend = "postgres", namespace = %self.namespace, error = cause,
                    "an event cannot be read: everything may have changed"
                );
                sender.send(Event::Cleared);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_names_that_fit() {
        let long = "n".repeat(48);
        let namespace = |name| Namespace::new(name).unwrap();
        assert_eq!(&*channel("http_cache", &namespace("search")), "http-cache:http_cache.search");
        let mut seen = std::collections::HashSet::new();
        for schema in ["a", "ab", &"s".repeat(63), &"t".repeat(63)] {
            for name in ["a", "b", &long] {
                let channel = channel(schema, &namespace(name));
                assert!(channel.len() <= CHANNEL_MAX && seen.insert(channel));
            }
        }
    }
}
