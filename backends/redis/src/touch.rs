use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use async_trait::async_trait;
use cache_api::{Result, Touch, Use};

use crate::{
    RedisStorage,
    schema::shard_number,
    script::{Call, TOUCH},
};

/// How many resources one script touches.
const BATCH: usize = 256;

/// The server chooses what to evict by when a key was last used, which this tells it; a lookup tells it too.
/// The server counts from when it is told: the times themselves are not kept.
#[async_trait]
impl Touch for RedisStorage {
    async fn touch(&self, uses: &[Use], _now: SystemTime) -> Result<()> {
        let mut shards: BTreeMap<u8, BTreeSet<_>> = BTreeMap::new();
        for used in uses {
            shards.entry(shard_number(&used.key)).or_default().insert((used.key, used.variant));
        }
        for (number, used) in shards {
            let shard = self.inner.keys.shard(number);
            let used: Vec<_> = used.into_iter().collect();
            for batch in used.chunks(BATCH) {
                let keys: Vec<_> = batch.iter().map(|(key, _)| shard.resource(key)).collect();
                let call = Call::new(&TOUCH, keys).arg(shard.bodies());
                let call = batch.iter().fold(call, |call, (_, variant)| call.arg(variant.to_string()));
                self.inner.run(call, "touch").await?;
            }
        }
        Ok(())
    }
}
