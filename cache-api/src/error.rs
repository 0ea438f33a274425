use std::{borrow::Cow, error::Error as StdError, fmt};

/// The result of a storage, serializer or key operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a storage, serializer or key operation failed.
///
/// `Display` says what failed and on which backend; [`source`](StdError::source) says why. Neither holds
/// credentials, bodies, header values or query strings.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    backend: Option<&'static str>,
    message: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached or refuses to work for now; it may later.
    Unavailable,
    /// No answer within the deadline; what was asked may have happened.
    Timeout,
    /// The body was removed or replaced longer ago than the read grace.
    Gone,
    /// Bytes that no serializer of this release wrote for this place.
    Corrupt,
    /// A setting that cannot work; the message names it and the fix.
    Config,
    /// A store laid out by another program or a newer release.
    Incompatible,
    /// The store refuses these credentials or lacks a permission.
    Denied,
    /// The store has no room.
    Full,
    /// The storage was closed.
    Closed,
    /// A call that breaks the contract, such as a ticket of another resource.
    Misuse,
    /// Anything else.
    Other,
}

impl Error {
    /// An error of `operation`, such as `lookup`.
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Box::new(Inner { kind, operation, backend: None, message: None, source: None }))
    }

    /// Names the backend, such as `sqlite`.
    #[must_use]
    pub fn with_backend(mut self, backend: &'static str) -> Self {
        self.0.backend = Some(backend);
        self
    }

    /// Says what is wrong and how to mend it. Never put credentials or stored content here.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The backend on which it failed, where known.
    #[must_use]
    pub fn backend(&self) -> Option<&'static str> {
        self.0.backend
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
    }

    /// Whether a body was removed or replaced longer ago than the read grace.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.kind() == ErrorKind::Gone
    }

    /// Whether the store held bytes that are not an entry of this place.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.kind() == ErrorKind::Corrupt
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, backend, message, .. } = &*self.0;
        if let Some(backend) = backend {
            write!(f, "{backend}: ")?;
        }
        match message {
            Some(message) => write!(f, "{operation}: {message}"),
            None => write!(f, "{operation}: {kind}"),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the store is unavailable",
            Self::Timeout => "no answer within the deadline",
            Self::Gone => "the body is gone",
            Self::Corrupt => "not an entry of this cache",
            Self::Config => "invalid setting",
            Self::Incompatible => "the store was laid out by something else",
            Self::Denied => "permission denied",
            Self::Full => "the store is full",
            Self::Closed => "the storage is closed",
            Self::Misuse => "the contract was broken",
            Self::Other => "failed",
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("backend", &self.0.backend)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
