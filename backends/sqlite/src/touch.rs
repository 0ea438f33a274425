use std::{fmt::Write as _, time::SystemTime};

use async_trait::async_trait;
use cache_api::{Result, Touch, Use};

use crate::{
    SqliteStorage,
    row::{nanos, transaction},
};

/// How many uses one transaction records.
const BATCH: usize = 256;

const TOUCH: &str = transaction!(
    "UPDATE variant SET used_at = max(used_at, touched.at), uses = variant.uses + touched.uses
FROM (SELECT v.id, max(u.value ->> 2) AS at, count(*) AS uses FROM json_each($2) u
    JOIN namespace s ON s.name = $1 AND s.cleared_at IS NULL
    JOIN resource r ON r.namespace = s.id AND r.key = unhex(u.value ->> 0)
    JOIN variant v ON v.resource = r.id AND v.variant = unhex(u.value ->> 1)
    GROUP BY v.id) touched
WHERE variant.id = touched.id",
);

#[async_trait]
impl Touch for SqliteStorage {
    async fn touch(&self, uses: &[Use], _now: SystemTime) -> Result<()> {
        for batch in uses.chunks(BATCH) {
            let rows = rows(batch);
            self.inner.database.run("touch", || self.inner.sql(TOUCH).bind(rows.clone())).await?;
        }
        Ok(())
    }
}

/// A JSON array of `[key, variant, at]`, bound as one parameter.
fn rows(uses: &[Use]) -> String {
    let mut json = String::with_capacity(2 + 128 * uses.len());
    for Use { key, variant, at } in uses {
        let open = if json.is_empty() { '[' } else { ',' };
        let _ = write!(json, "{open}[\"{key}\",\"{variant}\",{}]", nanos(*at));
    }
    json.push_str(if json.is_empty() { "[]" } else { "]" });
    json
}
