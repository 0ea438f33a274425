use std::fmt;

use cache_api::SetBy;

/// A rule that took part in a decision. `Display` says it in words, [`Reason::section`] where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A stored response is fresh.
    Fresh,
    /// A stored response is stale.
    Stale,
    /// A stored response is fresh, and refreshed in the background before it goes stale.
    EarlyRefresh,
    /// A stored response is stale, and the caller accepts that.
    StaleAccepted,
    /// A stored response is stale, and may be served while it is refreshed.
    StaleWhileRevalidate,
    /// A stored response is stale, and may stand in for a failing origin.
    StaleIfError,
    /// The origin failed, and nothing stored may stand in for it.
    NoStaleAllowed,
    /// A stored response is stale beyond every window that allows its use.
    StaleTooLong,
    /// Nothing is stored for the URI.
    NothingStored,
    /// What is stored was selected by other values of the fields in `Vary`.
    VaryMismatch,
    /// What is stored answers another method.
    MethodMismatch,
    /// The response says `no-cache`.
    ResponseNoCache,
    /// The response says `must-revalidate`.
    MustRevalidate,
    /// The response says `proxy-revalidate`, and the cache is shared.
    ProxyRevalidate,
    /// The response says `s-maxage`, and the cache is shared.
    SharedMaxAge,
    /// The response says `immutable`: a reload does not validate it while it is fresh.
    Immutable,
    /// The request says `no-cache`.
    RequestNoCache,
    /// The request says `Pragma: no-cache` and has no `Cache-Control`.
    RequestPragma,
    /// The request says `no-store`.
    RequestNoStore,
    /// The request's `max-age` is exceeded.
    RequestMaxAge,
    /// The request's `min-fresh` is not met.
    RequestMinFresh,
    /// The request says `only-if-cached`, and nothing stored meets it.
    OnlyIfCached,
    /// The request's own conditions are the origin's to judge.
    OriginCondition,
    /// The caller asked for a reload.
    Reload,
    /// The caller asked for a validation.
    Revalidate,
    /// The caller asked to go past the cache.
    Bypass,
    /// What is stored cannot be read.
    Unreadable,
    /// The request's `Host` is not its URL's, and the key would not tell its answers apart.
    AnotherHost,
    /// The method is not one that is cached.
    MethodNotCacheable,
    /// The response is stored.
    Stored,
    /// The answer to a POST is stored for later GETs.
    PostReused,
    /// The origin confirmed the stored response.
    Validated,
    /// A HEAD updated the stored response to a GET.
    HeadUpdate,
    /// A HEAD showed the stored response to a GET to be outdated.
    HeadMismatch,
    /// A 304 names none of the responses that were offered.
    NoMatchFor304,
    /// A 304 answers the caller's own conditions.
    CallersCondition,
    /// The response says `no-store`.
    ResponseNoStore,
    /// The response says `private`, and the cache is shared.
    Private,
    /// The request has `Authorization`, and the response does not allow a shared cache to store it.
    Authorization,
    /// The response has `Set-Cookie`, and is not marked for shared caches.
    SetCookie,
    /// The response says `must-understand`, and its status is unknown.
    NotUnderstood,
    /// The status is never stored.
    StatusNotStored,
    /// The response is a part that cannot be stored: several ranges, or none of a known complete length.
    Partial,
    /// Only a part is stored, and the request goes beyond it.
    PartOnly,
    /// The requested range lies within a stored part.
    WithinPart,
    /// The response says `Vary: *`.
    VaryStar,
    /// The response varies on a field that a redactor ignores.
    VaryRedacted,
    /// The response repeats a value of its request that must leave no trace in the store.
    SecretRepeated,
    /// Neither the response nor its status says that it can be stored.
    NoFreshness,
    /// The response is stale on arrival and could not be validated.
    NotReusable,
    /// The response is that of a redirect which was followed below the cache.
    UnseenRedirect,
    /// How long the response is fresh was set, and where.
    ExpirySet(SetBy),
    /// It was set that the response is not stored, and where.
    NotStored(SetBy),
    /// The response's header fields forbid it, and a setting overrides them.
    Overridden(SetBy),
    /// The response's header fields do not count, and no setting says how long it is fresh.
    NoExpirySet,
    /// The status is not among those that are to be stored.
    StatusNotListed,
    /// The caller takes whatever is stored.
    ForceCache,
    /// The cache is offline: what is stored is served, and nothing is sent.
    Offline,
    /// The cache is suspended.
    Suspended,
    /// The cache is read-only, for all requests or for this one.
    ReadOnly,
    /// No key could be made, or the key function lets the request pass.
    NoKey,
    /// The filter rejects a stored response.
    RejectedOnRead,
    /// The filter keeps the response out of the store.
    RejectedOnWrite,
    /// The filter failed.
    FilterFailed,
}

