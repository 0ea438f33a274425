//! The settings that can change while the cache runs: one set for requests that match no rule, one for each rule, and the
//! filter.

use std::{borrow::Cow, sync::Arc};

use url::Url;

use crate::{
    filter::Filter,
    found::{Found, Views},
    info::{CacheInfo, Source},
    memo::Memo,
    network::Request,
    policy::{Options, Reasons, Rules},
};

#[derive(Debug)]
pub(crate) struct Sets {
    plain: Set,
    rules: Rules,
    ruled: Vec<Ruled>,
    pub(crate) filter: Option<Arc<dyn Filter>>,
    /// What is known of heads under these options.
    pub(crate) memo: Memo,
}

/// The settings, and the same for a request on behalf of a tenant.
#[derive(Debug)]
struct Set {
    options: Options,
    scoped: Options,
}

#[derive(Debug)]
struct Ruled {
    name: Arc<str>,
    tags: Vec<Arc<str>>,
    set: Set,
}

impl Sets {
    pub(crate) fn new(options: Options, rules: Rules, filter: Option<Arc<dyn Filter>>) -> Self {
        let ruled = rules.iter().map(|rule| Ruled {
            name: Arc::clone(rule.name()),
            tags: rule.tags().to_vec(),
            set: Set::new(rule.over(&options)),
        });
        Self { ruled: ruled.collect(), plain: Set::new(options), rules, filter, memo: Memo::new() }
    }

    /// These in the place of others: what was worked out of heads under those holds on, where the options for it are the
    /// same.
    pub(crate) fn after(mut self, others: &Self) -> Self {
        if judges_alike(self.client(), others.client()) {
            self.memo = others.memo.clone();
        }
        self
    }

    /// The client's settings. A rule has the same wherever they say how fresh a stored response is by its header fields.
    pub(crate) fn client(&self) -> &Options {
        &self.plain.options
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The settings of a rule, or else the client's.
    pub(crate) fn under(&self, rule: Option<usize>) -> &Options {
        let ruled = rule.and_then(|rule| self.ruled.get(rule));
        &ruled.map_or(&self.plain, |ruled| &ruled.set).options
    }

    /// The number of the rule for a URL.
    pub(crate) fn find(&self, url: &Url) -> Option<usize> {
        self.rules.find(url)
    }

    /// The name of a rule.
    pub(crate) fn name(&self, rule: usize) -> Option<&Arc<str>> {
        self.ruled.get(rule).map(|ruled| &ruled.name)
    }

    /// What is told of an answer to that request.
    pub(crate) fn info<B>(&self, request: &Request<B>, source: Source, reasons: Reasons) -> CacheInfo {
        let mut info = CacheInfo::new(source, reasons);
        info.rule = request.rule.and_then(|rule| self.name(rule)).cloned();
        info
    }

    /// The settings of a request.
    pub(crate) fn of<B>(&self, request: &Request<B>) -> &Options {
        let set = self.ruled_by(request).map_or(&self.plain, |ruled| &ruled.set);
        if request.tenant.is_some() { &set.scoped } else { &set.options }
    }

    /// Whether the storage is left as it is.
    pub(crate) fn keep_out_writes<B>(&self, request: &Request<B>) -> bool {
        self.of(request).keep_out_writes(&request.controls)
    }

    /// The stored responses as the policy sees them, each judged once.
    pub(crate) fn views<'a>(&self, found: &'a Found) -> Views<'a> {
        found.views(|head| self.memo.freshness(head, self.client()))
    }

    /// The tags that a request asks for, and those of its rule.
    pub(crate) fn tags<'a, B>(&self, request: &'a Request<B>) -> Cow<'a, [Arc<str>]> {
        match self.ruled_by(request) {
            Some(ruled) if !ruled.tags.is_empty() => [&request.tags[..], &ruled.tags].concat().into(),
            _ => Cow::Borrowed(&request.tags),
        }
    }

    fn ruled_by<B>(&self, request: &Request<B>) -> Option<&Ruled> {
        self.ruled.get(request.rule?)
    }
}

/// Whether two sets of options find the same freshness in a head: they differ in what comes after that at most.
fn judges_alike(one: &Options, other: &Options) -> bool {
    let mut one = one.clone();
    (one.read_only, one.offline) = (other.read_only, other.offline);
    one == *other
}

impl Set {
    fn new(options: Options) -> Self {
        Self { scoped: options.clone().tenant_scoped(true), options }
    }
}
