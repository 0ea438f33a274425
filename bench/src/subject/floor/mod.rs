//! The floor of a store that keeps bytes: the very command by which our storage reads, on the store's own driver, and a
//! request and a response about it. Beside it the raw read of the same bytes by the shortest command there is.

#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod idle;
#[cfg(feature = "mongo")]
mod mongo;
#[cfg(feature = "object-store")]
mod object_store;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client_reqwest::cache_api::{CacheKey, INLINE_MAX, Namespace, StoredBody};

use super::assemble::{Assembly, response};
use super::store::Store;
use crate::Result;
use crate::measure::{Op, Subject};

/// Reads what is stored by one command.
trait Read: Send + Sync + 'static {
    fn read(&self) -> impl Future<Output = Result<Bytes>> + Send;
}

/// Reads frames of a large body by one command; returns how many bytes they have, encoded.
trait ReadFrames: Send + Sync + 'static {
    fn frames(&self, range: Range<u32>) -> impl Future<Output = Result<usize>> + Send;
}

/// How many frames are asked for at once: as many as the engine asks for.
const FRAMES_AT_ONCE: u32 = 2;

/// What was stored, and where.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "without any store but memory")]
pub(crate) struct Stored<'a> {
    pub(crate) store: &'a Store,
    pub(crate) namespace: &'a Namespace,
    pub(crate) key: &'a CacheKey,
}

/// The floor and the raw read, where there are some: not of bodies that are kept in frames.
pub(crate) async fn of(stored: Stored<'_>, assembly: &Assembly) -> Result<Vec<Subject>> {
    if assembly.body > INLINE_MAX {
        eprintln!(
            "no floor: a body of more than {INLINE_MAX} bytes is read in frames; see the case `stream`"
        );
        return Ok(Vec::new());
    }
    match stored.store.scheme() {
        #[cfg(feature = "dynamodb")]
        "dynamodb" => Ok(both(assembly, dynamodb::lookup(stored).await?, dynamodb::raw(stored).await?)),
        #[cfg(feature = "mongo")]
        "mongodb" | "mongodb+srv" => {
            Ok(both(assembly, mongo::lookup(stored).await?, mongo::raw(stored).await?))
        }
        #[cfg(feature = "object-store")]
        "s3" | "gs" | "az" | "file" => {
            Ok(both(assembly, object_store::lookup(stored).await?, object_store::raw(stored).await?))
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            Ok(both(assembly, postgres::lookup(stored).await?, postgres::raw(stored).await?))
        }
        #[cfg(feature = "redis")]
        "redis" => Ok(both(assembly, redis::lookup(stored).await?, redis::raw(stored).await?)),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(both(assembly, sqlite::lookup(stored).await?, sqlite::raw(stored).await?)),
        _ => Ok(Vec::new()),
    }
}

/// Reads all frames of a large body; returns the time until the first ones were there, and the encoded length. `None`
/// where that is not known of the store.
#[allow(unused_variables, reason = "without any store but memory")]
pub(crate) async fn stream(stored: Stored<'_>, body: &StoredBody) -> Result<Option<(Duration, usize)>> {
    match stored.store.scheme() {
        #[cfg(feature = "dynamodb")]
        "dynamodb" => all(&dynamodb::frames(stored, &body.id).await?, body.frames).await.map(Some),
        #[cfg(feature = "mongo")]
        "mongodb" | "mongodb+srv" => {
            all(&mongo::frames(stored, &body.id).await?, body.frames).await.map(Some)
        }
        #[cfg(feature = "object-store")]
        "s3" | "gs" | "az" | "file" => {
            all(&object_store::frames(stored, &body.id).await?, body.frames).await.map(Some)
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => all(&postgres::frames(stored, &body.id)?, body.frames).await.map(Some),
        #[cfg(feature = "redis")]
        "redis" => all(&redis::frames(stored, &body.id).await?, body.frames).await.map(Some),
        #[cfg(feature = "sqlite")]
        "sqlite" => all(&sqlite::frames(stored, &body.id)?, body.frames).await.map(Some),
        _ => Ok(None),
    }
}

#[allow(dead_code, reason = "without any store but memory")]
async fn all(reader: &impl ReadFrames, frames: u32) -> Result<(Duration, usize)> {
    let began = Instant::now();
    let (mut first, mut len, mut from) = (None, 0, 0);
    while from < frames {
        let to = frames.min(from + FRAMES_AT_ONCE);
        len += reader.frames(from..to).await?;
        first.get_or_insert_with(|| began.elapsed());
        from = to;
    }
    Ok((first.unwrap_or_default(), len))
}

#[allow(dead_code, reason = "without any store but memory")]
fn both(assembly: &Assembly, lookup: impl Read, raw: impl Read) -> Vec<Subject> {
    let floor = Floor { assembly: assembly.clone(), lookup };
    vec![Subject::new("floor", floor), Subject::new("raw", Raw { raw, least: assembly.body })]
}

/// Request, read, response, bytes.
struct Floor<R> {
    assembly: Assembly,
    lookup: R,
}

impl<R: Read> Op for Floor<R> {
    async fn once(&self) -> Result<()> {
        let request = self.assembly.request()?;
        let body = self.lookup.read().await?;
        let response = response(request.url().clone(), self.assembly.headers(), body)?;
        at_least(response.bytes().await?.len(), self.assembly.body)
    }
}

struct Raw<R> {
    raw: R,
    least: usize,
}

impl<R: Read> Op for Raw<R> {
    async fn once(&self) -> Result<()> {
        at_least(self.raw.read().await?.len(), self.least)
    }
}

/// Encoded, a body is a little longer.
fn at_least(len: usize, body: usize) -> Result<()> {
    if len >= body { Ok(()) } else { Err(format!("{len} bytes instead of at least {body}").into()) }
}

/// Now, in nanoseconds since 1970.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn nanos() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
