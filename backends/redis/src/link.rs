use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, RedisResult, Value, aio::ConnectionLike, cluster::ClusterClient};
use tokio::sync::OnceCell;

/// A way to the server, or to the servers: one connection, or as many as there are, which mend themselves.
#[async_trait]
pub(crate) trait Link: Send + Sync {
    /// Sends one command, and waits for its answer.
    async fn call(&self, command: &Cmd) -> RedisResult<Value>;
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
    connection: OnceCell<redis::cluster_async::ClusterConnection>,
    patience: Duration,
}

impl Cluster {
    /// `patience` is how long connecting may take as a whole.
    pub(crate) fn new(client: ClusterClient, patience: Duration) -> Self {
        Self { client, connection: OnceCell::new(), patience }
    }
}

#[async_trait]
impl Link for Cluster {
    async fn call(&self, command: &Cmd) -> RedisResult<Value> {
        let connect = self.connection.get_or_try_init(|| async {
            match tokio::time::timeout(self.patience, self.client.get_async_connection()).await {
                Ok(connection) => connection,
                Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        });
        command.query_async(&mut connect.await?.clone()).await
    }
}
