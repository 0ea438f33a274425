use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};
use object_store::UpdateVersion;

use crate::{
    ObjectStoreStorage,
    codec::{Reader, Writer},
    objects::Found,
    resources::{crowded, pause},
    storage::Inner,
};

const MAGIC: [u8; 4] = *b"HCL1";

/// No lease is longer.
const OBJECT_MAX: usize = 256;

const ATTEMPTS: u32 = 40;

/// The token of a lease that was given back.
const NOBODY: [u8; 16] = [0; 16];

/// What the object of a lease says. Who gives one back writes it anew: a deletion might hit the next holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    token: [u8; 16],
    pub(crate) until: SystemTime,
    /// Nobody holds it, and the resource is uncacheable until then.
    uncacheable: bool,
}

#[async_trait]
impl Leases for ObjectStoreStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let inner = self.inner.ready("acquire").await?;
        let lease = Lease { key: *key, token: *BodyId::random()?.as_bytes() };
        let ours = Held { token: lease.token, until: after(now, ttl), uncacheable: false };
        let path = inner.names.lease(key);
        if inner.objects.create(&path, ours.encode(), "acquire").await?.is_some() {
            return Ok(Acquired::Held(lease));
        }
        for attempt in 0..ATTEMPTS {
            let (version, there) = inner.lease(key, "acquire").await?;
            let written = match (version, there) {
                // The client may have sent it twice.
                (_, Some(there)) if there.token == ours.token => Some(()),
                (_, Some(Held { until, uncacheable: true, .. })) if now < until => {
                    return Ok(Acquired::Uncacheable { until });
                }
                (_, Some(Held { until, token, .. })) if now < until && token != NOBODY => {
                    return Ok(Acquired::Busy { until });
                }
                (Some(version), _) => {
                    inner.objects.update(&path, ours.encode(), &version, "acquire").await?.map(drop)
                }
                (None, _) => inner.objects.create(&path, ours.encode(), "acquire").await?.map(drop),
            };
            if written.is_some() {
                return Ok(Acquired::Held(lease));
            }
            pause(attempt.min(2)).await?;
        }
        Err(crowded("acquire"))
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let inner = self.inner.ready("extend").await?;
        let until = after(now, ttl);
        inner.rewrite(lease, "extend", |there| (now < there.until).then_some(Held { until, ..there })).await
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let inner = self.inner.ready("release").await?;
        let left = match outcome {
            Outcome::Uncacheable(ttl) => Held { token: NOBODY, until: after(now, ttl), uncacheable: true },
            _ => Held { token: NOBODY, until: now, uncacheable: false },
        };
        inner.rewrite(lease, "release", |_| Some(left)).await.map(drop)
    }
}

impl Inner {
    /// The version of a lease's object, and what it says where it says something.
    pub(crate) async fn lease(
        &self,
        key: &CacheKey,
        operation: &'static str,
    ) -> Result<(Option<UpdateVersion>, Option<Held>)> {
        Ok(match self.objects.get(&self.names.lease(key), OBJECT_MAX, operation).await? {
            Found::Nothing => (None, None),
            Found::Object(version, bytes) => (Some(version), bytes.and_then(Held::decode)),
        })
    }

    /// Changes a lease if it is its holder's still. `false` where it is not.
    async fn rewrite(
        &self,
        lease: &Lease,
        operation: &'static str,
        change: impl Fn(Held) -> Option<Held>,
    ) -> Result<bool> {
        let path = self.names.lease(&lease.key);
        for attempt in 0..ATTEMPTS {
            let (Some(version), Some(there)) = self.lease(&lease.key, operation).await? else {
                return Ok(false);
            };
            let Some(changed) = change(there).filter(|_| there.token == lease.token) else {
                return Ok(false);
            };
            if self.objects.update(&path, changed.encode(), &version, operation).await?.is_some() {
                return Ok(true);
            }
            pause(attempt.min(2)).await?;
        }
        Err(crowded(operation))
    }
}

impl Held {
    fn encode(self) -> Bytes {
        let mut writer = Writer::new(MAGIC, 32);
        writer.bytes(&self.token);
        writer.time(self.until);
        writer.u8(u8::from(self.uncacheable));
        // No two writings are the same to the byte: some stores make a version of the bytes.
        writer.bytes(BodyId::random().map(|id| *id.as_bytes()).unwrap_or_default().as_slice());
        writer.finish()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        let mut reader = Reader::new(MAGIC, bytes)?;
        let (token, until) = (reader.array()?, reader.time()?);
        let uncacheable = reader.u8()? != 0;
        reader.array::<16>()?;
        reader.finish().map(|()| Self { token, until, uncacheable })
    }
}

fn after(now: SystemTime, ttl: Duration) -> SystemTime {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    now.checked_add(ttl).or_else(|| now.checked_add(YEAR)).unwrap_or(now)
}
