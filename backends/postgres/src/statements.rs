//! The statements, as they read in a schema of that name.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

/// The schema that the files in `sql` name, and the default one.
pub(crate) const SCHEMA: &str = "http_cache";

/// A file of SQL, in which the name of the schema takes the default one's place.
///
/// What is put there has been [checked](crate::schema::check_name): it needs no escaping.
pub(crate) fn in_schema(sql: &str, schema: &str) -> String {
    sql.replace("http_cache.", &format!("\"{schema}\"."))
}

macro_rules! statements {
    ($($name:ident = $sql:expr),+ $(,)?) => {
        pub(crate) struct Statements {
            $(pub(crate) $name: Statement,)+
        }

        impl Statements {
            pub(crate) fn in_schema(schema: &str) -> Self {
                Self { $($name: Statement(in_schema($sql, schema).into()),)+ }
            }
        }
    };
}

#[derive(Clone)]
pub(crate) struct Statement(Arc<str>);

impl Statement {
    pub(crate) fn sql(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}

statements! {
    new_namespace = include_str!("sql/new_namespace.sql"),
    lookup = include_str!("sql/lookup.sql"),
    read = include_str!("sql/read.sql"),
    begin_body = include_str!("sql/begin_body.sql"),
    append_frame = include_str!("sql/append_frame.sql"),
    abandon_body = include_str!("sql/abandon_body.sql"),
    commit = include_str!("sql/commit.sql"),
    remove_resource = "SELECT http_cache.remove_resource($1, $2, $3, $4, $5), pg_notify($6, $7)",
    remove_version = "SELECT http_cache.remove_version($1, $2, $3, $4, $5, $6), pg_notify($7, $8)",
    purge = include_str!("sql/purge.sql"),
    clear = "SELECT http_cache.clear_namespace($1, $2), pg_notify($3, $4)",
    sweep = "SELECT entries, bodies, changed FROM http_cache.sweep_batch($1, $2, $3, $4, $5, $6)",
    sweep_cleared = "SELECT http_cache.sweep_cleared($1, $2, $3)",
    list = include_str!("sql/list.sql"),
    list_tag = include_str!("sql/list_tag.sql"),
    count = include_str!("sql/count.sql"),
    count_tag = include_str!("sql/count_tag.sql"),
    acquire_lease =
        "SELECT token, until, uncacheable_until FROM http_cache.acquire_lease($1, $2, $3, $4, $5)",
    extend_lease = include_str!("sql/extend_lease.sql"),
    release_lease = include_str!("sql/release_lease.sql"),
    release_uncacheable = include_str!("sql/release_uncacheable.sql"),
    touch = include_str!("sql/touch.sql"),
    touch_one = include_str!("sql/touch_one.sql"),
}

#[cfg(test)]
mod tests {
    use super::in_schema;

    #[test]
    fn the_schema_takes_its_place() {
        assert_eq!(
            in_schema("SELECT http_cache.f(a.b) FROM http_cache.t", "x"),
            "SELECT \"x\".f(a.b) FROM \"x\".t"
        );
    }
}
