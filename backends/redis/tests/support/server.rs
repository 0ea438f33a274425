//! A server on which the suite opens storages, and damages values past them.

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace};
use cache_backend_redis::{
    RedisStorage, RedisStorageBuilder,
    redis::{self, Value, cluster::ClusterClient},
};
use cache_conformance::{
    Damage, Opened, OwnServer, RawStore, Remote, Subject,
    services::{self, Service, redis::Kind},
};

pub(crate) struct Server {
    url: String,
    /// Whether another like it can be started.
    is_process: bool,
}

impl Server {
    pub(crate) fn of(service: &Service) -> Self {
        Self { url: service.url().unwrap_or_default().to_owned(), is_process: service.is_process() }
    }

    fn builder(
        &self,
        url: &str,
        namespace: &Namespace,
        limits: Limits,
    ) -> Result<RedisStorageBuilder, cache_api::Error> {
        let builder = RedisStorage::builder().url(url)?.namespace(namespace.clone()).limits(limits);
        // The server's clock is this machine's: `expiry::by_the_server_itself` does not wait longer than it must.
        Ok(builder.clock_skew(Duration::from_secs(1)))
    }

    async fn raw(&self, command: redis::Cmd) -> Result<Value, Box<dyn Error + Send + Sync>> {
        if let Some(nodes) = self.url.strip_prefix("redis-cluster://") {
            let nodes = nodes.trim_end_matches('/').split(',').map(|node| format!("redis://{node}/"));
            let mut connection = ClusterClient::new(nodes)?.get_async_connection().await?;
            return Ok(command.query_async(&mut connection).await?);
        }
        let mut connection = redis::Client::open(&*self.url)?.get_multiplexed_async_connection().await?;
        Ok(command.query_async(&mut connection).await?)
    }
}

#[async_trait]
impl Subject for Server {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        // Some cases want hundreds of answers at once of a machine that does other things, too.
        let builder = self.builder(&self.url, namespace, limits)?.timeout(Duration::from_secs(30));
        Ok(Arc::new(builder.build().await?))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }

    /// The nodes of a cluster tell clients where they are: there is no other way to them.
    fn remote(&self) -> Option<&dyn Remote> {
        services::address(&self.url).map(|_| self as &dyn Remote)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        let single = self.is_process && self.remote().is_some();
        single.then(|| services::own_server(Kind::Single, Self::of))
    }
}

const TIMEOUT: Duration = Duration::from_secs(1);

#[async_trait]
impl Remote for Server {
    fn address(&self) -> String {
        services::address(&self.url).unwrap_or_default()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = self.builder(&services::at_address(&self.url, address), namespace, limits)?;
        Ok(Arc::new(builder.connect_timeout(TIMEOUT).timeout(TIMEOUT).build().await?))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }
}

#[async_trait]
impl RawStore for Server {
    async fn damage(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
        damage: Damage,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let shard = self.shard(namespace, key).await?;
        let resource = format!("{shard}r:{key}");
        let mut changed = 0;
        for (name, value) in self.fields(&resource).await? {
            let kind = name.first().copied();
            match (damage, kind) {
                (Damage::FlipHead | Damage::TruncateHead | Damage::ForeignHead, Some(b'h'))
                | (Damage::FlipFrame | Damage::TruncateFrame, Some(b'b')) => {
                    changed += self.set(&resource, &name, &damage.apply(&value)).await?;
                }
                (Damage::FlipFrame | Damage::TruncateFrame | Damage::DropFrame, Some(b'm')) => {
                    changed += self.damage_body(&shard, &value, damage).await?;
                }
                (Damage::MalformRow, Some(b'm')) => {
                    // A body id of a wrong length.
                    changed += self.set(&resource, &name, value.get(2..).unwrap_or_default()).await?;
                }
                (Damage::MalformRow, Some(b'e')) => {
                    changed += self.set(&format!("{shard}s"), b"i", b"garbage").await?;
                }
                _ => {}
            }
        }
        Ok(changed)
    }

