use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use cache_api::{BodyId, BodyWriter, Frame, Result, StoredBody};

use crate::{storage::Shared, weight};

/// Writes a body into the [transit](crate::transit), where a commit finds it.
#[derive(Debug)]
pub(crate) struct MemoryWriter {
    shared: Arc<Shared>,
    body: BodyId,
    limit: SystemTime,
    finished: bool,
}

impl MemoryWriter {
    pub(crate) fn begin(shared: Arc<Shared>, body: BodyId, now: SystemTime) -> Result<Self> {
        shared.transit.begin(body, now.checked_add(shared.limits.max_write).unwrap_or(now))?;
        let limit = shared.limits.retention_from(now);
        Ok(Self { shared, body, limit, finished: false })
    }
}

#[async_trait]
impl BodyWriter for MemoryWriter {
    async fn write(&mut self, frame: Frame) -> Result<()> {
        let bytes = weight::of_frame(&frame).await?;
        self.shared.transit.append(self.body, frame, bytes, self.shared.bounds.entry)
    }

    async fn finish(mut self: Box<Self>, len: u64) -> Result<StoredBody> {
        let body = self.shared.transit.finish(self.body, len, self.limit)?;
        self.finished = true;
        Ok(body)
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.transit.forget(self.body);
        }
    }
}
