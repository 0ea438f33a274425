//! Deleting what is dead, in batches of bounded size, each a statement of its own.

use std::time::SystemTime;

use cache_api::{Result, Swept};

use crate::{
    connections::Repeat,
    row::{duration_nanos, nanos, total},
    storage::Inner,
};

/// After how many writes one batch is swept in passing.
const EVERY: u32 = 64;

/// How many rows of each table one batch deletes.
const BATCH: i64 = 256;

/// How many frames one batch deletes: 32 MiB of plaintext.
const FRAMES: i64 = 128;

/// What one batch deleted.
struct Batch {
    swept: Swept,
    changed: u64,
}

impl Inner {
    /// Deletes all that is dead.
    pub(crate) async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        let mut all = Swept::default();
        loop {
            let batch = self.sweep_batch(now).await?;
            all.entries += batch.swept.entries;
            all.bodies += batch.swept.bodies;
            if batch.changed == 0 {
                return Ok(all);
            }
        }
    }

    /// Sweeps one batch in passing, now and then. The write before it is done: a failure is only reported.
    pub(crate) async fn after_write(&self, now: SystemTime) {
        if self.count_write() % EVERY == EVERY - 1 {
            self.report(self.sweep_batch(now).await);
        }
    }

    /// Deletes the rows that `clear` put out of sight.
    pub(crate) async fn delete_cleared(&self) {
        let delete = || self.sql(&self.statements.sweep_cleared).bind(self.read_grace()).bind(BATCH);
        loop {
            match self.run("clear", Repeat::Safe, delete).await {
                Ok(rows) if total(&rows, 0) == 0 => return,
                Ok(_) => {}
                Err(cause) => return self.report::<()>(Err(cause)),
            }
        }
    }

    fn report<T>(&self, outcome: Result<T>) {
        if let Err(cause) = outcome {
            let cause: &dyn std::error::Error = &cause;
            tracing::warn!(backend = "postgres", namespace = %self.namespace, error = cause, "sweeping failed");
        }
    }

    async fn sweep_batch(&self, now: SystemTime) -> Result<Batch> {
        let now = nanos(now);
        let began_before = now.saturating_sub(duration_nanos(self.limits.max_write));
        let sweep = || {
            let sweep = self.sql(&self.statements.sweep).bind(now).bind(self.read_grace());
            sweep.bind(began_before).bind(BATCH).bind(FRAMES)
        };
        let rows = self.run("sweep", Repeat::Safe, sweep).await?;
        let swept = Swept::new(total(&rows, 0), total(&rows, 1));
        Ok(Batch { swept, changed: total(&rows, 2) })
    }
}