    fn counts(&self) -> bool {
        true
    }

    /// The resource's own key, and all bodies of the namespace: who counts has bodies in one resource alone.
    async fn count(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let mut count = 0;
        for name in [format!("r:{key}"), "b:*".to_owned()] {
            let mut keys = redis::cmd("KEYS");
            keys.arg(format!("{{http-cache:1:{namespace}:??}}:{name}"));
            count += redis::from_redis_value::<Vec<String>>(self.raw(keys).await?)?.len() as u64;
        }
        Ok(count)
    }

    fn dumps(&self) -> bool {
        true
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let mut keys = redis::cmd("KEYS");
        keys.arg(format!("*http-cache:1:{namespace}:*"));
        let mut dump = Vec::new();
        for key in redis::from_redis_value::<Vec<Vec<u8>>>(self.raw(keys).await?)? {
            let ask = |name: &str| {
                let mut command = redis::cmd(name);
                command.arg(&key);
                command
            };
            let kind: String = redis::from_redis_value(self.raw(ask("TYPE")).await?)?;
            let all = match &*kind {
                "hash" => ask("HGETALL"),
                "string" => ask("GET"),
                "set" => ask("SMEMBERS"),
                "zset" => {
                    let mut range = ask("ZRANGE");
                    range.arg(0).arg(-1);
                    range
                }
                // It has expired.
                "none" => continue,
                other => return Err(format!("keys of type {other} are not known here").into()),
            };
            dump.push(key.clone());
            flatten(self.raw(all).await?, &mut dump)?;
        }
        Ok(dump)
    }
}

/// The bytes of an answer, whatever is in what.
fn flatten(value: Value, dump: &mut Vec<Vec<u8>>) -> Result<(), Box<dyn Error + Send + Sync>> {
    match value {
        Value::Nil => {}
        Value::BulkString(bytes) => dump.push(bytes),
        Value::Array(values) | Value::Set(values) => {
            values.into_iter().try_for_each(|value| flatten(value, dump))?;
        }
        Value::Map(pairs) => {
            pairs.into_iter().flat_map(|(name, value)| [name, value]).try_for_each(|v| flatten(v, dump))?;
        }
        other => return Err(format!("{other:?} is not known here").into()),
    }
    Ok(())
}

impl Server {
    /// What the names of the resource's keys begin with.
    async fn shard(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        for shard in 0..=255_u8 {
            let shard = format!("{{http-cache:1:{namespace}:{shard:02x}}}:");
            let mut exists = redis::cmd("EXISTS");
            exists.arg(format!("{shard}r:{key}"));
            if self.raw(exists).await? == Value::Int(1) {
                return Ok(shard);
            }
        }
        Err("the resource is in no shard".into())
    }

    async fn fields(&self, key: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Box<dyn Error + Send + Sync>> {
        let mut all = redis::cmd("HGETALL");
        all.arg(key);
        Ok(redis::from_redis_value(self.raw(all).await?)?)
    }

    async fn set(&self, key: &str, name: &[u8], value: &[u8]) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let mut set = redis::cmd("HSET");
        set.arg(key).arg(name).arg(value);
        self.raw(set).await.map(|_| 1)
    }

    async fn damage_body(
        &self,
        shard: &str,
        meta: &[u8],
        damage: Damage,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let body = format!("{shard}b:{}", String::from_utf8_lossy(meta.get(..32).unwrap_or_default()));
        let frames: Vec<_> =
            self.fields(&body).await?.into_iter().filter(|(name, _)| name.as_slice() != b"s").collect();
        let mut changed = 0;
        if damage == Damage::DropFrame {
            let last = frames.iter().max_by_key(|(name, _)| name.clone());
            if let Some((name, _)) = last {
                let mut delete = redis::cmd("HDEL");
                delete.arg(&body).arg(name);
                self.raw(delete).await?;
                changed += 1;
            }
            return Ok(changed);
        }
        for (name, value) in frames {
            changed += self.set(&body, &name, &damage.apply(&value)).await?;
        }
        Ok(changed)
    }
}
