//! Refreshing what is still fresh, so that a hot resource does not expire for everyone at once.

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
    let (Some(beta), Some(chance), true) =
        (options.early_refresh, request.chance, options.background_refresh)
    else {
        return false;
    };
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
    // The same on every replica, whatever compiled it, and whatever fraction of a second its store keeps.
    let arrived = super::age::since(head.responded_at, SystemTime::UNIX_EPOCH).as_secs();
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.url.as_bytes()).update(&arrived.to_le_bytes());
    let [first, second, ..] = *hasher.finalize().as_bytes();
    // Sixteen bits: a fraction from 0 to just under 1.
    let fraction = f64::from(u16::from_le_bytes([first, second])) / 65_536.0;
    lifetime.mul_f64(1.0 - f64::from(most) * fraction)
}
