//! The reference as a subject: shared, persistent as long as this value lives, and open to damage.

use std::{
    error::Error,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{Body, CacheKey, CborSerializer, Frame, Limits, Namespace, Record, StoredHead};
use cache_conformance::{Damage, Opened, OwnServer, RawStore, Remote, ServerError, Subject, Suite};

use cache_serializers::{Encrypted, Key, Keyring};

use crate::{
    fault::Fault,
    reference::{Reference, World},
    wire::{Link, Server, TIMEOUT},
};

pub(crate) struct Maps {
    world: Arc<World>,
    server: Arc<LazyLock<Server>>,
}

impl Maps {
    fn new(fault: Fault) -> Self {
        Self { world: World::new(fault), server: Arc::new(LazyLock::new(Server::start)) }
    }
}

pub(crate) fn suite(fault: Fault) -> Suite {
    let keyring = Keyring::new(1, Key::from_bytes(&[7; 32]));
    let hiding = Arc::new(Encrypted::new(CborSerializer::new(), &keyring));
    Suite::new(format!("{fault:?}"), Maps::new(fault)).shared().persistent().hiding(hiding)
}

#[async_trait]
impl Subject for Maps {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        Ok(Arc::new(Reference::open(&self.world, namespace, limits)))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }

    fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
        Some(Arc::new(Own { fault: self.world.fault, server: Mutex::default() }))
    }
}

#[async_trait]
impl Remote for Maps {
    fn address(&self) -> String {
        self.server.address()
    }

    async fn open_at(&self, address: &str, namespace: &Namespace, limits: Limits) -> Opened {
        let reference = Reference::open(&self.world, namespace, limits);
        Ok(Arc::new(reference.behind(Link::to(address, self.world.fault))))
    }

    fn timeout(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }
}

/// A server whose store is the maps: they outlive it.
struct Own {
    fault: Fault,
    server: Mutex<Option<Arc<LazyLock<Server>>>>,
}

#[async_trait]
impl OwnServer for Own {
    async fn start(&self) -> Result<Arc<dyn Subject>, ServerError> {
        let maps = Maps::new(self.fault);
        *self.server.lock().unwrap() = Some(Arc::clone(&maps.server));
        Ok(Arc::new(maps))
    }

    async fn kill(&self) -> Result<(), ServerError> {
        self.server.lock().unwrap().as_ref().unwrap().kill();
        Ok(())
    }

    async fn restart(&self) -> Result<(), ServerError> {
        self.server.lock().unwrap().as_ref().unwrap().restart();
        Ok(())
    }
}

#[async_trait]
impl RawStore for Maps {
    async fn damage(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
        damage: Damage,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let storage = Reference::open(&self.world, namespace, Limits::default());
        let record = storage.with(|space| space.records.get(key).cloned().unwrap_or_default());
        let mut variants = record.variants().to_vec();
        let mut changed = 0;
        for variant in &mut variants {
            match damage {
                Damage::FlipFrame | Damage::TruncateFrame => match &mut variant.body {
                    Body::Inline(inline) => {
                        let bytes = inline.frame.bytes().await?;
                        inline.frame = Frame::from_bytes(Bytes::from(damage.apply(bytes)));
                    }
                    Body::Stored(stored) => {
                        let frames =
                            storage.with(|space| space.bodies.get(&stored.id).map(|k| k.frames.clone()));
                        let mut damaged = Vec::new();
                        for frame in frames.unwrap_or_default() {
                            damaged.push(Frame::from_bytes(Bytes::from(damage.apply(frame.bytes().await?))));
                        }
                        storage.with(|space| {
                            space.bodies.entry(stored.id).and_modify(|kept| kept.frames = damaged);
                        });
                    }
                },
                Damage::DropFrame => storage.with(|space| {
                    space.bodies.entry(variant.version.body).and_modify(|kept| {
                        kept.frames.pop();
                    });
                }),
                _ => {
                    let bytes = variant.head.bytes().await?;
                    variant.head = StoredHead::from_bytes(Bytes::from(damage.apply(bytes)));
                }
            }
            changed += 1;
        }
        let record = Record::from_parts(record.generation(), variants, record.tombstone_until());
        storage.with(|space| space.records.insert(*key, record));
        Ok(changed)
    }

    fn counts(&self) -> bool {
        true
    }

    async fn count(
        &self,
        namespace: &Namespace,
        key: &CacheKey,
    ) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let storage = Reference::open(&self.world, namespace, Limits::default());
        let variants =
            storage.with(|space| space.records.get(key).map_or(0, |record| record.variants().len()));
        Ok(variants as u64)
    }

    fn dumps(&self) -> bool {
        true
    }

    async fn dump(&self, namespace: &Namespace) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let storage = Reference::open(&self.world, namespace, Limits::default());
        let (heads, frames): (Vec<_>, Vec<_>) = storage.with(|space| {
            let variants = space.records.values().flat_map(|record| record.variants().to_vec());
            let mut frames: Vec<_> = space.bodies.values().flat_map(|kept| kept.frames.clone()).collect();
            let heads = variants.map(|variant| {
                if let Body::Inline(inline) = variant.body {
                    frames.push(inline.frame);
                }
                variant.head
            });
            (heads.collect(), frames)
        });
        let mut dump = Vec::new();
        if self.world.fault == Fault::DumpsNothing {
            return Ok(dump);
        }
        for head in heads {
            dump.push(head.bytes().await?.to_vec());
        }
        for frame in frames {
            dump.push(frame.bytes().await?.to_vec());
        }
        Ok(dump)
    }
}
