//! The join of `PostgresStorage`'s lookup; raw, a `SELECT` of head and body by row.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use client_reqwest::cache_api::{BodyId, FRAME_SIZE, INLINE_MAX, INLINE_TOTAL, MAX_VARIANTS};
use reqwest::Url;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

use super::idle::Idle;
use super::{Read, ReadFrames, Stored, nanos};
use crate::Result;

const LOOKUP: &str = include_str!("../../../../backends/postgres/src/sql/lookup.sql");

/// The parameters of the URL that are the driver's.
const DRIVERS: [&str; 6] = ["sslmode", "host", "port", "user", "password", "dbname"];

pub(super) struct Lookup {
    server: Server,
    sql: Arc<str>,
    namespace: String,
    key: Vec<u8>,
}

pub(super) async fn lookup(stored: Stored<'_>) -> Result<Lookup> {
    let sql = in_schema(stored, LOOKUP);
    let (namespace, key) = (stored.namespace.to_string(), stored.key.as_bytes().to_vec());
    Ok(Lookup { server: Server::of(stored)?, sql, namespace, key })
}

impl Read for Lookup {
    async fn read(&self) -> Result<Bytes> {
        let mut connection = self.server.connection().await?;
        let row = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)))
            .bind(self.namespace.clone())
            .bind(self.key.clone())
            .bind(nanos())
            .bind(i64::try_from(MAX_VARIANTS)?)
            .bind(1024_i64 * 1024)
            .bind(i64::try_from(2 * INLINE_MAX + 4096)?)
            .bind(i64::try_from(2 * INLINE_TOTAL + 4096 * MAX_VARIANTS)?)
            .fetch_one(&mut connection)
            .await?;
        let body = Bytes::copy_from_slice(row.try_get(15)?);
        self.server.0.give_back(connection);
        Ok(body)
    }
}

pub(super) struct Raw {
    server: Server,
    sql: Arc<str>,
    row: i64,
}

pub(super) async fn raw(stored: Stored<'_>) -> Result<Raw> {
    let server = Server::of(stored)?;
    let mut connection = server.connection().await?;
    let find = in_schema(
        stored,
        "SELECT v.id FROM http_cache.variant v JOIN http_cache.resource r ON r.id = v.resource
        JOIN http_cache.namespace s ON s.id = r.namespace
        WHERE s.name = $1 AND s.cleared_at IS NULL AND r.key = $2",
    );
    let row = sqlx::query(AssertSqlSafe(find))
        .bind(stored.namespace.to_string())
        .bind(stored.key.as_bytes().to_vec())
        .fetch_one(&mut connection)
        .await?;
    server.0.give_back(connection);
    let sql = in_schema(stored, "SELECT head, inline FROM http_cache.content WHERE variant = $1");
    Ok(Raw { server, sql, row: row.try_get(0)? })
}

impl Read for Raw {
    async fn read(&self) -> Result<Bytes> {
        let mut connection = self.server.connection().await?;
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql))).bind(self.row);
        let row = query.fetch_one(&mut connection).await?;
        let body = Bytes::copy_from_slice(row.try_get(1)?);
        self.server.0.give_back(connection);
        Ok(body)
    }
}

fn in_schema(stored: Stored<'_>, sql: &str) -> Arc<str> {
    let schema = stored.store.parameter("schema").unwrap_or_else(|| "http_cache".to_owned());
    sql.replace("http_cache.", &format!("\"{schema}\".")).into()
}

struct Server(Idle<PgConnection>, PgConnectOptions);

impl Server {
    fn of(stored: Stored<'_>) -> Result<Self> {
        let mut url = Url::parse(&stored.store.url)?;
        let kept: Vec<_> =
            url.query_pairs().into_owned().filter(|(name, _)| DRIVERS.contains(&name.as_str())).collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        let options: PgConnectOptions = url.as_str().parse()?;
        Ok(Self(Idle::new(), options.disable_statement_logging()))
    }

    async fn connection(&self) -> Result<PgConnection> {
        match self.0.take() {
            Some(connection) => Ok(connection),
            None => Ok(self.1.connect().await?),
        }
    }
}

pub(super) struct Frames {
    server: Server,
    sql: Arc<str>,
    namespace: String,
    key: Vec<u8>,
    body: Vec<u8>,
}

pub(super) fn frames(stored: Stored<'_>, body: &BodyId) -> Result<Frames> {
    let sql = in_schema(stored, include_str!("../../../../backends/postgres/src/sql/read.sql"));
    let (namespace, key) = (stored.namespace.to_string(), stored.key.as_bytes().to_vec());
    Ok(Frames { server: Server::of(stored)?, sql, namespace, key, body: body.as_bytes().to_vec() })
}

impl ReadFrames for Frames {
    async fn frames(&self, range: Range<u32>) -> Result<usize> {
        let mut connection = self.server.connection().await?;
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)))
            .bind(self.namespace.clone())
            .bind(self.body.clone())
            .bind(i64::from(range.start))
            .bind(i64::from(range.end))
            .bind(i64::try_from(2 * FRAME_SIZE + 4096)?)
            .bind(self.key.clone());
        let rows = query.fetch_all(&mut connection).await?;
        self.server.0.give_back(connection);
        rows.iter().map(|row| Ok(row.try_get::<&[u8], _>(1)?.len())).sum()
    }
}
