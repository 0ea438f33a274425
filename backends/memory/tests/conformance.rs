//! The suite that every storage passes.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use cache_api::{Limits, Namespace};
use cache_backend_memory::MemoryStorage;
use cache_conformance::{Ability, Opened, Subject, Suite};

/// What was opened: a second handle on a namespace is a clone.
#[derive(Default)]
struct Memory(Mutex<HashMap<Namespace, MemoryStorage>>);

#[async_trait::async_trait]
impl Subject for Memory {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        let storage = MemoryStorage::builder().namespace(namespace.clone()).limits(limits).build()?;
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::new(opened.entry(namespace.clone()).or_insert(storage).clone()))
    }
}

fn main() -> ExitCode {
    Suite::new("memory", Memory::default()).shared().without(Ability::Events).run()
}
