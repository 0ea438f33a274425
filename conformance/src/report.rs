use std::fmt;

use crate::Failure;

/// What came of each case, for who runs the suite from code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The cases that passed, as `group::case`.
    pub passed: Vec<String>,
    /// The cases that failed, and why.
    pub failed: Vec<(String, Failure)>,
    /// The cases left out, and why: what the subject was said to lack.
    pub left_out: Vec<(String, &'static str)>,
}

impl Report {
    /// Whether that case failed.
    #[must_use]
    pub fn has_failed(&self, case: &str) -> bool {
        self.failed.iter().any(|(name, _)| name == case)
    }

    /// Whether some case ran and none failed.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.failed.is_empty() && !self.passed.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, left_out } = self;
        write!(f, "{} passed, {} failed, {} left out", passed.len(), failed.len(), left_out.len())?;
        failed.iter().try_for_each(|(name, failure)| write!(f, "\n  {name}: {failure}"))
    }
}
