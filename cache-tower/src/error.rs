use std::{error::Error as StdError, fmt, sync::Arc};

use cache_engine::BodyError;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a request has no answer, or why the body of an answer broke off.
///
/// What the service below failed with is [`Error::inner`], in its own type. It is shared by all who waited for one
/// fetch, which is why it comes as a reference.
///
/// ```
/// fn refused(error: &cache_tower::Error) -> bool {
///     let cause = error.inner().downcast_ref::<std::io::Error>();
///     error.is_service() && cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused)
/// }
/// # let refusal = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// # let _ = (refused, refusal);
/// ```
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    inner: Arc<dyn StdError + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The service below failed.
    Service,
    /// A body broke off.
    Body,
    /// The cache's storage failed.
    Cache,
    /// What steers the request contradicts itself.
    Setting,
    /// The runtime is shutting down.
    Interrupted,
}

impl Error {
    fn new(kind: Kind, inner: impl Into<BoxError>) -> Self {
        Self { kind, inner: inner.into().into() }
    }

    pub(crate) fn service(inner: impl Into<BoxError>) -> Self {
        Self::new(Kind::Service, inner)
    }

    pub(crate) fn body(inner: impl Into<BoxError>) -> Self {
        Self::new(Kind::Body, inner)
    }

    pub(crate) fn of_engine(error: cache_engine::Error<Self>) -> Self {
        match error {
            cache_engine::Error::Network(error) => Arc::unwrap_or_clone(error),
            cache_engine::Error::Storage(error) => Self::new(Kind::Cache, error),
            cache_engine::Error::Setting(invalid) => Self::new(Kind::Setting, invalid),
            other => Self::new(Kind::Interrupted, other),
        }
    }

    /// The body of the service below is what failed, if it was: whether or not it was being stored, the caller sees
    /// the same.
    pub(crate) fn of_body(error: BodyError) -> Self {
        match &error {
            BodyError::Network(below) => below.downcast_ref::<Self>().cloned(),
            _ => None,
        }
        .unwrap_or_else(|| Self::body(error))
    }

    /// Whether the service below failed: it could not be made ready, or its call returned an error.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.kind == Kind::Service
    }

    /// Whether a body broke off: that of the request, or that of the answer.
    #[must_use]
    pub fn is_body(&self) -> bool {
        self.kind == Kind::Body
    }

    /// Whether the cache's storage failed, and the cache is set to fail closed. What failed is a [`cache_api::Error`].
    #[must_use]
    pub fn is_cache(&self) -> bool {
        self.kind == Kind::Cache
    }

    /// Whether the request's [`Controls`](crate::Controls) contradict each other; nothing was asked of anyone. What is
    /// wrong is an [`InvalidSetting`](crate::InvalidSetting).
    #[must_use]
    pub fn is_setting(&self) -> bool {
        self.kind == Kind::Setting
    }

    /// What failed, in its own type: [`downcast_ref`](StdError#method.downcast_ref) tells it. It is the error's
    /// [source](StdError::source), too.
    #[must_use]
    pub fn inner(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.inner
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Service => "the service below the cache failed",
            Kind::Body => "a request or response body broke off",
            Kind::Cache => "the cache's storage failed",
            Kind::Setting => "the request's settings cannot be used together",
            Kind::Interrupted => "the fetch was cut off",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.inner)
    }
}
