use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use redis::{
    Cmd, RedisResult, Value,
    aio::ConnectionLike,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};
use tokio::{sync::OnceCell, time::Instant};

/// A way to the server, or to the servers: one connection, or as many as there are, which mend themselves.
#[async_trait]
pub(crate) trait Link: Send + Sync {
    /// Sends one command, and waits for its answer.
    async fn call(&self, command: &Cmd) -> RedisResult<Value>;

    /// Publishes something from every primary; returns how many there are.
    async fn publish_everywhere(&self, channel: &str, message: &str) -> RedisResult<usize> {
        self.call(&publish(channel, message)).await.map(|_| 1)
    }
}

pub(crate) fn publish(channel: &str, message: &str) -> Cmd {
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(channel).arg(message);
    publish
}

/// A connection that many use at once: each on a clone of its own, over one socket.
pub(crate) struct Shared<C>(pub(crate) C);

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync> Link for Shared<C> {
    async fn call(&self, command: &Cmd) -> RedisResult<Value> {
        command.query_async(&mut self.0.clone()).await
    }
}

/// A cluster, connected to with the first command.
///
/// The library mends what breaks, but not always: when a node goes away and comes back, its repairs may end up waiting
/// for each other, and nothing is answered any more. A connection that says nothing for long is given up for another.
pub(crate) struct Cluster {
    client: ClusterClient,
    current: Mutex<Arc<Connecting>>,
    connect: Duration,
    silence: Duration,
}

#[derive(Default)]
struct Connecting {
    connection: OnceCell<ClusterConnection>,
    /// Since when it was asked without having answered anything.
    asked: Mutex<Option<Instant>>,
}

impl Cluster {
    /// `connect` is how long connecting may take as a whole, `silence` how long a connection may leave all that is
    /// asked unanswered.
    pub(crate) fn new(client: ClusterClient, connect: Duration, silence: Duration) -> Self {
        Self { client, current: Mutex::default(), connect, silence }
    }

    /// Sends something over a connection that answers, or has been waited for not too long.
    async fn send<T, F: Future<Output = RedisResult<T>>>(
        &self,
        send: impl FnOnce(ClusterConnection) -> F,
    ) -> RedisResult<T> {
        let current = self.current();
        let connection = current.connection.get_or_try_init(|| async {
            match tokio::time::timeout(self.connect, self.client.get_async_connection()).await {
                Ok(connection) => connection,
                Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        });
        let answer = send(connection.await?.clone()).await;
        // A refusal is an answer, too.
        if answer.as_ref().map_or_else(|error| error.code().is_some(), |_| true) {
            *lock(&current.asked) = None;
        }
        answer
    }

    fn current(&self) -> Arc<Connecting> {
        let mut current = lock(&self.current);
        let since = *lock(&current.asked).get_or_insert_with(Instant::now);
        if since.elapsed() > self.silence && current.connection.initialized() {
            tracing::warn!(silence = ?self.silence, "a cluster does not answer: connecting to it anew");
            *current = Arc::default();
            *lock(&current.asked) = Some(Instant::now());
        }
        Arc::clone(&current)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Link for Cluster {
    async fn call(&self, command: &Cmd) -> RedisResult<Value> {
        self.send(async |mut connection| command.query_async(&mut connection).await).await
    }

    async fn publish_everywhere(&self, channel: &str, message: &str) -> RedisResult<usize> {
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let publish = publish(channel, message);
        let answer = self.send(async |mut connection| connection.route_command(publish, primaries).await);
        match answer.await? {
            Value::Map(answers) => {
                let count = answers.len();
                answers.into_iter().try_for_each(|(_, answer)| answer.extract_error().map(drop))?;
                Ok(count)
            }
            answer => answer.extract_error().map(|_| 1),
        }
    }
}
