//! The object of a resource in object storage: whatever it holds, a lookup is a miss, an error or right.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use cache_api::{CacheKey, MAX_VARIANTS, Storage};
use cache_backend_object_store::ObjectStoreStorage;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::xxh3_64;

/// The resource.
pub const KEY: CacheKey = CacheKey::from_bytes([1; 32]);

static STORE: LazyLock<(Runtime, Arc<dyn ObjectStore>, ObjectStoreStorage)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let building = ObjectStoreStorage::builder().store(Arc::clone(&store)).build();
    let storage = runtime.block_on(building).expect("a store in memory");
    (runtime, store, storage)
});

/// Puts the bytes in the place of a resource's object, as they are and after what such an object begins with.
pub fn run(data: &[u8]) {
    let (runtime, store, storage) = &*STORE;
    let path = path();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for object in [data.to_vec(), started(data)] {
        runtime.block_on(async {
            store.put(&path, object.into()).await.expect("a store in memory");
            if let Ok(resource) = storage.lookup(&KEY, now).await {
                assert!(resource.variants().len() <= MAX_VARIANTS);
                assert!(resource.variants().iter().all(|variant| variant.is_live(now)));
            }
        });
    }
}

/// The name of its object.
#[must_use]
pub fn path() -> Path {
    Path::from(format!("http-cache-1/default/r/{:02x}/{KEY}", xxh3_64(KEY.as_bytes()) & 0xff))
}

/// The magic word, a checksum that is right, the writing's id and the key before the rest.
fn started(rest: &[u8]) -> Vec<u8> {
    let fields = [&[9; 16][..], KEY.as_bytes(), rest].concat();
    [&b"HCR1"[..], &xxh3_64(&fields).to_be_bytes(), &fields].concat()
}
