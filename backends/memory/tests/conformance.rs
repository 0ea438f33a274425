//! The suite that every storage passes.

use std::{process::ExitCode, sync::Arc};

use cache_api::{Limits, Namespace};
use cache_backend_memory::MemoryStorage;
use cache_conformance::{Opened, Subject, Suite};

struct Memory;

#[async_trait::async_trait]
impl Subject for Memory {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        Ok(Arc::new(MemoryStorage::builder().namespace(namespace.clone()).limits(limits).build()?))
    }
}

fn main() -> ExitCode {
    Suite::new("memory", Memory).run()
}
