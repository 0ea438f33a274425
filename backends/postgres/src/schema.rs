//! The schema: how it becomes ours, or is recognised as it.

use cache_api::{Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, PgConnection, query, raw_sql};

use crate::{
    connections::Connections,
    error::{code, error, failed, stricter},
    row::get,
    statements::{SCHEMA, in_schema},
};

/// What marks the schema as this cache's.
const APPLICATION: &str = "http-cache";

/// The layout that this release writes.
const VERSION: i64 = 2;

/// PostgreSQL 13: the first with `gen_random_uuid` of its own.
const OLDEST_SERVER: i64 = 130_000;

/// The layout, in the order in which its parts need each other.
const LAYOUT: &[&str] = &[
    include_str!("sql/layout/tables.sql"),
    include_str!("sql/layout/functions.sql"),
    include_str!("sql/layout/commit.sql"),
    include_str!("sql/layout/remove.sql"),
    include_str!("sql/layout/sweep.sql"),
    include_str!("sql/layout/leases.sql"),
];

/// What makes layout 1 into this one; the functions that changed come after it, in place of the old ones.
const UPGRADE: &str = include_str!("sql/layout/upgrade.sql");
const CHANGED: &[&str] = &[include_str!("sql/layout/commit.sql")];

/// Which schema, and how it is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) create: bool,
    pub(crate) unlogged: bool,
}

impl Default for Schema {
    fn default() -> Self {
        Self { name: SCHEMA.to_owned(), create: true, unlogged: false }
    }
}

/// A name that needs no quoting anywhere.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let reserved = name.starts_with("pg_") || name == "information_schema";
    let digit = name.as_bytes().first().is_none_or(u8::is_ascii_digit);
    if name.len() > 63 || digit || reserved || !name.bytes().all(allowed) {
        return Err(error(ErrorKind::Config, "open").with_message(format!(
            "{name:?} is no schema for the cache: use up to 63 of a-z, 0-9 and '_', no digit first, not pg_…"
        )));
    }
    Ok(())
}

/// What the schema turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    Ours,
    /// Ours, as a release before this one laid it out.
    Older,
    Absent,
    Empty,
    Newer(i64),
    Foreign(String),
}

impl Schema {
    /// The statements that lay the schema out.
    pub(crate) fn layout(&self) -> String {
        let mut sql = format!("CREATE SCHEMA IF NOT EXISTS \"{}\";\n", self.name);
        sql.push_str(&self.tables());
        sql
    }

    fn tables(&self) -> String {
        let unlogged = if self.unlogged { "UNLOGGED " } else { "" };
        in_schema(&LAYOUT.concat(), &self.name).replace("/*unlogged*/ ", unlogged)
    }

    /// The statements that make layout 1 into this one. What is granted stays granted.
    pub(crate) fn upgrade(&self) -> String {
        let changed = CHANGED.concat().replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION");
        in_schema(&(UPGRADE.to_owned() + &changed), &self.name)
    }

