//! The tables, and how a file becomes or is recognised as one of ours.

use sqlx::{SqliteConnection, raw_sql};

use crate::row::get;

/// Marks the file as this cache's: "httc" in ASCII.
pub(crate) const APPLICATION_ID: i64 = 0x6874_7463;

/// The layout that this release writes.
pub(crate) const VERSION: i64 = 2;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Ours,
    /// Ours, as a release before this one laid it out.
    Older,
    Empty,
    Newer(i64),
    Foreign,
}

/// Lays out an empty database, if it is to `create` one, and brings an older layout up to date; leaves another as it
/// is. Safe while other processes do the same, and while programs of the older release have the file open.
pub(crate) async fn prepare(
    connection: &mut SqliteConnection,
    create: bool,
) -> Result<Identity, sqlx::Error> {
    match identify(connection).await? {
        Identity::Empty if create => lay_out(connection).await,
        Identity::Older => upgrade(connection).await,
        identity => Ok(identity),
    }
}

async fn lay_out(connection: &mut SqliteConnection) -> Result<Identity, sqlx::Error> {
    // Both must come before the first table; the switch to WAL writes the first page.
    raw_sql("PRAGMA auto_vacuum = INCREMENTAL").execute(&mut *connection).await?;
    raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await?;
    change(connection, Identity::Empty, TABLES).await
}

async fn upgrade(connection: &mut SqliteConnection) -> Result<Identity, sqlx::Error> {
    change(connection, Identity::Older, UPGRADE).await
}

/// Makes it ours in one transaction, if it still is what it was: another process may have been first.
async fn change(
    connection: &mut SqliteConnection,
    from: Identity,
    sql: &'static str,
) -> Result<Identity, sqlx::Error> {
    raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let identity = identify(connection).await?;
    if identity == from {
        raw_sql(sql).execute(&mut *connection).await?;
    }
    raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(if identity == from { Identity::Ours } else { identity })
}

/// One statement, so that what it finds was so at one instant.
const IDENTITY: &str = "
SELECT (SELECT count(*) FROM sqlite_schema), (SELECT application_id FROM pragma_application_id),
    (SELECT user_version FROM pragma_user_version)";

async fn identify(connection: &mut SqliteConnection) -> Result<Identity, sqlx::Error> {
    let row = sqlx::query(IDENTITY).persistent(false).fetch_one(connection).await?;
    let number = |column| get::<i64>(&row, column).unwrap_or(0);
    Ok(match (number(0), number(1), number(2)) {
        (_, APPLICATION_ID, VERSION) => Identity::Ours,
        (_, APPLICATION_ID, 1) => Identity::Older,
        (_, APPLICATION_ID, version) => Identity::Newer(version),
        (0, 0, 0) => Identity::Empty,
        _ => Identity::Foreign,
    })
}

/// All the tables are small-rowed but `content` and `frame`, which hold the bytes under a row id of their
/// own: what looks over many entries reads no bodies, and recording a use does not rewrite one.
///
/// All times are nanoseconds since 1970.
const TABLES: &str = "
-- `clear` does not delete: it sets `cleared_at` and inserts a row of the same name, with another epoch.
-- Nothing looks into a cleared row but the sweep.
CREATE TABLE namespace (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    epoch BLOB NOT NULL,
    purges INTEGER NOT NULL DEFAULT 0,
    live INTEGER NOT NULL DEFAULT 0,
    retired INTEGER NOT NULL DEFAULT 0,
    cleared_at INTEGER
) STRICT;
CREATE UNIQUE INDEX namespace_current ON namespace (name) WHERE cleared_at IS NULL;
CREATE INDEX namespace_cleared ON namespace (name) WHERE cleared_at IS NOT NULL;

-- Sixteen zeros are the generation of what was not removed within living memory, as is an absent row.
CREATE TABLE resource (
    id INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL,
    key BLOB NOT NULL,
    generation BLOB NOT NULL,
    tombstone_until INTEGER,
    UNIQUE (namespace, key)
) STRICT;
CREATE INDEX resource_tombstone ON resource (namespace, tombstone_until) WHERE tombstone_until IS NOT NULL;

