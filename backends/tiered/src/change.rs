use cache_api::{CacheKey, TagDigest};

use crate::tier::Tier;

/// A change of the store by this replica, of which its events do not tell.
///
/// What it is about leaves memory when it begins, so that a lookup meanwhile finds what the store says; and again
/// when it ends, however it does, so that what a lookup meanwhile was told is not kept.
#[must_use]
pub(crate) struct Changing<'a> {
    tier: &'a Tier,
    change: Change<'a>,
}

pub(crate) enum Change<'a> {
    Resource(CacheKey),
    Tags(&'a [TagDigest]),
    All,
}

impl<'a> Changing<'a> {
    pub(crate) fn begin(tier: &'a Tier, change: Change<'a>) -> Self {
        let changing = Self { tier, change };
        changing.apply();
        changing
    }

    fn apply(&self) {
        match self.change {
            Change::Resource(key) => self.tier.remove(&key),
            Change::Tags(tags) => self.tier.purge(tags.into()),
            Change::All => self.tier.clear(),
        }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.apply();
    }
}
