use std::{collections::BTreeMap, time::SystemTime};

use async_trait::async_trait;
use cache_api::{Result, Touch, Use};

use crate::{
    RedisStorage,
    schema::shard_number,
    script::{Call, TOUCH},
};

/// How many variants one script touches.
const BATCH: usize = 256;

/// The server chooses what to evict by when a key was last used, which this tells it; a lookup tells it too. The
/// server's time is that of being told: the times themselves are not kept. How many uses there were is.
#[async_trait]
impl Touch for RedisStorage {
    async fn touch(&self, uses: &[Use], _now: SystemTime) -> Result<()> {
        let mut shards: BTreeMap<u8, BTreeMap<_, u64>> = BTreeMap::new();
        for used in uses {
            let shard = shards.entry(shard_number(&used.key)).or_default();
            *shard.entry((used.key, used.variant)).or_default() += 1;
        }
        for (number, used) in shards {
            let shard = self.inner.keys.shard(number);
            let used: Vec<_> = used.into_iter().collect();
            for batch in used.chunks(BATCH) {
                let keys: Vec<_> = batch.iter().map(|((key, _), _)| shard.resource(key)).collect();
                let call = Call::new(&TOUCH, keys).arg(shard.bodies());
                let call = batch
                    .iter()
                    .fold(call, |call, ((_, variant), uses)| call.arg(variant.to_string()).arg(*uses));
                self.inner.run(call, "touch").await?;
            }
        }
        Ok(())
    }
}
