use std::{error::Error as StdError, sync::Arc};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace, Storage};

use crate::{OwnServer, Remote};

/// What [`Subject::open`] returns.
pub type Opened = Result<Arc<dyn Storage>, Box<dyn StdError + Send + Sync>>;

/// What is tested: a store in which the suite can open storages.
///
/// ```no_run
/// use cache_api::{Limits, Namespace};
/// use cache_conformance::{Opened, Subject};
///
/// struct Mine;
///
/// # async fn open_my_storage(_: &Namespace, _: Limits) -> Opened { unimplemented!() }
/// #[async_trait::async_trait]
/// impl Subject for Mine {
///     async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
///         open_my_storage(namespace, limits).await
///     }
/// }
/// ```
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// Opens a storage on that namespace of the store, with these limits.
    ///
    /// Each case runs in a tokio runtime of its own, several at once, and opens namespaces that no other case
    /// uses. It opens a namespace again only where the suite was told that the store is
    /// [shared](crate::Suite::shared) or [persistent](crate::Suite::persistent).
    ///
    /// The storage must take 30 MiB without evicting anything.
    ///
    /// # Errors
    /// Whatever keeps the storage from opening; the case fails with it.
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened;

    /// How the suite damages what lies in the store; `None` where nobody else can get at it, as in this
    /// process's memory. The cases of the group `garbage` are absent then.
    fn raw(&self) -> Option<&dyn RawStore> {
        None
    }

    /// The way to the store, where it is one TCP connection or several to one address. The cases of a way that is
    /// stalled or cut, in the group `outage`, are absent otherwise.
    fn remote(&self) -> Option<&dyn Remote> {
        None
    }

    /// A server that a case may kill; each call is another one. The cases of a server that is killed, in the group
    /// `outage`, are absent otherwise.
    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        None
    }
}

#[async_trait]
impl<S: Subject + ?Sized> Subject for Arc<S> {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        (**self).open(namespace, limits).await
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        (**self).raw()
    }

    fn remote(&self) -> Option<&dyn Remote> {
        (**self).remote()
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        (**self).own_server()
    }
}

/// Access to the store past the storage, to put garbage into it.
#[async_trait]
pub trait RawStore: Send + Sync {
    /// Damages what the store holds of that resource, and of no other. Returns how many values were changed:
    /// 0 is a failure of the case, which would check nothing otherwise.
    ///
    /// # Errors
    /// Whatever keeps the store from being written; the case fails with it.
    async fn damage(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
        damage: Damage,
    ) -> Result<u64, Box<dyn StdError + Send + Sync>>;

    /// Whether [`count`](RawStore::count) can be asked. Without it `expiry::by_the_server_itself` is absent.
    fn counts(&self) -> bool {
        false
    }

    /// How many values the store still holds of that resource, bodies included, whatever they are.
    ///
    /// # Errors
    /// Whatever keeps the store from being read; the case fails with it.
    async fn count(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
    ) -> Result<u64, Box<dyn StdError + Send + Sync>> {
        Err(format!("what is held of {key} in {namespace} cannot be counted").into())
    }

    /// Whether [`dump`](RawStore::dump) can be asked. Without it the groups `secrecy` and `redaction` are absent.
    fn dumps(&self) -> bool {
        false
    }

    /// All that the store holds of that namespace, names and values as bytes, whatever they are. What it holds of others
    /// may be among it.
    ///
    /// # Errors
    /// Whatever keeps the store from being read; the case fails with it.
    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>, Box<dyn StdError + Send + Sync>> {
        Err(format!("what is held in {namespace} cannot be read").into())
    }
}

/// What to do to the raw store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Damage {
    /// Flip a bit in the middle of each encoded head.
    FlipHead,
    /// Cut each encoded head to half its length.
    TruncateHead,
    /// Put text of another program in the place of each encoded head.
    ForeignHead,
    /// Flip a bit in the middle of each frame, inline ones too.
    FlipFrame,
    /// Cut each frame to half its length.
    TruncateFrame,
    /// Remove the last frame of each stored body.
    DropFrame,
    /// Give each id in the resource's own record (body id, generation or the like) a wrong length or
    /// type, as far as the store lets it happen.
    MalformRow,
}

impl Damage {
    /// What the damaged bytes become, for the kinds that change bytes in place.
    #[must_use]
    pub fn apply(self, bytes: &[u8]) -> Vec<u8> {
        let half = bytes.len() / 2;
        match self {
            Self::FlipHead | Self::FlipFrame => {
                let mut damaged = bytes.to_vec();
                if let Some(byte) = damaged.get_mut(half) {
                    *byte ^= 0x10;
                }
                damaged
            }
            Self::TruncateHead | Self::TruncateFrame => bytes.iter().take(half).copied().collect(),
            Self::ForeignHead => b"{\"user\":\"4711\",\"theme\":\"dark\"}".to_vec(),
            Self::DropFrame | Self::MalformRow => b"?".to_vec(),
        }
    }
}
