use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use cache_api::{TagDigest, Variant};

/// How many tags are remembered. Beyond, everything older than the tags that are forgotten counts as purged.
const TAGS_MAX: usize = 4096;

/// What was purged when, as copies are held against it: a purge takes effect at once, and walks over nothing.
///
/// Each purge and each clear begins another epoch. A copy remembers the epoch in which the store was asked for it.
#[derive(Debug, Default)]
pub(crate) struct Purges {
    epoch: AtomicU64,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Copies of earlier epochs are purged.
    floor: u64,
    /// The tags that were purged since, with the epoch that each purge began.
    purged: VecDeque<(u64, Arc<[TagDigest]>)>,
    tags: usize,
}

impl Purges {
    /// The epoch now.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// All that has one of these tags is purged.
    pub(crate) fn purge(&self, tags: Arc<[TagDigest]>) {
        let mut log = self.lock();
        let epoch = self.epoch().saturating_add(1);
        log.tags = log.tags.saturating_add(tags.len());
        log.purged.push_back((epoch, tags));
        while log.tags > TAGS_MAX
            && let Some((epoch, tags)) = log.purged.pop_front()
        {
            log.tags = log.tags.saturating_sub(tags.len());
            log.floor = epoch;
        }
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// Everything is purged.
    pub(crate) fn clear(&self) {
        let mut log = self.lock();
        let epoch = self.epoch().saturating_add(1);
        *log = Log { floor: epoch, ..Log::default() };
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// Whether nothing since the epoch `seen` purged these variants. `seen` is moved on where that is so.
    pub(crate) fn spare(&self, seen: &AtomicU64, variants: &[Variant]) -> bool {
        let since = seen.load(Ordering::SeqCst);
        if since == self.epoch() {
            return true;
        }
        let log = self.lock();
        let tagged =
            |tags: &[TagDigest]| variants.iter().any(|v| v.tags.iter().any(|tag| tags.contains(tag)));
        let mut later = log.purged.iter().rev().take_while(|(epoch, _)| *epoch > since);
        if since < log.floor || later.any(|(_, tags)| tagged(tags)) {
            return false;
        }
        seen.fetch_max(self.epoch(), Ordering::SeqCst);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use cache_api::{Body, BodyId, CacheKey, Entry, StoredBody, StoredHead, VariantId};

    use super::*;

    fn tag(number: u64) -> TagDigest {
        TagDigest::of(&number.to_string())
    }

    fn variant(tags: &[TagDigest]) -> Variant {
        let now = SystemTime::UNIX_EPOCH;
        let later = now + Duration::from_secs(60);
        let head = StoredHead::from_bytes(bytes::Bytes::new());
        let entry = Entry::new(CacheKey::from_bytes([0; 32]), VariantId::ONLY, head, now, later);
        let body = StoredBody { id: BodyId::from_bytes([1; 16]), frames: 1, len: 1, limit: later };
        Variant::new(entry.with_tags(tags), Body::Stored(body), 0, later)
    }

    #[test]
    fn what_has_a_purged_tag_is_not_spared() {
        let purges = Purges::default();
        let tagged = [variant(&[]), variant(&[tag(1), tag(2)])];
        let seen = AtomicU64::new(purges.epoch());
        purges.purge([tag(3)].into());
        assert!(purges.spare(&seen, &tagged));
        assert_eq!(seen.load(Ordering::SeqCst), purges.epoch());
        purges.purge([tag(9), tag(2)].into());
        purges.purge([tag(4)].into());
        assert!(!purges.spare(&seen, &tagged));
        assert!(!purges.spare(&seen, &tagged), "what is purged stays so");
        assert!(purges.spare(&seen, &tagged[..1]));
        let later = AtomicU64::new(purges.epoch());
        assert!(purges.spare(&later, &tagged), "what was asked for after a purge");
    }

    #[test]
    fn a_clear_spares_nothing() {
        let purges = Purges::default();
        let seen = AtomicU64::new(purges.epoch());
        purges.clear();
        assert!(!purges.spare(&seen, &[variant(&[])]));
        purges.purge([tag(1)].into());
        assert!(!purges.spare(&seen, &[variant(&[])]));
    }

    #[test]
    fn what_is_forgotten_counts_as_purged() {
        let purges = Purges::default();
        let seen = AtomicU64::new(purges.epoch());
        for number in 0..TAGS_MAX as u64 {
            purges.purge([tag(number)].into());
        }
        let untagged = [variant(&[])];
        assert!(purges.spare(&AtomicU64::new(0), &untagged));
        purges.purge([tag(0)].into());
        assert!(!purges.spare(&seen, &untagged));
        assert_eq!(purges.lock().tags, TAGS_MAX);
        let since = AtomicU64::new(1);
        assert!(purges.spare(&since, &untagged), "the first purge is forgotten, the others are known");
        purges.purge((0..=TAGS_MAX as u64).map(tag).collect());
        assert!(!purges.spare(&since, &untagged));
        assert_eq!(purges.lock().tags, 0);
    }
}
