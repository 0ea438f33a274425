//! A server in which the suite opens storages, and damages rows past them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace};
use cache_backend_postgres::PostgresStorageBuilder;
use cache_conformance::{
    Damage, Opened, OwnServer, Presence, REQUIRE, RawStore, Remote, Subject,
    services::{self, Service},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, query};

/// The schema in which the suite works by default; not the cache's default, which may be somebody's.
pub(crate) const SCHEMA: &str = "cache_conformance";

/// Whether there is a server to test on. Its absence is said aloud, and a failure where it is required.
pub(crate) fn present(service: &Service) -> bool {
    let Presence::Absent { reason, remedy } = service.presence() else { return true };
    let required = std::env::var(REQUIRE).unwrap_or_default();
    let required = required.split(',').map(str::trim).any(|name| name == "all" || name == "postgres");
    assert!(!required, "{reason}; {remedy}");
    eprintln!("not tried: {reason}; {remedy}");
    false
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    url: String,
    schema: &'static str,
    unlogged: bool,
    /// Whether another server like it can be started.
    is_process: bool,
}

impl Server {
    /// On a server; at an absent one nothing is opened.
    pub(crate) fn at(url: Option<&str>) -> Self {
        let url = url.unwrap_or("postgres://absent/").to_owned();
        Self { url, schema: SCHEMA, unlogged: false, is_process: false }
    }

    pub(crate) fn of(service: &Service) -> Self {
        Self { is_process: service.is_process(), ..Self::at(service.url()) }
    }

    pub(crate) fn in_schema(mut self, schema: &'static str) -> Self {
        self.schema = schema;
        self
    }

    pub(crate) fn unlogged(mut self) -> Self {
        self.unlogged = true;
        self
    }

    pub(crate) fn builder(&self) -> PostgresStorageBuilder {
        let builder = PostgresStorageBuilder::from_url(&self.url).expect("a URL of PostgreSQL");
        builder.schema(self.schema).unlogged(self.unlogged)
    }

    pub(crate) async fn raw(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.url).await
    }

    fn sql(&self, sql: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(sql.replace("http_cache.", &format!("{}.", self.schema)))
    }

    async fn replace(
        &self,
        raw: &mut PgConnection,
        damage: Damage,
        variant: i64,
        read: &str,
        write: &str,
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for row in query(self.sql(read)).bind(variant).fetch_all(&mut *raw).await? {
            let (id, n, bytes): (i64, i64, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
            let write = query(self.sql(write)).bind(damage.apply(&bytes)).bind(id).bind(n);
            changed += write.execute(&mut *raw).await?.rows_affected();
        }
        Ok(changed)
    }
}

#[async_trait]
impl Subject for Server {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = self.builder().namespace(namespace.clone()).limits(limits);
        Ok(Arc::new(builder.build().await?))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        let Self { schema, unlogged, .. } = *self;
        let server = move |service: &Service| Self { schema, unlogged, ..Self::of(service) };
        self.is_process.then(|| services::own_server(services::postgres::Single, server))
    }
}

const TIMEOUT: Duration = Duration::from_secs(1);

#[async_trait]
impl Remote for Server {
    fn address(&self) -> String {
        services::address(&self.url).unwrap_or_default()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let there = Self { url: services::at_address(&self.url, address), ..self.clone() };
        let builder = there.builder().acquire_timeout(TIMEOUT).timeout(TIMEOUT);
        Ok(Arc::new(builder.namespace(namespace.clone()).limits(limits).build().await?))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }
}

const VARIANTS: &str =
    "SELECT v.id FROM http_cache.namespace s JOIN http_cache.resource r ON r.namespace = s.id
    JOIN http_cache.variant v ON v.resource = r.id WHERE s.name = $1 AND s.cleared_at IS NULL AND r.key = $2";

#[async_trait]
impl RawStore for Server {
    async fn damage(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
        damage: Damage,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let mut raw = Server::raw(self).await?;
        let variants = query(self.sql(VARIANTS)).bind(namespace.as_str()).bind(key.as_bytes().to_vec());
        let variants: Vec<i64> = variants.fetch_all(&mut raw).await?.iter().map(|row| row.get(0)).collect();
        let mut changed = 0;
        for variant in variants {
            changed += match damage {
                Damage::FlipHead | Damage::TruncateHead | Damage::ForeignHead => {
                    let heads = "SELECT variant, 0::bigint, head FROM http_cache.content WHERE variant = $1";
                    let write =
                        "UPDATE http_cache.content SET head = $1 WHERE variant = $2 AND $3::bigint = 0";
                    self.replace(&mut raw, damage, variant, heads, write).await?
                }
                Damage::FlipFrame | Damage::TruncateFrame => {
                    let inline = "SELECT variant, 0::bigint, inline FROM http_cache.content
                        WHERE variant = $1 AND inline IS NOT NULL";
                    let write =
                        "UPDATE http_cache.content SET inline = $1 WHERE variant = $2 AND $3::bigint = 0";
                    let inline = self.replace(&mut raw, damage, variant, inline, write).await?;
                    let frames = "SELECT f.body, f.n, f.bytes FROM http_cache.variant v
                        JOIN http_cache.frame f ON f.body = v.stored WHERE v.id = $1";
                    let write = "UPDATE http_cache.frame SET bytes = $1 WHERE body = $2 AND n = $3";
                    inline + self.replace(&mut raw, damage, variant, frames, write).await?
                }
                Damage::DropFrame => {
                    let last = "DELETE FROM http_cache.frame WHERE (body, n) = (
                        SELECT f.body, f.n FROM http_cache.variant v
                        JOIN http_cache.frame f ON f.body = v.stored WHERE v.id = $1
                        ORDER BY f.n DESC LIMIT 1)";
                    query(self.sql(last)).bind(variant).execute(&mut raw).await?.rows_affected()
                }
                Damage::MalformRow => {
                    let generation = "UPDATE http_cache.resource SET generation = '\\x2a'
                        WHERE id = (SELECT resource FROM http_cache.variant WHERE id = $1)";
                    query(self.sql(generation)).bind(variant).execute(&mut raw).await?;
                    let body = "UPDATE http_cache.variant SET body = 'garbage', heads = -1 WHERE id = $1";
                    query(self.sql(body)).bind(variant).execute(&mut raw).await?.rows_affected()
                }
                other => return Err(format!("{other:?} is not known here").into()),
            };
        }
        raw.close().await?;
        Ok(changed)
    }

    fn dumps(&self) -> bool {
        true
    }

    /// Each row of each table of the schema, as text: bytes are hex there.
    async fn dump(&self, _: &Namespace) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let mut raw = Server::raw(self).await?;
        let tables = query("SELECT tablename FROM pg_tables WHERE schemaname = $1").bind(self.schema);
        let mut dump = Vec::new();
        for table in tables.fetch_all(&mut raw).await? {
            let table: String = table.get(0);
            let rows = format!("SELECT row::text FROM {}.{table} AS row", self.schema);
            let rows = query(AssertSqlSafe(rows)).fetch_all(&mut raw).await?;
            dump.extend(rows.iter().map(|row| row.get::<String, _>(0).into_bytes()));
        }
        raw.close().await?;
        Ok(dump)
    }
}
