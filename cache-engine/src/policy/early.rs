//! Refreshing what is still fresh, so that a hot resource does not expire for everyone at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

use cache_api::Head;

use super::{Freshness, Options, RequestView};

/// Whether a fresh response is refreshed now although it is still fresh, by XFetch (Vattani, Chierichetti,
/// Lowenstein: Optimal Probabilistic Cache Stampede Prevention, 2015): the sooner it goes stale, and the longer its
/// fetch took, the likelier.
pub(super) fn is_due(
    options: &Options,
    request: &RequestView<'_>,
    head: &Head,
    freshness: &Freshness,
    now: SystemTime,
) -> bool {
    let (Some(beta), Some(chance)) = (options.early_refresh, request.chance) else { return false };
    let fetch = super::age::since(head.responded_at, head.requested_at).as_secs_f64();
    // A chance of 1 is never early; 0, and what is no chance at all, is as early as can be.
    let early = fetch * f64::from(beta.max(0.0)) * -chance.clamp(f64::MIN_POSITIVE, 1.0).ln();
    freshness.remaining(now).as_secs_f64() < early
}

/// The lifetime less a part of it that differs from entry to entry, and is the same for all who read this one.
pub(super) fn jittered(lifetime: Duration, head: &Head, options: &Options) -> Duration {
    let most = options.ttl_jitter.clamp(0.0, 1.0);
    if most.is_nan() || most == 0.0 {
        return lifetime;
    }
    let mut hasher = DefaultHasher::new();
    (&head.url, head.responded_at).hash(&mut hasher);
    // Sixteen bits: a fraction from 0 to just under 1.
    let fraction = f64::from(u16::try_from(hasher.finish() >> 48).unwrap_or_default()) / 65_536.0;
    lifetime.mul_f64(1.0 - f64::from(most) * fraction)
}
