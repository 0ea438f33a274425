//! Stale responses (RFC 5861): in place of a failing origin, and while they are refreshed.

use std::sync::Arc;

use cache_api::CacheKey;

use crate::{
    engine::{Answered, Inner, answered, selection, view},
    expedition::Expedition,
    flight::Boarding,
    found::Found,
    info::Source,
    network::{Network, Request},
    policy::{self, Ask, Before, OnError},
    sets::Sets,
    store::Store,
};

impl<N: Network> Inner<N> {
    /// The stored response that may stand in for an origin that just failed another.
    pub(crate) async fn stale_instead(
        self: &Arc<Self>,
        sets: &Sets,
        store: &Store,
        request: &Request<N::Body>,
        key: &CacheKey,
        found: Option<&Found>,
        ask: &Ask,
    ) -> Option<Answered<N::Response>> {
        let found = found?;
        let now = self.clock.now();
        let stale = policy::on_error(sets.of(request), &view(request, key), ask, &sets.views(found), now);
        let OnError::ServeStale { index, form, age, freshness, reason } = stale else { return None };
        let resume = |head: &_| self.resume(sets, request, head);
        let response = found.serve(store, index, form, None, Some(age), resume).await.ok()?;
        let info = sets.info(request, Source::Stale, reason.into()).with_freshness(Some(&freshness), now);
        Some(answered(response, info.about(*key, found, index), Some(age)))
    }

    /// Refreshes in the background, unless somebody does already or did just now.
    #[expect(clippy::too_many_arguments, reason = "all that a lookup led to")]
    pub(crate) fn refresh(
        self: &Arc<Self>,
        sets: &Arc<Sets>,
        store: &Store,
        request: &Request<N::Body>,
        key: CacheKey,
        found: &Found,
        before: &Before,
        ask: &Ask,
        landings: u64,
    ) {
        let Some(body) = request.body.as_ref().map(N::clone_body).map_or(Some(None), |copy| copy.map(Some))
        else {
            return;
        };
        let flight = (key, selection(sets, request, &key, Some(found)));
        let Boarding::Leader(pilot) = self.flights.board(flight) else { return };
        if self.flights.landings(&key) != landings {
            return;
        }
        let expedition = Expedition {
            inner: Arc::clone(self),
            sets: Arc::clone(sets),
            store: store.clone(),
            request: Request { body, ..request.clone_head() },
            key,
            found: Some(found.clone()),
            before: before.clone(),
            ask: ask.clone(),
        };
        expedition.go_in_background(pilot);
    }
}
