//! The policy's settings: one set for requests that match no rule, and one for each rule.

use std::{borrow::Cow, sync::Arc};

use url::Url;

use crate::{
    network::Request,
    policy::{Options, Rules},
};

#[derive(Debug)]
pub(crate) struct Sets {
    plain: Set,
    rules: Rules,
    ruled: Vec<Ruled>,
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
    pub(crate) fn new(options: Options, rules: Rules) -> Self {
        let ruled = rules.iter().map(|rule| Ruled {
            name: Arc::clone(rule.name()),
            tags: rule.tags().to_vec(),
            set: Set::new(rule.over(&options)),
        });
        Self { ruled: ruled.collect(), plain: Set::new(options), rules }
    }

    /// The client's settings. A rule has the same wherever they say how fresh a stored response is by its header fields.
    pub(crate) fn client(&self) -> &Options {
        &self.plain.options
    }

    /// The settings for a URL.
    pub(crate) fn at(&self, url: &Url) -> &Options {
        let ruled = self.find(url).and_then(|rule| self.ruled.get(rule));
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

    /// The settings of a request.
    pub(crate) fn of<B>(&self, request: &Request<B>) -> &Options {
        let set = self.ruled_by(request).map_or(&self.plain, |ruled| &ruled.set);
        if request.tenant.is_some() { &set.scoped } else { &set.options }
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

impl Set {
    fn new(options: Options) -> Self {
        Self { scoped: options.clone().tenant_scoped(true), options }
    }
}
