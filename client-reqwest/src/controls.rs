use std::time::Duration;

/// What one request asks of the cache, beside its header fields. None of it is ever sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Controls {
    /// Answered from the store or with 504; the origin is not asked.
    pub only_if_cached: bool,
    /// Fetched anew without conditions; the answer replaces what is stored.
    pub reload: bool,
    /// Never a plain hit: what is stored is validated first.
    pub revalidate: bool,
    /// The answer is not stored; what is stored already may be served.
    pub no_store: bool,
    /// The cache is neither read nor written. (An unsafe method still invalidates.)
    pub bypass: bool,
    /// Any age will do, as `max-stale` without a value. `must-revalidate` and `no-cache` still hold.
    pub stale_ok: bool,
    /// The window of stale-if-error for this request, instead of all others; zero turns it off.
    pub stale_if_error: Option<Duration>,
}
