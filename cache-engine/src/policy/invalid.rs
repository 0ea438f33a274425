use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A setting that cannot be used, or contradicts another.
///
/// `Display` names the setting and says what is wrong with it; the source, where there is one, says it in the words of
/// the library that reads such settings.
#[derive(Debug)]
pub struct InvalidSetting {
    setting: Cow<'static, str>,
    problem: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl InvalidSetting {
    pub(crate) fn new(setting: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { setting: setting.into(), problem: problem.into(), source: None }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The setting's name, as in the API: `stale_if_error_statuses`, or `host` of a rule with the rule's name.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl Error for InvalidSetting {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
