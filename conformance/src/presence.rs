/// Whether the service that a backend needs is there. Decided before the trials are listed.
///
/// An embedded backend is always [`Here`](Presence::Here). The feature `services` finds or starts those of our own
/// backends (a URL in the environment, a binary on `PATH`, a container) and says what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// It is there: all trials run.
    #[default]
    Here,
    /// It is not: all trials are ignored, or fail where `CONFORMANCE_REQUIRE` names the backend.
    Absent {
        /// What was looked for, and not found.
        reason: String,
        /// How to get it.
        remedy: String,
    },
}

/// Names the backends whose absence is a failure: a list between commas, or `all`.
pub const REQUIRE: &str = "CONFORMANCE_REQUIRE";

impl Presence {
    /// Absent, for that reason; the remedy is shown to whoever runs the suite.
    #[must_use]
    pub fn absent(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Absent { reason: reason.into(), remedy: remedy.into() }
    }
}

/// Whether `list`, the value of [`REQUIRE`], names the backend.
pub(crate) fn is_required(list: Option<&str>, backend: &str) -> bool {
    list.unwrap_or_default().split(',').map(str::trim).any(|name| name == "all" || name == backend)
}

#[cfg(test)]
mod tests {
    use super::is_required;

    #[test]
    fn requires_by_name_or_all() {
        assert!(is_required(Some("all"), "redis"));
        assert!(is_required(Some("postgres, redis"), "redis"));
        assert!(!is_required(Some("redis-cluster"), "redis"));
        assert!(!is_required(Some(""), "redis"));
        assert!(!is_required(None, "redis"));
    }
}
