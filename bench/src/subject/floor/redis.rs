//! The script of `RedisStorage`'s lookup over a multiplexed connection; raw, a `GET`.

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use client_reqwest::cache_api::{BodyId, FRAME_SIZE, INLINE_TOTAL, Limits};
use redis::{AsyncCommands as _, Value, aio::MultiplexedConnection};

use super::{Read, ReadFrames, Stored};
use crate::Result;

/// As `RedisStorage` puts it together.
const LOOKUP: &str = concat!(
    include_str!("../../../../backends/redis/src/scripts/common.lua"),
    "\n",
    include_str!("../../../../backends/redis/src/scripts/lookup.lua"),
    "\n"
);

pub(super) struct Lookup {
    connection: MultiplexedConnection,
    hash: String,
    resource: String,
    /// What the keys of its shard begin with.
    shard: String,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Lookup> {
    let mut connection = connect(stored).await?;
    let hash = redis::Script::new(LOOKUP).load_async(&mut connection).await?;
    let pattern = format!("*:{}:*r:{}", stored.namespace, stored.key);
    let mut cursor = 0_u64;
    loop {
        let (next, found): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(&pattern)
            .arg("COUNT")
            .arg(10_000)
            .query_async(&mut connection)
            .await?;
        if let Some(resource) = found.into_iter().next() {
            let shard = resource.strip_suffix(&format!("r:{}", stored.key)).unwrap_or_default().to_owned();
            return Ok(Lookup { connection, hash, resource, shard });
        }
        cursor = next;
        if cursor == 0 {
            return Err("the entry is not in Redis".into());
        }
    }
}

impl Read for Lookup {
    async fn read(&self) -> Result<Bytes> {
        let limits = Limits::default();
        let max_write = limits.max_write.as_millis();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(&self.hash)
            .arg(2)
            .arg(&self.resource)
            .arg(format!("{}s", self.shard))
            .arg(now.to_string())
            .arg("0123456789abcdef")
            .arg(max_write.to_string())
            .arg((limits.tombstone().as_millis() + 60_000).to_string())
            .arg(INLINE_TOTAL)
            .arg(format!("{}b:", self.shard));
        let mut reply: Vec<Value> = command.query_async(&mut self.connection.clone()).await?;
        match reply.pop() {
            Some(Value::BulkString(body)) => Ok(body.into()),
            _ => Err("Redis answered the lookup without a body".into()),
        }
    }
}

/// The bytes of the entry under a key of their own.
pub(super) struct Raw {
    connection: MultiplexedConnection,
}

const RAW: &str = "http-cache-bench:raw";

pub(super) async fn raw(stored: Stored<'_>) -> Result<Raw> {
    let lookup = lookup(stored).await?;
    let mut connection = lookup.connection;
    let fields: Vec<(Vec<u8>, Vec<u8>)> = connection.hgetall(&lookup.resource).await?;
    let bytes: Vec<u8> = fields.into_iter().flat_map(|(_, value)| value).collect();
    let () = connection.set_ex(RAW, bytes, 24 * 3600).await?;
    Ok(Raw { connection })
}

impl Read for Raw {
    async fn read(&self) -> Result<Bytes> {
        let bytes: Vec<u8> = self.connection.clone().get(RAW).await?;
        Ok(bytes.into())
    }
}

async fn connect(stored: Stored<'_>) -> Result<MultiplexedConnection> {
    Ok(redis::Client::open(stored.store.bare())?.get_multiplexed_async_connection().await?)
}

/// As `RedisStorage` puts it together.
const FRAMES: &str = concat!(
    include_str!("../../../../backends/redis/src/scripts/common.lua"),
    "\n",
    include_str!("../../../../backends/redis/src/scripts/read.lua"),
    "\n"
);

pub(super) struct Frames {
    lookup: Lookup,
    hash: String,
    body: String,
}

pub(super) async fn frames(stored: Stored<'_>, body: &BodyId) -> Result<Frames> {
    let mut lookup = lookup(stored).await?;
    let hash = redis::Script::new(FRAMES).load_async(&mut lookup.connection).await?;
    Ok(Frames { lookup, hash, body: body.to_string() })
}

impl ReadFrames for Frames {
    async fn frames(&self, range: Range<u32>) -> Result<usize> {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(&self.hash)
            .arg(2)
            .arg(format!("{}b:{}", self.lookup.shard, self.body))
            .arg(&self.lookup.resource)
            .arg(&self.body)
            .arg(range.start)
            .arg(range.end)
            .arg(2 * FRAME_SIZE + 4096);
        let frames: Vec<Vec<u8>> = command.query_async(&mut self.lookup.connection.clone()).await?;
        Ok(frames.iter().map(Vec::len).sum())
    }
}
