use async_trait::async_trait;
use futures_util::{StreamExt as _, stream, stream::BoxStream};
use redis::{
    Client, PushInfo, PushKind, RedisResult, Value,
    cluster::{ClusterClient, ClusterConfig},
};
use tokio::sync::mpsc;

/// A way to listen: over a connection of its own, which is not mended.
#[async_trait]
pub(crate) trait Channel: Send + Sync {
    /// What is published in these channels from now on. The end comes with that of the connection.
    async fn listen(&self, channels: &[String]) -> RedisResult<Messages>;
}

pub(crate) type Messages = BoxStream<'static, Message>;

/// What was published.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) channel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

#[async_trait]
impl Channel for Client {
    async fn listen(&self, channels: &[String]) -> RedisResult<Messages> {
        let mut pubsub = self.get_async_pubsub().await?;
        pubsub.subscribe(channels).await?;
        let messages = pubsub.into_on_message().map(|message| Message {
            channel: message.get_channel_name().as_bytes().to_vec(),
            payload: message.get_payload_bytes().to_vec(),
        });
        Ok(messages.boxed())
    }
}

/// In a cluster one node is listened to, to which all others pass on what is published. The client speaks RESP3:
/// over the older protocol the library cannot listen here.
#[async_trait]
impl Channel for ClusterClient {
    async fn listen(&self, channels: &[String]) -> RedisResult<Messages> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let config = ClusterConfig::new().set_push_sender(sender);
        let mut connection = self.get_async_connection_with_config(config).await?;
        connection.subscribe(channels).await?;
        // The library subscribes again when it lost a connection: what was published meanwhile is missed.
        let (connection, confirmations) = (Some(connection), channels.len());
        let pushes = stream::unfold((receiver, connection, confirmations), async |mut state| {
            loop {
                let push = state.0.recv().await?;
                match push.kind {
                    PushKind::Message => return Some((message(push)?, state)),
                    PushKind::Subscribe => state.2 = state.2.checked_sub(1)?,
                    PushKind::Disconnection | PushKind::Unsubscribe => return None,
                    _ => {}
                }
            }
        });
        Ok(pushes.boxed())
    }
}

fn message(push: PushInfo) -> Option<Message> {
    let mut bytes = push.data.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    });
    Some(Message { channel: bytes.next()??, payload: bytes.next()?? })
}
