//! A file in which the suite opens storages, and damages rows past them.

use std::{error::Error, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use cache_api::{CacheKey, Limits, Namespace};
use cache_backend_sqlite::SqliteStorage;
use cache_conformance::{Damage, Opened, RawStore, Subject};
use sqlx::{Connection, Row, SqliteConnection, query, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

pub(crate) struct SharedFile(TempDir);

impl SharedFile {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("shared.sqlite")
    }
}

#[async_trait]
impl Subject for SharedFile {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let builder = SqliteStorage::builder().path(self.path()).namespace(namespace.clone()).limits(limits);
        Ok(Arc::new(builder.build().await?))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }
}

const VARIANTS: &str = "SELECT v.id FROM namespace s JOIN resource r ON r.namespace = s.id
    JOIN variant v ON v.resource = r.id WHERE s.name = ? AND s.cleared_at IS NULL AND r.key = ?";

#[async_trait]
impl RawStore for SharedFile {
    async fn damage(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
        damage: Damage,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let options = SqliteConnectOptions::new().filename(self.path()).foreign_keys(false);
        let mut raw =
            SqliteConnection::connect_with(&options.busy_timeout(std::time::Duration::from_secs(30))).await?;
        let variants = query(VARIANTS).bind(namespace.as_str().to_owned()).bind(key.as_bytes().to_vec());
        let variants: Vec<i64> = variants.fetch_all(&mut raw).await?.iter().map(|row| row.get(0)).collect();
        let mut changed = 0;
        for variant in variants {
            changed += match damage {
                Damage::FlipHead | Damage::TruncateHead | Damage::ForeignHead => {
                    let heads = "SELECT variant, head FROM content WHERE variant = ?";
                    replace(&mut raw, damage, variant, heads, "UPDATE content SET head = ? WHERE variant = ?")
                        .await?
                }
                Damage::FlipFrame | Damage::TruncateFrame => {
                    let inline =
                        "SELECT variant, inline FROM content WHERE variant = ? AND inline IS NOT NULL";
                    let write = "UPDATE content SET inline = ? WHERE variant = ?";
                    let inline = replace(&mut raw, damage, variant, inline, write).await?;
                    let frames = "SELECT f.rowid, f.bytes FROM variant v JOIN frame f ON f.body = v.stored WHERE v.id = ?";
                    let write = "UPDATE frame SET bytes = ? WHERE rowid = ?";
                    inline + replace(&mut raw, damage, variant, frames, write).await?
                }
                Damage::DropFrame => {
                    let last = "DELETE FROM frame WHERE rowid = (SELECT f.rowid FROM variant v
                        JOIN frame f ON f.body = v.stored WHERE v.id = ? ORDER BY f.n DESC LIMIT 1)";
                    query(last).bind(variant).execute(&mut raw).await?.rows_affected()
                }
                Damage::MalformRow => {
                    let generation = "UPDATE resource SET generation = x'2a' WHERE id = (SELECT resource FROM variant WHERE id = ?)";
                    query(generation).bind(variant).execute(&mut raw).await?;
                    let body = "UPDATE variant SET body = CAST('garbage' AS BLOB), heads = -1 WHERE id = ?";
                    query(body).bind(variant).execute(&mut raw).await?.rows_affected()
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

    /// The files, with what is in no row any more.
    async fn dump(&self, _: &Namespace) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let mut dump = Vec::new();
        for file in std::fs::read_dir(self.0.path())? {
            dump.push(std::fs::read(file?.path())?);
        }
        Ok(dump)
    }
}

async fn replace(
    raw: &mut SqliteConnection,
    damage: Damage,
    variant: i64,
    read: &'static str,
    write: &'static str,
) -> Result<u64, sqlx::Error> {
    let mut changed = 0;
    for row in query(read).bind(variant).fetch_all(&mut *raw).await? {
        let (id, bytes): (i64, Vec<u8>) = (row.get(0), row.get(1));
        changed += query(write).bind(damage.apply(&bytes)).bind(id).execute(&mut *raw).await?.rows_affected();
    }
    Ok(changed)
}
