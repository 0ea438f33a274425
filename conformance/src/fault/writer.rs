use async_trait::async_trait;
use cache_api::{BodyWriter, Error, ErrorKind, Frame, Result, StoredBody};

use super::{FaultyStorage, Operation, storage::around};

/// A writer that may break at a frame. Once it did, the body is abandoned: it takes no more, and does not end.
#[derive(Debug)]
pub(super) struct FaultyWriter {
    storage: FaultyStorage,
    inner: Option<Box<dyn BodyWriter>>,
    frame: u32,
}

impl FaultyWriter {
    pub(super) fn new(storage: FaultyStorage, inner: Box<dyn BodyWriter>) -> Self {
        Self { storage, inner: Some(inner), frame: 0 }
    }
}

fn broken(operation: Operation) -> Error {
    Error::new(ErrorKind::Misuse, operation.name())
        .with_backend("faulty")
        .with_message("an earlier frame was not written")
}

#[async_trait]
impl BodyWriter for FaultyWriter {
    async fn write(&mut self, frame: Frame) -> Result<()> {
        let fault = self.storage.next(Operation::Write, Some(self.frame));
        self.frame = self.frame.saturating_add(1);
        // Taken out meanwhile: a write that is dropped leaves the body broken, too.
        let mut inner = self.inner.take().ok_or_else(|| broken(Operation::Write))?;
        around(Operation::Write, fault, inner.write(frame)).await?;
        self.inner = Some(inner);
        Ok(())
    }

    async fn finish(self: Box<Self>, len: u64) -> Result<StoredBody> {
        let fault = self.storage.next(Operation::Finish, None);
        let inner = self.inner.ok_or_else(|| broken(Operation::Finish))?;
        around(Operation::Finish, fault, inner.finish(len)).await
    }
}
