//! Settings for some URLs: an ordered list of rules, of which the first that matches counts.

mod pattern;

use std::sync::Arc;

use http::{Method, StatusCode};
use url::Url;

use self::pattern::{Part, Pattern};
use super::options::{check_methods, check_statuses};
use super::{Expiry, InvalidSetting, Options, Precedence};

/// What holds for the requests to some URLs, in place of the client's settings.
///
/// Host and path are matched apart, each as a whole, so that no pattern for a host can match something in a path or a
/// query. A rule without a host is for all hosts, one without a path for all paths; scheme, port and query do not count.
///
/// - A *host* is compared in lower case, as the URL has it: international names in their ASCII form (`xn--…`), IPv6 addresses
///   in brackets, and without a dot at its end. In a glob `*` stands for any characters, dots too: `*.site.example` matches
///   `a.site.example` and `a.b.site.example`, and not `site.example`; `{,*.}site.example` matches all three.
/// - A *path* is compared as the URL has it, percent-encodings included. In a glob `*` stays within a segment and `**` goes
///   over several: `/v1/*` matches `/v1/a`, `/v1/**` also `/v1/a/b`.
/// - Beside `*` and `**` a glob may have `?`, `[a-z]`, `{one,other}`, and `\` before a character that shall stand for itself.
/// - A regular expression matches the whole of host or path: `.*` has to say where it does not.
///
/// ```
/// use cache_engine::policy::{Expiry, ExpiryMode, Rule, Rules};
/// use http::StatusCode;
///
/// let rules = Rules::new([
///     Rule::new("login").path("/login/**").expiry(Expiry::DoNotStore),
///     Rule::new("api")
///         .host("*.api.example")
///         .path_regex("/v[0-9]+/.*")
///         .precedence(ExpiryMode::Ttl)
///         .expiry(Expiry::after_secs(300))
///         .negative(Expiry::after_secs(10))
///         .tag("api"),
/// ])?;
/// # Ok::<_, cache_engine::policy::InvalidSetting>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule counts where it is in the list of a client"]
pub struct Rule {
    name: Arc<str>,
    host: Option<Pattern>,
    path: Option<Pattern>,
    methods: Option<Vec<Method>>,
    statuses: Option<Vec<StatusCode>>,
    precedence: Option<Precedence>,
    tags: Vec<Arc<str>>,
    settings: RuleSettings,
}

/// What a rule says beside what takes the place of an option.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RuleSettings {
    pub(crate) expiry: Option<Expiry>,
    pub(crate) negative: Option<Expiry>,
    pub(crate) always_cache: Option<bool>,
}

/// Rules in order: the first whose host and path match a URL counts for it, and no other.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Compiled>);

#[derive(Clone, Debug)]
struct Compiled {
    rule: Rule,
    host: Option<pattern::Matcher>,
    path: Option<pattern::Matcher>,
}

impl Rule {
    /// A rule for all URLs that says nothing. Its name is what explanations call it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            host: None,
            path: None,
            methods: None,
            statuses: None,
            precedence: None,
            tags: Vec::new(),
            settings: RuleSettings::default(),
        }
    }

    /// For hosts that this glob matches.
    pub fn host(mut self, glob: impl Into<String>) -> Self {
        self.host = Some(Pattern::Glob(glob.into()));
        self
    }

    /// For hosts that this regular expression matches as a whole, in place of a glob.
    pub fn host_regex(mut self, regex: impl Into<String>) -> Self {
        self.host = Some(Pattern::Regex(regex.into()));
        self
    }

    /// For paths that this glob matches.
    pub fn path(mut self, glob: impl Into<String>) -> Self {
        self.path = Some(Pattern::Glob(glob.into()));
        self
    }

    /// For paths that this regular expression matches as a whole, in place of a glob.
    pub fn path_regex(mut self, regex: impl Into<String>) -> Self {
        self.path = Some(Pattern::Regex(regex.into()));
        self
    }

    /// How long responses are fresh, where the order of precedence lets the rule say it; for which of them is said at
    /// [`Options::expiry`].
    pub fn expiry(mut self, expiry: impl Into<Expiry>) -> Self {
        self.settings.expiry = Some(expiry.into());
        self
    }

    /// The same for errors, as [`Options::negative`].
    pub fn negative(mut self, expiry: impl Into<Expiry>) -> Self {
        self.settings.negative = Some(expiry.into());
        self
    }

    /// In place of [`Options::precedence`]: an order, or an [`ExpiryMode`](super::ExpiryMode).
    pub fn precedence(mut self, order: impl Into<Precedence>) -> Self {
        self.precedence = Some(order.into());
        self
    }

    /// In place of [`Options::always_cache`].
    pub fn always_cache(mut self, always: bool) -> Self {
        self.settings.always_cache = Some(always);
        self
    }

    /// In place of [`Options::methods`].
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = Some(methods.into_iter().collect());
        self
    }

    /// In place of [`Options::statuses`].
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = Some(statuses.into_iter().collect());
        self
    }

    /// Stores responses under this tag, beside those that they name themselves. May be called several times.
    pub fn tag(mut self, tag: impl Into<Arc<str>>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The tags under which responses are stored.
    #[must_use]
    pub fn tags(&self) -> &[Arc<str>] {
        &self.tags
    }

    /// The settings of a request that matches it.
    pub(crate) fn over(&self, options: &Options) -> Options {
        let mut over = Options { rule: self.settings, ..options.clone() };
        if let Some(methods) = &self.methods {
            over.methods.clone_from(methods);
        }
        if let Some(statuses) = &self.statuses {
            over.statuses = Some(statuses.clone());
        }
        over.precedence = self.precedence.unwrap_or(over.precedence);
        over
    }

    fn compile(self) -> Result<Compiled, InvalidSetting> {
        let setting = |setting: &str| format!("{setting} of the rule `{}`", self.name);
        check_methods(setting("methods"), self.methods.as_deref().unwrap_or_default())?;
        check_statuses(setting("statuses"), self.statuses.as_deref().unwrap_or_default())?;
        if self.settings.always_cache == Some(true) && self.settings.expiry == Some(Expiry::DoNotStore) {
            return Err(InvalidSetting::new(setting("always_cache"), "contradicts `expiry`: do not store"));
        }
        let compiled = |pattern: &Option<Pattern>, part: Part| {
            let named = |kind: &str| setting(&format!("{}{kind}", part.name()));
            pattern.as_ref().map(|pattern| pattern.compile(part, named)).transpose()
        };
        let (host, path) = (compiled(&self.host, Part::Host)?, compiled(&self.path, Part::Path)?);
        Ok(Compiled { rule: self, host, path })
    }
}

impl Rules {
    /// These rules, in this order.
    ///
    /// # Errors
    /// The first setting that cannot be used, by its name and the rule's: a host or path that is no glob or no regular
    /// expression, or that no URL can match; a method or status that is never cached; `always_cache` with an expiry that
    /// says not to store.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, InvalidSetting> {
        rules.into_iter().map(Rule::compile).collect::<Result<_, _>>().map(Self)
    }

    /// The number of the first rule that matches.
    #[must_use]
    pub fn find(&self, url: &Url) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        let matches = |pattern: &Option<pattern::Matcher>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
        };
        self.0.iter().position(|rule| matches(&rule.host, host) && matches(&rule.path, url.path()))
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().map(|compiled| &compiled.rule)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
