use std::time::SystemTime;

/// What a setting of the client that stored a response said of it, in place of its header fields.
///
/// It is kept with the response, so that all who share a storage hold it fresh for the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Terms {
    /// Whose setting it is.
    pub by: SetBy,
    /// Until when the response is fresh; `None` where its header fields say.
    pub fresh_until: Option<SystemTime>,
    /// Whether it is kept and used although header fields forbid it.
    pub overrides: bool,
}

/// Where a setting was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetBy {
    /// For the request that brought the response.
    Request,
    /// In a rule that the request's URL matched.
    Rule,
    /// For the whole client.
    Client,
}

impl Terms {
    /// Terms that change nothing yet.
    #[must_use]
    pub const fn new(by: SetBy) -> Self {
        Self { by, fresh_until: None, overrides: false }
    }

    /// The same with an end of its freshness.
    #[must_use]
    pub const fn with_fresh_until(mut self, until: Option<SystemTime>) -> Self {
        self.fresh_until = until;
        self
    }

    /// The same, over what header fields forbid or not.
    #[must_use]
    pub const fn with_overrides(mut self, overrides: bool) -> Self {
        self.overrides = overrides;
        self
    }
}