-- `stored` is the body's row, NULL where the body is in `content`; `size` is what counts towards the bound.
CREATE TABLE variant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    variant BLOB NOT NULL,
    body BLOB NOT NULL,
    heads INTEGER NOT NULL,
    stored INTEGER,
    frames INTEGER NOT NULL,
    len INTEGER NOT NULL,
    size INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    dead_at INTEGER NOT NULL,
    limit_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    tags BLOB NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0,
    UNIQUE (resource, variant)
) STRICT;
CREATE INDEX variant_dead ON variant (namespace, dead_at);
CREATE INDEX variant_used ON variant (namespace, used_at);

CREATE TABLE content (
    variant INTEGER PRIMARY KEY,
    head BLOB NOT NULL,
    inline BLOB
) STRICT;

-- Pending until `committed`; retired (and deleted from `gone_at` on) when nothing has it any more.
CREATE TABLE body (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL,
    body BLOB NOT NULL UNIQUE,
    began_at INTEGER NOT NULL,
    limit_at INTEGER NOT NULL,
    committed INTEGER NOT NULL DEFAULT 0,
    gone_at INTEGER,
    frames INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX body_pending ON body (namespace, began_at) WHERE committed = 0 AND gone_at IS NULL;
CREATE INDEX body_gone ON body (namespace, gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE frame (
    body INTEGER NOT NULL,
    n INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    UNIQUE (body, n)
) STRICT;

CREATE TABLE tag (
    namespace INTEGER NOT NULL,
    tag BLOB NOT NULL,
    variant INTEGER NOT NULL,
    PRIMARY KEY (namespace, tag, variant)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_variant ON tag (variant);

-- `purge` is the number of the namespace's purge that wrote it last.
CREATE TABLE tag_tombstone (
    namespace INTEGER NOT NULL,
    tag BLOB NOT NULL,
    purge INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (namespace, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_tombstone_until ON tag_tombstone (namespace, until);

CREATE TABLE lease (
    namespace INTEGER NOT NULL,
    key BLOB NOT NULL,
    token BLOB NOT NULL,
    until INTEGER NOT NULL,
    uncacheable_until INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER variant_added AFTER INSERT ON variant BEGIN
    UPDATE namespace SET live = live + new.size WHERE id = new.namespace;
END;
CREATE TRIGGER variant_resized AFTER UPDATE OF size ON variant WHEN new.size <> old.size BEGIN
    UPDATE namespace SET live = live + new.size - old.size WHERE id = new.namespace;
END;
CREATE TRIGGER variant_dropped AFTER DELETE ON variant BEGIN
    UPDATE namespace SET live = live - old.size WHERE id = old.namespace;
    DELETE FROM content WHERE variant = old.id;
    DELETE FROM tag WHERE variant = old.id;
    DELETE FROM resource WHERE id = old.resource AND tombstone_until IS NULL
        AND NOT EXISTS (SELECT 1 FROM variant WHERE resource = old.resource);
END;
CREATE TRIGGER frame_added AFTER INSERT ON frame BEGIN
    UPDATE body SET frames = frames + 1, bytes = bytes + length(new.bytes) WHERE id = new.body;
END;
CREATE TRIGGER body_retired AFTER UPDATE OF gone_at ON body
    WHEN old.gone_at IS NULL AND new.gone_at IS NOT NULL BEGIN
    UPDATE namespace SET retired = retired + new.bytes WHERE id = new.namespace;
END;
CREATE TRIGGER body_dropped AFTER DELETE ON body WHEN old.gone_at IS NOT NULL BEGIN
    UPDATE namespace SET retired = retired - old.bytes WHERE id = old.namespace;
END;

PRAGMA application_id = 1752462435;
PRAGMA user_version = 2;
";

/// What layout 2 has and layout 1 has not. Statements of releases with layout 1 go on working.
const UPGRADE: &str = "
ALTER TABLE variant ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 2;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_are_those_of_the_constants() {
        assert!(TABLES.contains(&format!("application_id = {APPLICATION_ID};")));
        assert!(TABLES.contains(&format!("user_version = {VERSION};")));
        assert!(UPGRADE.contains(&format!("user_version = {VERSION};")));
    }
}
