use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cache_api::{Acquired, BodyId, CacheKey, Lease, Leases, Outcome, Result};

use crate::{
    RedisStorage,
    reply::{array, duration_millis, millis, number, text, time, unexpected},
    schema::hex,
    script::{ACQUIRE, Call, EXTEND, RELEASE},
};

#[async_trait]
impl Leases for RedisStorage {
    async fn acquire(&self, key: &CacheKey, ttl: Duration, now: SystemTime) -> Result<Acquired> {
        let lease = Lease { key: *key, token: *BodyId::random()?.as_bytes() };
        let call = self.lease(Call::new(&ACQUIRE, self.lease_key(key)).arg(millis(now)), &lease, ttl, now);
        let answer = array(self.inner.run(call, "acquire").await?);
        let until = time(number(answer.get(1)).ok_or_else(|| unexpected("acquire"))?);
        match text(answer.first()) {
            b"held" => Ok(Acquired::Held(lease)),
            b"busy" => Ok(Acquired::Busy { until }),
            b"uncacheable" => Ok(Acquired::Uncacheable { until }),
            _ => Err(unexpected("acquire")),
        }
    }

    async fn extend(&self, lease: &Lease, ttl: Duration, now: SystemTime) -> Result<bool> {
        let call = Call::new(&EXTEND, self.lease_key(&lease.key)).arg(millis(now));
        let call = self.lease(call, lease, ttl, now);
        Ok(number(Some(&self.inner.run(call, "extend").await?)) == Some(1))
    }

    async fn release(&self, lease: &Lease, outcome: Outcome, now: SystemTime) -> Result<()> {
        let call = Call::new(&RELEASE, self.lease_key(&lease.key));
        let call = match outcome {
            Outcome::Uncacheable(ttl) => self.lease(call, lease, ttl, now),
            _ => call.arg(hex(&lease.token)).arg(0_u64).arg(0_u64),
        };
        self.inner.run(call, "release").await.map(drop)
    }
}

impl RedisStorage {
    fn lease_key(&self, key: &CacheKey) -> [String; 1] {
        [self.inner.keys.of(key).lease(key)]
    }

    /// Whose it is, until when, and when the server drops it.
    fn lease(&self, call: Call, lease: &Lease, ttl: Duration, now: SystemTime) -> Call {
        let until = millis(now).saturating_add(duration_millis(ttl));
        call.arg(hex(&lease.token)).arg(until).arg(until.saturating_add(duration_millis(self.inner.skew)))
    }
}
