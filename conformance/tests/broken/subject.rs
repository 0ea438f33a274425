//! The reference as a subject: shared, persistent as long as this value lives, and open to damage.

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use cache_api::{Body, CacheKey, Frame, Limits, Namespace, Record, StoredHead};
use cache_conformance::{Damage, Opened, RawStore, Subject, Suite};

use crate::{
    fault::Fault,
    reference::{Reference, World},
};

pub(crate) struct Maps(Arc<World>);

pub(crate) fn suite(fault: Fault) -> Suite {
    Suite::new(format!("{fault:?}"), Maps(World::new(fault))).shared().persistent()
}

#[async_trait]
impl Subject for Maps {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        Ok(Arc::new(Reference::open(&self.0, namespace, limits)))
    }

    fn raw(&self) -> Option<&dyn RawStore> {
        Some(self)
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
        let storage = Reference::open(&self.0, namespace, Limits::default());
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
}
