//! What happens in the namespace, told over one channel of the server. Commits and removals publish in their
//! script; a purge and a clear when they are through, since until then a lookup still finds what is to go.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{
    Epoch, Error, ErrorKind, Event, EventSender, EventStream, Events, HEARTBEAT, Result, event_channel,
};
use futures_util::StreamExt as _;
use redis::RedisError;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    RedisStorage,
    channel::Messages,
    error::{error, failed},
    link::publish,
    schema::hex,
    storage::Inner,
};

/// How long after an echo the next one is asked for.
const BEAT: Duration = Duration::from_secs(3);

#[async_trait]
impl Events for RedisStorage {
    async fn subscribe(&self) -> Result<EventStream> {
        let inner = &self.inner;
        inner.open_for("subscribe")?;
        let channel = inner.channel.as_ref().ok_or_else(|| {
            error(ErrorKind::Config, "subscribe")
                .with_message("a connection of your own cannot listen: give the builder a URL or a client")
        })?;
        let echo = inner.keys.echo(&hex(Epoch::random()?.as_bytes()));
        let channels = [inner.keys.events(), echo.clone()];
        let messages = timeout(inner.connect_timeout, channel.listen(&channels)).await;
        let messages = messages.map_err(|_| error(ErrorKind::Timeout, "subscribe"))?;
        let messages = messages.map_err(cannot_listen)?;
        let (sender, stream) = event_channel();
        sender.send(Event::Heartbeat);
        tokio::spawn(deliver(Arc::clone(inner), messages, echo, sender));
        Ok(stream)
    }
}

/// Works until nobody reads any more, the storage is closed, or the channel is lost.
async fn deliver(inner: Arc<Inner>, mut messages: Messages, echo: String, sender: EventSender) {
    let mut closed = inner.closed.subscribe();
    let cause = tokio::select! {
        () = sender.closed() => return,
        _ = closed.wait_for(|closed| *closed) => error(ErrorKind::Closed, "events"),
        cause = listen(&inner, &mut messages, &echo, &sender) => cause,
    };
    sender.fail(cause);
}

/// Passes on what comes, and returns why nothing more does.
///
/// That all is well is proved by an echo: a message that every primary publishes comes back over the connection
/// on which others' would.
async fn listen(inner: &Inner, messages: &mut Messages, echo: &str, sender: &EventSender) -> Error {
    let (mut round, mut heard, mut wanted) = (0, 0, None);
    let mut deadline = Instant::now() + HEARTBEAT;
    let mut asking = Box::pin(inner.ask_for_echo(echo, round));
    loop {
        tokio::select! {
            message = messages.next() => match message {
                None => return lost(ErrorKind::Unavailable, "the connection to the channel was lost"),
                Some(message) if message.channel == echo.as_bytes() => {
                    heard += usize::from(message.payload == round.to_string().as_bytes());
                }
                Some(message) => inner.pass_on(&message.payload, sender),
            },
            asked = &mut asking, if wanted.is_none() => match asked {
                Ok(primaries) => wanted = Some(primaries),
                Err(cause) => return cause,
            },
            () = sleep_until(deadline) => {
                return lost(ErrorKind::Timeout, "what is published does not come over the channel any more");
            }
        }
        if wanted.is_some_and(|wanted| heard >= wanted) {
            sender.send(Event::Heartbeat);
            (round, heard, wanted) = (round + 1, 0, None);
            deadline = Instant::now() + HEARTBEAT;
            asking.set(inner.ask_for_echo(echo, round));
        }
    }
}

fn cannot_listen(cause: RedisError) -> Error {
    let failure = failed("subscribe", cause);
    if failure.kind() != ErrorKind::Config {
        return failure;
    }
    failure
        .with_message("the cluster client cannot listen: build it with use_protocol(ProtocolVersion::RESP3)")
}

fn lost(kind: ErrorKind, message: &'static str) -> Error {
    error(kind, "events").with_message(message)
}

impl Inner {
    /// What tells others of one event.
    pub(crate) fn message(&self, event: &Event) -> String {
        self.origin.messages(std::slice::from_ref(event), usize::MAX).concat()
    }

    pub(crate) async fn publish(&self, operation: &'static str, event: &Event) -> Result<()> {
        self.open_for(operation)?;
        let published = self.link.call(&publish(&self.keys.events(), &self.message(event))).await;
        published.map(drop).map_err(|cause| failed(operation, cause))
    }

    async fn ask_for_echo(&self, echo: &str, round: u64) -> Result<usize> {
        sleep(BEAT).await;
        let asked = self.link.publish_everywhere(echo, &round.to_string()).await;
        asked.map_err(|cause| failed("events", cause))
    }

    fn pass_on(&self, message: &[u8], sender: &EventSender) {
        match self.origin.read(message) {
            Ok(events) => events.into_iter().for_each(|event| sender.send(event)),
            Err(cause) => {
                // It may be a newer release's word of a change.
                let cause: &dyn std::error::Error = &cause;
                tracing::warn!(
                    backend = "redis", namespace = %self.namespace, error = cause,
                    "an event cannot be read: everything may have changed"
                );
                sender.send(Event::Cleared);
            }
        }
    }
}
