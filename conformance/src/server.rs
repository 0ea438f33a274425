use std::{error::Error as StdError, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{Limits, Namespace};

use crate::{Opened, Subject};

/// What can go wrong with a server beside the storage.
pub type ServerError = Box<dyn StdError + Send + Sync>;

/// A store behind a TCP connection: the suite puts a [proxy](crate::proxy::Proxy) on the way, and stalls and cuts it.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Where the server is, as `host:port`.
    fn address(&self) -> String;

    /// Opens a storage as [`Subject::open`] does, over a server at that address: it is the same one, on another way.
    ///
    /// Where the storage has time limits for connecting and for answers, they are set to a second or two.
    ///
    /// # Errors
    /// Whatever keeps the storage from opening; the case fails with it.
    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened;

    /// After which time an operation that gets no answer fails by itself, as [`open_at`](Remote::open_at) sets it.
    /// `None` where it waits until its caller gives up; the suite then gives up, and looks at what follows.
    fn timeout(&self) -> Option<Duration>;
}

/// A server that one case has for itself, to be killed and started again.
///
/// With the feature `services`, `services::own_server` makes one of what starts the service.
#[async_trait]
pub trait OwnServer: Send + Sync {
    /// Starts the server, empty, and waits until it answers. What is returned opens storages on it, and is
    /// [remote](Subject::remote). It ends with this value.
    ///
    /// # Errors
    /// Whatever keeps it from starting; the case fails with it.
    async fn start(&self) -> Result<Arc<dyn Subject>, ServerError>;

    /// Kills it at once, as a crash does, and returns when it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    async fn kill(&self) -> Result<(), ServerError>;

    /// Starts it again at the same address, over what it had stored, and waits until it answers.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    async fn restart(&self) -> Result<(), ServerError>;
}
