//! The example storage of `cache-api` under the suite: what a third party's test file looks like.

#[allow(dead_code, unreachable_pub, reason = "the example is a program of its own")]
#[path = "../../cache-api/examples/custom_storage.rs"]
mod custom_storage;

use std::{process::ExitCode, sync::Arc};

use cache_api::{Limits, Namespace};
use cache_conformance::{Ability, Opened, Subject, Suite};
use custom_storage::MapStorage;

struct Map;

#[async_trait::async_trait]
impl Subject for Map {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        Ok(Arc::new(MapStorage::new(namespace.clone(), limits)))
    }
}

fn main() -> ExitCode {
    let abilities = [Ability::Leases, Ability::Tags, Ability::Listing, Ability::Touch, Ability::Events];
    abilities.into_iter().fold(Suite::new("map", Map), Suite::without).run()
}
