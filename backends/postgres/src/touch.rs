use std::time::SystemTime;

use async_trait::async_trait;
use cache_api::{Result, Touch, Use};

use crate::{
    PostgresStorage,
    connections::Repeat,
    row::{get, nanos},
};

/// How many uses one statement records.
const BATCH: usize = 256;

#[async_trait]
impl Touch for PostgresStorage {
    async fn touch(&self, uses: &[Use], _now: SystemTime) -> Result<()> {
        let inner = &*self.inner;
        for batch in uses.chunks(BATCH) {
            let keys: Vec<&[u8]> = batch.iter().map(|one| &one.key.as_bytes()[..]).collect();
            let variants: Vec<&[u8]> = batch.iter().map(|one| &one.variant.as_bytes()[..]).collect();
            let times: Vec<i64> = batch.iter().map(|one| nanos(one.at)).collect();
            let touch = || inner.sql(&inner.statements.touch).bind(&keys).bind(&variants).bind(&times);
            // Repeated after an answer that was lost, a batch may count twice.
            for busy in inner.run("touch", Repeat::Safe, touch).await? {
                let [id, at, uses] = [0, 1, 2].map(|column| get::<i64>(&busy, column));
                let touch = || inner.sql(&inner.statements.touch_one).bind(id).bind(at).bind(uses);
                inner.run("touch", Repeat::Safe, touch).await?;
            }
        }
        Ok(())
    }
}
