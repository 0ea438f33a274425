use std::time::Duration;

use async_trait::async_trait;
use redis::{
    Cmd, RedisResult, Value,
    aio::ConnectionLike,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
};
use tokio::sync::OnceCell;

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
pub(crate) struct Cluster {
    client: ClusterClient,
    connection: OnceCell<ClusterConnection>,
    patience: Duration,
}

impl Cluster {
    /// `patience` is how long connecting may take as a whole.
    pub(crate) fn new(client: ClusterClient, patience: Duration) -> Self {
        Self { client, connection: OnceCell::new(), patience }
    }

    async fn connection(&self) -> RedisResult<ClusterConnection> {
        let connect = self.connection.get_or_try_init(|| async {
            match tokio::time::timeout(self.patience, self.client.get_async_connection()).await {
                Ok(connection) => connection,
                Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        });
        connect.await.cloned()
    }
}

#[async_trait]
impl Link for Cluster {
    async fn call(&self, command: &Cmd) -> RedisResult<Value> {
        command.query_async(&mut self.connection().await?).await
    }

    async fn publish_everywhere(&self, channel: &str, message: &str) -> RedisResult<usize> {
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let mut connection = self.connection().await?;
        match connection.route_command(publish(channel, message), primaries).await? {
            Value::Map(answers) => {
                let count = answers.len();
                answers.into_iter().try_for_each(|(_, answer)| answer.extract_error().map(drop))?;
                Ok(count)
            }
            answer => answer.extract_error().map(|_| 1),
        }
    }
}
