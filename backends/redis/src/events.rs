//! What happens in the namespace, told over one channel of the server. Commits and removals publish in their
//! script; a purge and a clear when they are through, since until then a lookup still finds what is to go.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{
    Epoch, Error, ErrorKind, Event, EventSender, EventStream, Events, HEARTBEAT, Result, event_channel,
};
use futures_util::StreamExt as _;
use redis::{RedisError, RedisResult};
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

/// How long the first echo is waited for before it is asked for again: the nodes of a cluster that have just met, or lost
/// each other, pass nothing on until their links stand.
const FIRST: Duration = Duration::from_secs(1);

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
        let mut listening = Listening { inner: Arc::clone(inner), messages, echo, round: 0 };
        listening.first_echo(&sender).await?;
        tokio::spawn(listening.deliver(sender));
        Ok(stream)
    }
}

/// A subscription.
struct Listening {
    inner: Arc<Inner>,
    messages: Messages,
    /// The channel that nobody else listens to.
    echo: String,
    round: u64,
}

impl Listening {
    /// Works until nobody reads any more, the storage is closed, or the channel is lost.
    async fn deliver(mut self, sender: EventSender) {
        let mut closed = self.inner.closed.subscribe();
        let cause = tokio::select! {
            () = sender.closed() => return,
            _ = closed.wait_for(|closed| *closed) => error(ErrorKind::Closed, "events"),
            cause = self.listen(&sender) => cause,
        };
        sender.fail(cause);
    }

    /// Returns why nothing comes any more.
    async fn listen(&mut self, sender: &EventSender) -> Error {
        loop {
            if let Err(cause) = self.echo(BEAT, HEARTBEAT, sender).await {
                return cause;
            }
        }
    }

    /// Nothing is promised before the first echo: one that is lost is asked for again.
    async fn first_echo(&mut self, sender: &EventSender) -> Result<()> {
        let deadline = Instant::now() + HEARTBEAT;
        loop {
            match self.echo(Duration::ZERO, FIRST, sender).await {
                Err(cause) if cause.kind() == ErrorKind::Timeout && Instant::now() < deadline => {}
                heard => return heard,
            }
        }
    }

    /// Passes on what comes, and proves meanwhile that all is well: what every primary publishes comes back over
    /// the connection on which others' messages would.
    async fn echo(&mut self, pause: Duration, patience: Duration, sender: &EventSender) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        self.round += 1;
        let mut word = self.round.to_string();
        let mut asking = Box::pin(inner.ask(&self.echo, word.clone(), pause));
        let (mut heard, mut wanted, mut failed_before) = (0, None, false);
        let deadline = Instant::now() + patience;
        while wanted.is_none_or(|wanted| heard < wanted) {
            tokio::select! {
                message = self.messages.next() => match message {
                    None => return Err(lost(ErrorKind::Unavailable, "the connection to the channel was lost")),
                    Some(message) if message.channel == self.echo.as_bytes() => {
                        heard += usize::from(message.payload == word.as_bytes());
                    }
                    Some(message) => inner.pass_on(&message.payload, sender),
                },
                primaries = &mut asking, if wanted.is_none() => match primaries {
                    Ok(primaries) => wanted = Some(primaries),
                    // The connection that asks is another, and mends itself.
                    Err(_) if !failed_before => {
                        (heard, failed_before) = (0, true);
                        self.round += 1;
                        word = self.round.to_string();
                        asking.set(inner.ask(&self.echo, word.clone(), Duration::ZERO));
                    }
                    Err(cause) => return Err(failed("events", cause)),
                },
                () = sleep_until(deadline) => {
                    let message = "what is published does not come over the channel";
                    return Err(lost(ErrorKind::Timeout, message));
                }
            }
        }
        sender.send(Event::Heartbeat);
        Ok(())
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

    /// Has every primary publish a word, after a pause.
    async fn ask(&self, echo: &str, word: String, pause: Duration) -> RedisResult<usize> {
        sleep(pause).await;
        self.link.publish_everywhere(echo, &word).await
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