/// The reasons of one decision: at most four, the deciding one first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reasons {
    first: Reason,
    more: [Option<Reason>; 3],
}

impl Reason {
    /// Where the rule is written; empty for the cache's own controls and limits.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Fresh => "RFC 9111 §4.2",
            Self::Stale | Self::StaleAccepted | Self::NoStaleAllowed | Self::StaleTooLong => {
                "RFC 9111 §4.2.4"
            }
            Self::StaleWhileRevalidate => "RFC 5861 §3",
            Self::StaleIfError => "RFC 5861 §4",
            Self::NothingStored | Self::MethodMismatch => "RFC 9111 §4",
            Self::VaryMismatch | Self::VaryStar | Self::VaryRedacted => "RFC 9111 §4.1",
            Self::ResponseNoCache => "RFC 9111 §5.2.2.4",
            Self::MustRevalidate => "RFC 9111 §5.2.2.2",
            Self::ProxyRevalidate => "RFC 9111 §5.2.2.8",
            Self::SharedMaxAge => "RFC 9111 §5.2.2.10",
            Self::Immutable => "RFC 8246 §2",
            Self::RequestNoCache => "RFC 9111 §5.2.1.4",
            Self::RequestPragma => "RFC 9111 §5.4",
            Self::RequestNoStore => "RFC 9111 §5.2.1.5",
            Self::RequestMaxAge => "RFC 9111 §5.2.1.1",
            Self::RequestMinFresh => "RFC 9111 §5.2.1.3",
            Self::OnlyIfCached => "RFC 9111 §5.2.1.7",
            Self::OriginCondition | Self::CallersCondition => "RFC 9111 §4.3.2",
            Self::AnotherHost => "RFC 9110 §7.2",
            Self::MethodNotCacheable
            | Self::StatusNotStored
            | Self::Stored
            | Self::NoFreshness
            | Self::NotReusable
            | Self::UnseenRedirect => "RFC 9111 §3",
            Self::PostReused => "RFC 9110 §9.3.3",
            Self::Validated | Self::NoMatchFor304 => "RFC 9111 §4.3.4",
            Self::HeadUpdate | Self::HeadMismatch => "RFC 9111 §4.3.5",
            Self::ResponseNoStore => "RFC 9111 §5.2.2.5",
            Self::Private => "RFC 9111 §5.2.2.7",
            Self::Authorization => "RFC 9111 §3.5",
            Self::SetCookie => "RFC 9111 §7.3",
            Self::NotUnderstood => "RFC 9111 §5.2.2.3",
            Self::Partial | Self::PartOnly | Self::WithinPart => "RFC 9111 §3.3",
            Self::EarlyRefresh
            | Self::Reload
            | Self::Revalidate
            | Self::Bypass
            | Self::Unreadable
            | Self::ExpirySet(_)
            | Self::NotStored(_)
            | Self::Overridden(_)
            | Self::NoExpirySet
            | Self::StatusNotListed
            | Self::SecretRepeated
            | Self::ForceCache
            | Self::Offline
            | Self::Suspended
            | Self::ReadOnly
            | Self::NoKey
            | Self::RejectedOnRead
            | Self::RejectedOnWrite
            | Self::FilterFailed => "",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Fresh => "the stored response is fresh",
            Self::Stale => "the stored response is stale",
            Self::EarlyRefresh => "it is refreshed before it goes stale",
            Self::StaleAccepted => "the stored response is stale, which the caller accepts",
            Self::StaleWhileRevalidate => "the stored response may be served stale while it is refreshed",
            Self::StaleIfError => "the stored response may be served stale while the origin fails",
            Self::NoStaleAllowed => "nothing stored may stand in for the origin",
            Self::StaleTooLong => "the stored response has been stale for too long",
            Self::NothingStored => "nothing is stored for the URI",
            Self::VaryMismatch => "what is stored was selected by other request fields",
            Self::MethodMismatch => "what is stored answers another method",
            Self::ResponseNoCache => "the response says no-cache",
            Self::MustRevalidate => "the response says must-revalidate",
            Self::ProxyRevalidate => "the response says proxy-revalidate",
            Self::SharedMaxAge => "the response says s-maxage, after which it must be validated",
            Self::Immutable => "the response says immutable",
            Self::RequestNoCache => "the request says no-cache",
            Self::RequestPragma => "the request says Pragma: no-cache",
            Self::RequestNoStore => "the request says no-store",
            Self::RequestMaxAge => "the stored response is older than the request's max-age",
            Self::RequestMinFresh => "the stored response is fresh for less than the request's min-fresh",
            Self::OnlyIfCached => "the request says only-if-cached",
            Self::OriginCondition => "the request's conditions are the origin's to judge",
            Self::Reload => "the caller asked for a reload",
            Self::Revalidate => "the caller asked for a validation",
            Self::Bypass => "the caller asked to bypass the cache",
            Self::Unreadable => "what is stored cannot be read",
            Self::AnotherHost => "the request's Host is not its URL's",
            Self::MethodNotCacheable => "the method is not cached",
            Self::Stored => "the response is stored",
            Self::PostReused => "the answer to the POST says that it is one to a GET as well",
            Self::Validated => "the origin confirmed the stored response",
            Self::HeadUpdate => "the HEAD response updated the stored one",
            Self::HeadMismatch => "the HEAD response shows the stored one to be outdated",
            Self::NoMatchFor304 => "the 304 names no stored response",
            Self::CallersCondition => "the 304 answers the caller's own conditions",
            Self::ResponseNoStore => "the response says no-store",
            Self::Private => "the response says private",
            Self::Authorization => "the request has Authorization, and the response is not for shared caches",
            Self::SetCookie => "the response has Set-Cookie, and is not marked for shared caches",
            Self::NotUnderstood => "the response says must-understand, and its status is unknown",
            Self::StatusNotStored => "the status is never stored",
            Self::Partial => "the response is a part that cannot be stored",
            Self::PartOnly => "only a part is stored, and the request goes beyond it",
            Self::WithinPart => "the requested range lies within the stored part",
            Self::VaryStar => "the response says Vary: *",
            Self::VaryRedacted => "the response varies on a field that is redacted, and does not count",
            Self::SecretRepeated => "the response repeats what of its request is redacted from the store",
            Self::NoFreshness => "nothing says that the response can be stored",
            Self::NotReusable => "the response is stale on arrival and has no validator",
            Self::UnseenRedirect => "the response is that of a redirect which the cache did not see",
            Self::ExpirySet(SetBy::Request) => "how long it is fresh was set for the request",
            Self::ExpirySet(SetBy::Rule) => "how long it is fresh was set by a rule",
            Self::ExpirySet(_) => "how long it is fresh was set for the client",
            Self::NotStored(SetBy::Request) => "the request is set not to store the response",
            Self::NotStored(SetBy::Rule) => "a rule is set not to store the response",
            Self::NotStored(_) => "the client is set not to store the response",
            Self::Overridden(SetBy::Request) => "what the response forbids is overridden for the request",
            Self::Overridden(SetBy::Rule) => "what the response forbids is overridden by a rule",
            Self::Overridden(_) => "what the response forbids is overridden for the client",
            Self::NoExpirySet => "the response's fields do not count, and no expiry is set",
            Self::StatusNotListed => "the status is not among those that are stored",
            Self::ForceCache => "the caller takes whatever is stored",
            Self::Offline => "the cache is offline",
            Self::Suspended => "the cache is suspended",
            Self::ReadOnly => "the cache is read-only",
            Self::NoKey => "the request has no key",
            Self::RejectedOnRead => "the filter rejects what is stored",
            Self::RejectedOnWrite => "the filter keeps the response out of the store",
            Self::FilterFailed => "the filter failed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Reasons {
    pub(super) const fn one(first: Reason) -> Self {
        Self { first, more: [None; 3] }
    }

