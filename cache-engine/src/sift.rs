//! The decision of a request, and the filter's part in it.

use std::{sync::Arc, time::SystemTime};

use cache_api::{CacheKey, Version};

use crate::{
    engine::{Inner, view},
    filter::{Filter, Step, refusal},
    found::Found,
    network::{Network, Request},
    policy::{self, Before, Reason},
    sets::Sets,
    store::Store,
};

/// What the policy says of a request and of what was found for it.
pub(crate) fn decide<B>(
    sets: &Sets,
    request: &Request<B>,
    key: &CacheKey,
    found: Option<&Found>,
    now: SystemTime,
) -> Before {
    let views = found.map(|found| sets.views(found)).unwrap_or_default();
    let options = sets.of(request);
    let chance = options.early_refresh.map(|_| fastrand::f64());
    policy::before(options, &view(request, key).with_chance(chance), &views, now)
}

impl<N: Network> Inner<N> {
    /// Lets the filter look at what is to be used, and removes what it rejects. Returns why anything was left out.
    pub(crate) async fn sift(
        &self,
        sets: &Sets,
        store: &Store,
        request: &Request<N::Body>,
        key: &CacheKey,
        found: &mut Found,
        before: &mut Before,
    ) -> Option<Reason> {
        let filter = sets.filter.as_ref()?;
        let now = self.clock.now();
        let decide = |found: &Found| decide(sets, request, key, Some(found), now);
        let (rejected, reason) = sift(filter, request, found, before, decide).await;
        for version in rejected {
            if !sets.keep_out_writes(request) {
                // A failure is reported where it happens; it is rejected again at its next use.
                let _ = store.remove(key, Some(version)).await;
            }
        }
        reason
    }
}

/// Lets a filter look at the stored response on which a decision rests. One that it rejects is taken out of what was found, and
/// it is decided anew. Returns the versions that are to be removed, and why anything was left out.
pub(crate) async fn sift<B: Sync>(
    filter: &Arc<dyn Filter>,
    request: &Request<B>,
    found: &mut Found,
    before: &mut Before,
    decide: impl Fn(&Found) -> Before,
) -> (Vec<Version>, Option<Reason>) {
    let (mut rejected, mut left_out) = (Vec::new(), None);
    while let Some(index) = before.chosen() {
        let Some((version, head)) =
            found.variant(index).and_then(|variant| Some((variant.version, variant.head.value()?)))
        else {
            break;
        };
        let Some(reason) = refusal(Some(filter), Step::Read, request, head).await else { break };
        if reason == Reason::RejectedOnRead {
            rejected.push(version);
        }
        found.pass_over(index);
        *before = decide(found);
        before.leave_out(reason);
        left_out = Some(reason);
    }
    (rejected, left_out)
}
