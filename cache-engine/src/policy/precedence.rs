use super::InvalidSetting;

/// Who may say how long a response is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Setting {
    /// `Cache-Control` and `Pragma` of the request.
    RequestHeaders,
    /// The [`Expiry`](super::Expiry) given for this request.
    Request,
    /// That of the [`Rule`](super::Rule) that the request's URL matches.
    Rule,
    /// That of the whole client.
    Client,
    /// `Cache-Control`, `Expires` and `Pragma` of the response, and targeted fields.
    ResponseHeaders,
}

/// Whose word counts: the header fields', or that of settings. A name for a [`Precedence`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExpiryMode {
    /// RFC 9111: header fields decide. An expiry for one request or in a rule takes the place of the response's lifetime,
    /// that of the client is for responses that state none. What forbids storing and reuse holds.
    #[default]
    Rfc9111,
    /// Header fields win wherever they state a lifetime; every expiry, of whatever level, is for responses that state none.
    Mixed,
    /// Time to live: settings decide, and the response's header fields do not count, neither for how long it is fresh nor
    /// for whether it may be stored. Where no setting says anything, nothing is stored.
    ///
    /// What keeps users apart holds all the same: `Vary`, and in a shared cache what
    /// [`Options::always_cache`](super::Options::always_cache) does not lift either.
    Ttl,
}

/// The order in which is asked how long a response is fresh: the first that says anything decides.
///
/// | mode | order |
/// |---|---|
/// | [`ExpiryMode::Rfc9111`] | request headers, request, rule, response headers, client |
/// | [`ExpiryMode::Mixed`] | request headers, response headers, request, rule, client |
/// | [`ExpiryMode::Ttl`] | request headers, request, rule, client |
///
/// - *Response headers* say something by `max-age`, `s-maxage`, `Expires`, or `Pragma: no-cache` without `Cache-Control`. Where
///   they are in the order and nobody says anything, a heuristic may (RFC 9111 §4.2.2). Where they are not in it, they do not
///   count at all. Before or behind a setting, `no-store`, `no-cache`, `must-revalidate` and their like hold unless
///   [`always_cache`](super::Options::always_cache) says otherwise: order is about lifetimes.
/// - *Request headers* never lengthen a lifetime: they narrow (or, with `max-stale`, widen) what is accepted. They do that
///   wherever they come before the one that decided; behind it, or left out, they do not count for that response, except
///   `only-if-cached`.
///
/// ```
/// use cache_engine::policy::{Precedence, Setting};
///
/// // The client's time to live counts more than what the caller's or the origin's fields say.
/// let order = Precedence::new([Setting::Client, Setting::RequestHeaders, Setting::ResponseHeaders])?;
/// assert!(order.is_before(Setting::Client, Setting::ResponseHeaders));
/// # Ok::<_, cache_engine::policy::InvalidSetting>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Precedence([Option<Setting>; 5]);

impl Precedence {
    /// This order; who is not in it does not count.
    ///
    /// # Errors
    /// When one is named twice.
    pub fn new(order: impl IntoIterator<Item = Setting>) -> Result<Self, InvalidSetting> {
        let mut slots = [None; 5];
        let mut free = slots.iter_mut();
        let mut seen: Vec<Setting> = Vec::new();
        for setting in order {
            if seen.contains(&setting) {
                return Err(InvalidSetting::new("precedence", format!("{setting:?} is named twice")));
            }
            seen.push(setting);
            if let Some(slot) = free.next() {
                *slot = Some(setting);
            }
        }
        Ok(Self(slots))
    }

    /// The order of a mode.
    #[must_use]
    pub const fn of(mode: ExpiryMode) -> Self {
        use Setting::{Client, Request, RequestHeaders, ResponseHeaders, Rule};
        Self(match mode {
            ExpiryMode::Rfc9111 => {
                [Some(RequestHeaders), Some(Request), Some(Rule), Some(ResponseHeaders), Some(Client)]
            }
            ExpiryMode::Mixed => {
                [Some(RequestHeaders), Some(ResponseHeaders), Some(Request), Some(Rule), Some(Client)]
            }
            ExpiryMode::Ttl => [Some(RequestHeaders), Some(Request), Some(Rule), Some(Client), None],
        })
    }

    /// Who is asked, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = Setting> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Whether this one is asked at all.
    #[must_use]
    pub fn contains(&self, setting: Setting) -> bool {
        self.iter().any(|each| each == setting)
    }

    /// Whether `one` is asked before `other`: it is in the order, and the other behind it or not in it.
    #[must_use]
    pub fn is_before(&self, one: Setting, other: Setting) -> bool {
        self.iter().find(|each| *each == one || *each == other) == Some(one)
    }
}

impl Default for Precedence {
    fn default() -> Self {
        Self::of(ExpiryMode::Rfc9111)
    }
}

impl From<ExpiryMode> for Precedence {
    fn from(mode: ExpiryMode) -> Self {
        Self::of(mode)
    }
}