    /// Adds a reason that stands behind the first. A fifth is dropped.
    pub(crate) fn and(mut self, reason: Reason) -> Self {
        if let Some(free) = self.more.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(reason);
        }
        self
    }

    /// The reason that decided.
    #[must_use]
    pub const fn first(self) -> Reason {
        self.first
    }

    /// All of them, the deciding one first.
    pub fn iter(&self) -> impl Iterator<Item = Reason> + '_ {
        std::iter::once(self.first).chain(self.more.iter().flatten().copied())
    }

    /// The rules in words, one a line, each with where it is written.
    #[must_use]
    pub fn lines(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| self.joined(f, "\n"))
    }

    fn joined(&self, f: &mut fmt::Formatter<'_>, between: &str) -> fmt::Result {
        for (n, reason) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(between)?;
            }
            write!(f, "{reason}")?;
            if !reason.section().is_empty() {
                write!(f, " ({})", reason.section())?;
            }
        }
        Ok(())
    }

    /// Whether `reason` is among them.
    #[must_use]
    pub fn contains(&self, reason: Reason) -> bool {
        self.iter().any(|each| each == reason)
    }
}

impl From<Reason> for Reasons {
    fn from(reason: Reason) -> Self {
        Self::one(reason)
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.joined(f, "; ")
    }
}