    /// Lays the schema out where it is not there or empty, and brings an older layout up to date; leaves another as it
    /// is. Safe while other processes do the same, and while replicas of the older release work in it.
    pub(crate) async fn open(&self, connections: &Connections) -> Result<()> {
        let mut lent = connections.acquire().await?;
        let connection = lent.connection()?;
        // One transaction, so that a pooler between keeps to one connection.
        execute(connection, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        let mut identity = self.identify(connection, connections.is_prepared()).await?;
        if matches!(identity, Identity::Absent | Identity::Empty | Identity::Older) && self.create {
            query("SELECT pg_advisory_xact_lock(hashtextextended('http-cache layout ' || $1, 0))")
                .bind(&self.name)
                .persistent(false)
                .execute(&mut *connection)
                .await
                .map_err(|cause| failed("open", cause))?;
            // Another process may have been first.
            identity = self.identify(connection, connections.is_prepared()).await?;
            if let Some(sql) = match identity {
                Identity::Absent => Some(self.layout()),
                Identity::Empty => Some(self.tables()),
                Identity::Older => Some(self.upgrade()),
                _ => None,
            } {
                let done = raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await;
                done.map_err(|cause| self.cannot_create(&identity, cause))?;
                identity = Identity::Ours;
            }
        }
        execute(connection, "COMMIT").await?;
        lent.give_back();
        self.judge(&identity)
    }

    async fn identify(&self, connection: &mut PgConnection, prepared: bool) -> Result<Identity> {
        let found = query(include_str!("sql/identify.sql")).bind(&self.name).persistent(false);
        let row = found.fetch_one(&mut *connection).await.map_err(|cause| failed("open", cause))?;
        let server: i64 = get(&row, 0).unwrap_or(0);
        if server < OLDEST_SERVER {
            return Err(error(ErrorKind::Incompatible, "open").with_message(format!(
                "the server is PostgreSQL {}: the cache needs 13 or newer",
                server / 10_000
            )));
        }
        // Statements that are not prepared come in transactions that name their isolation.
        if prepared && get::<&str>(&row, 1) != Some("read committed") {
            return Err(stricter("open"));
        }
        if get(&row, 2) != Some(true) {
            return Ok(Identity::Absent);
        }
        if get(&row, 3) != Some(true) {
            return Ok(get(&row, 4).map_or(Identity::Empty, Identity::Foreign));
        }
        let layout = in_schema("SELECT application, version FROM http_cache.layout LIMIT 2", &self.name);
        let layout = query(AssertSqlSafe(layout)).persistent(false).fetch_all(&mut *connection).await;
        let rows = match layout {
            Ok(rows) => rows,
            Err(cause) if code(&cause).as_deref() == Some("42703") => Vec::new(),
            Err(cause) => return Err(failed("open", cause)),
        };
        let marks: Vec<_> = rows.iter().map(|row| (get::<String>(row, 0), get::<i64>(row, 1))).collect();
        Ok(match marks.as_slice() {
            [(Some(application), Some(version))] if application == APPLICATION => match *version {
                VERSION => Identity::Ours,
                1 => Identity::Older,
                version => Identity::Newer(version),
            },
            _ => Identity::Foreign("layout".to_owned()),
        })
    }

    fn judge(&self, identity: &Identity) -> Result<()> {
        let name = &self.name;
        let (kind, message) = match identity {
            Identity::Ours => return Ok(()),
            Identity::Newer(version) => (
                ErrorKind::Incompatible,
                format!(
                    "the schema {name} has the layout {version} of another release, this one knows {VERSION}: \
                     update this program, or name another schema"
                ),
            ),
            Identity::Older => (
                ErrorKind::Config,
                format!(
                    "the schema {name} has the layout of an older release: allow it to be changed with \
                     `create(true)`, or have it done with the statements of `PostgresStorageBuilder::layout_upgrade`"
                ),
            ),
            Identity::Foreign(table) => (
                ErrorKind::Incompatible,
                format!(
                    "the schema {name} is another application's (it has {table}): give the cache a schema of its own"
                ),
            ),
            Identity::Absent | Identity::Empty => (
                ErrorKind::Config,
                format!(
                    "the schema {name} is not laid out: allow it with `create(true)`, or have it done with the \
                     statements of `PostgresStorageBuilder::layout`"
                ),
            ),
        };
        Err(error(kind, "open").with_message(message))
    }

    fn cannot_create(&self, identity: &Identity, cause: sqlx::Error) -> Error {
        let name = &self.name;
        let failure = failed("open", cause);
        if failure.kind() != ErrorKind::Denied {
            return failure.with_message(format!("the schema {name} could not be laid out"));
        }
        if *identity == Identity::Older {
            return failure.with_message(format!(
                "the schema {name} has the layout of an older release, and the role may not change it: have its \
                 owner run the statements of `PostgresStorageBuilder::layout_upgrade`"
            ));
        }
        let (what, fix) = match identity {
            Identity::Absent => ("create the schema", "GRANT CREATE ON DATABASE … TO …, or CREATE SCHEMA"),
            _ => ("create tables in the schema", "GRANT CREATE, USAGE ON SCHEMA"),
        };
        failure.with_message(format!(
            "the role may not {what} {name}: {fix} {name} …; the README has the GRANTs"
        ))
    }
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<()> {
    raw_sql(sql).execute(connection).await.map(drop).map_err(|cause| failed("open", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quoting() {
        for good in ["a", "http_cache", "_x9", &"x".repeat(63)] {
            check_name(good).unwrap();
        }
        for bad in ["", "A", "a-b", "a\"b", "9a", "pg_x", "information_schema", "a.b", "é", &"x".repeat(64)]
        {
            assert_eq!(check_name(bad).unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
        }
    }

    #[test]
    fn the_layout_says_what_the_constants_say() {
        let schema = Schema { name: "x".into(), create: true, unlogged: true };
        let sql = schema.layout();
        assert!(sql.contains(&format!("INSERT INTO \"x\".layout VALUES ('{APPLICATION}', {VERSION});")));
        assert!(
            sql.contains("CREATE UNLOGGED TABLE \"x\".frame") && sql.contains("CREATE TABLE \"x\".layout")
        );
        assert!(!sql.contains("http_cache.") && !sql.contains("/*"));
        assert!(!Schema::default().layout().contains("UNLOGGED TABLE"));
        let upgrade = schema.upgrade();
        assert!(upgrade.contains(&format!("UPDATE \"x\".layout SET version = {VERSION};")));
        assert!(!upgrade.contains("http_cache.") && !upgrade.contains("CREATE FUNCTION"));
    }
}
