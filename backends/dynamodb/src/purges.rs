//! What a commit must know of purges: that its entry is in the indexes by which a purge finds it, and that none was
//! since its lookup.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use cache_api::{CacheKey, Epoch, Generation, Result, TagDigest, Ticket};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    attribute::{Item, binary, count, duration_millis, fixed, millis, number},
    error::failed,
    request::{AT_ONCE, persist},
    schema::EXPIRES,
    storage::Inner,
};

/// How many purges are known one by one. One that was forgotten is met once more, and refuses one commit more.
const KNOWN_MAX: usize = 8192;

/// Which purges this storage has met, and in what order: a ticket has how many these were at its lookup.
///
/// A purge's mark is random. So no clock decides whether a purge this storage knows was before a lookup.
#[derive(Debug)]
pub(crate) struct Known {
    /// Tells tickets of this storage from others.
    instance: [u8; 8],
    met: Mutex<Met>,
}

#[derive(Debug, Default)]
struct Met {
    count: u64,
    at: HashMap<Mark, u64>,
    order: VecDeque<Mark>,
}

/// What no count of purges reaches, in its first byte.
const UNTIDY: u8 = 0x80;

/// What tells one purge from another.
pub(crate) type Mark = [u8; 16];

impl Known {
    pub(crate) fn new() -> Result<Self> {
        let [a, b, c, d, e, f, g, h, ..] = *Generation::random()?.as_bytes();
        Ok(Self { instance: [a, b, c, d, e, f, g, h], met: Mutex::default() })
    }

    /// That of another namespace, which has met none.
    pub(crate) fn another(&self) -> Self {
        static OTHERS: AtomicU64 = AtomicU64::new(1);
        let other = u64::from_be_bytes(self.instance).wrapping_add(OTHERS.fetch_add(1, Ordering::Relaxed));
        Self { instance: other.to_be_bytes(), met: Mutex::default() }
    }

    /// What a ticket issued now knows.
    pub(crate) fn epoch(&self) -> Epoch {
        let [a, b, c, d, e, f, g, h] = self.instance;
        let [i, j, k, l, m, n, o, p] = self.met().count.to_be_bytes();
        Epoch::from_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// The same for a ticket of a record with something in it that is dead.
    pub(crate) fn untidy(epoch: Epoch) -> Epoch {
        let mut bytes = *epoch.as_bytes();
        let [.., flag, _, _, _, _, _, _, _] = &mut bytes;
        *flag |= UNTIDY;
        Epoch::from_bytes(bytes)
    }

    /// Whether it was [marked](Self::untidy) so.
    pub(crate) fn is_untidy(epoch: &Epoch) -> bool {
        let [.., flag, _, _, _, _, _, _, _] = epoch.as_bytes();
        flag & UNTIDY != 0
    }

    /// A purge that is through, or was met by a commit.
    pub(crate) fn learn(&self, mark: Mark) {
        let mut met = self.met();
        if met.at.contains_key(&mark) {
            return;
        }
        met.count += 1;
        let count = met.count;
        met.at.insert(mark, count);
        met.order.push_back(mark);
        if met.order.len() > KNOWN_MAX
            && let Some(oldest) = met.order.pop_front()
        {
            met.at.remove(&oldest);
        }
    }

    /// Whether that purge was known when the ticket was issued.
    fn knew(&self, epoch: Epoch, mark: &Mark) -> bool {
        let (instance, count) = epoch.as_bytes().split_at(8);
        let count = count.try_into().map_or(0, u64::from_be_bytes) & !(u64::from(UNTIDY) << 56);
        instance == self.instance && self.met().at.get(mark).is_some_and(|at| *at <= count)
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Puts the resource in the index of all and in those of the tags, until then at least (in milliseconds).
    ///
    /// Nobody who removes takes it out again: another's commit may rely on it.
    pub(crate) async fn register(&self, key: &CacheKey, tags: &[TagDigest], until: u64) -> Result<()> {
        let places = stream::iter(self.keys.registrations(key, tags));
        places.map(|place| self.register_in(place, until)).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn register_in(&self, place: Item, until: u64) -> Result<()> {
        self.open("commit")?;
        let request = || {
            self.client
                .update_item()
                .table_name(&*self.table)
                .set_key(Some(place.clone()))
                .update_expression("SET #e = :e")
                .condition_expression("attribute_not_exists(#e) OR #e < :e")
                .expression_attribute_names("#e", EXPIRES)
                .expression_attribute_values(":e", self.expires(until))
                .send()
        };
        match persist(request).await {
            Ok(_) => Ok(()),
            Err(cause) => match cause.as_service_error() {
                // It is there, for longer.
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed("commit", cause)),
            },
        }
    }

    /// Whether the namespace, or one of the tags, was purged since the ticket was issued.
    ///
    /// In doubt it was, once: a fresh ticket knows.
    pub(crate) async fn purged_since(&self, ticket: &Ticket, tags: &[TagDigest]) -> Result<bool> {
        let cleared = std::iter::once(self.keys.cleared_of(ticket.key()));
        let keys = cleared.chain(tags.iter().map(|tag| self.keys.purged(tag)));
        let mut keys: Vec<Item> = keys.collect();
        // DynamoDB refuses one key twice.
        let mut seen = std::collections::HashSet::new();
        keys.retain(|key| crate::schema::parts(key).is_some_and(|(pk, _)| seen.insert(pk.to_owned())));
        let mut purged = false;
        for item in self.get_all("commit", keys).await? {
            // One that cannot be read is met once, as any other.
            let mark = fixed(&item, "m").unwrap_or_default();
            let at = count(&item, "at").unwrap_or(u64::MAX);
            let before = at.saturating_add(duration_millis(self.skew)) < millis(ticket.issued_at());
            if !before && !self.known.knew(ticket.epoch(), &mark) {
                self.known.learn(mark);
                purged = true;
            }
        }
        Ok(purged)
    }

    /// Remembers a purge, so that commits whose lookup was earlier are refused.
    pub(crate) async fn mark(
        &self,
        operation: &'static str,
        mut place: Item,
        mark: Mark,
        now: SystemTime,
    ) -> Result<()> {
        place.insert("m".to_owned(), binary(mark));
        place.insert("at".to_owned(), number(millis(now)));
        let until = millis(now).saturating_add(self.memory());
        place.insert(EXPIRES.to_owned(), self.expires(until));
        self.put(operation, place).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_is_known_to_later_tickets_of_the_same_storage() {
        let (known, other) = (Known::new().unwrap(), Known::new().unwrap());
        let before = known.epoch();
        known.learn([1; 16]);
        let after = known.epoch();
        known.learn([1; 16]);
        assert!(!known.knew(before, &[1; 16]) && known.knew(after, &[1; 16]));
        assert!(!known.knew(after, &[2; 16]));
        let untidy = Known::untidy(after);
        assert!(known.knew(untidy, &[1; 16]) && Known::is_untidy(&untidy) && !Known::is_untidy(&after));
        other.learn([1; 16]);
        let beside = known.another();
        beside.learn([1; 16]);
        assert!(!known.knew(beside.epoch(), &[1; 16]) && !beside.knew(known.epoch(), &[1; 16]));
        assert!(!known.knew(other.epoch(), &[1; 16]));
    }

    #[test]
    fn what_is_known_is_bounded() {
        let known = Known::new().unwrap();
        for number in 0..2 * KNOWN_MAX as u128 {
            known.learn(number.to_be_bytes());
        }
        assert_eq!(known.met().at.len(), KNOWN_MAX);
        assert!(!known.knew(known.epoch(), &0_u128.to_be_bytes()));
    }
}
