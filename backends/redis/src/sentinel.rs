use std::sync::Arc;

use async_trait::async_trait;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection, sentinel::SentinelClient,
};
use tokio::sync::Mutex;

use crate::{
    channel::{Channel, Messages},
    link::Link,
};

/// The master that sentinels name; after a failure they are asked again.
pub(crate) struct Sentinel {
    client: Mutex<SentinelClient>,
    config: AsyncConnectionConfig,
    master: Mutex<Option<Arc<MultiplexedConnection>>>,
}

impl Sentinel {
    pub(crate) fn new(client: SentinelClient, config: AsyncConnectionConfig) -> Self {
        Self { client: Mutex::new(client), config, master: Mutex::new(None) }
    }

    /// The connection that all use; the first to need one makes it while the others wait.
    async fn master(&self) -> RedisResult<Arc<MultiplexedConnection>> {
        let mut master = self.master.lock().await;
        if let Some(connection) = &*master {
            return Ok(Arc::clone(connection));
        }
        let mut client = self.client.lock().await;
        let connection = Arc::new(client.get_async_connection_with_config(&self.config).await?);
        *master = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Forgets a connection that failed, unless another took its place already.
    async fn forget(&self, failed: &Arc<MultiplexedConnection>) {
        let mut master = self.master.lock().await;
        if master.as_ref().is_some_and(|current| Arc::ptr_eq(current, failed)) {
            *master = None;
        }
    }
}

#[async_trait]
impl Link for Sentinel {
    async fn call(&self, command: &Cmd) -> RedisResult<Value> {
        let connection = self.master().await?;
        let reply = command.query_async(&mut MultiplexedConnection::clone(&connection)).await;
        match reply {
            Err(cause) if is_no_master(&cause) => {
                self.forget(&connection).await;
                // It did nothing: a replica refuses all writes.
                let connection = self.master().await?;
                command.query_async(&mut MultiplexedConnection::clone(&connection)).await
            }
            Err(cause) if cause.is_unrecoverable_error() || cause.is_timeout() => {
                self.forget(&connection).await;
                Err(cause)
            }
            reply => reply,
        }
    }
}

#[async_trait]
impl Channel for Sentinel {
    async fn listen(&self, channels: &[String]) -> RedisResult<Messages> {
        let master = self.client.lock().await.async_get_client().await?;
        master.listen(channels).await
    }
}

fn is_no_master(cause: &RedisError) -> bool {
    matches!(cause.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}
