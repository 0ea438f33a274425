//! What is told apart in what is counted: a closed set of words each, so that no label of a metric grows.

use std::fmt;

use cache_api::ErrorKind;
use http::StatusCode;

use crate::policy::{Forward, Reason};

/// A closed set of words by which something is counted.
pub trait Label: Copy + fmt::Debug + Send + Sync + 'static + sealed::Sealed {
    /// How many there are.
    const COUNT: usize;

    /// All of them, in the order of their [`index`](Label::index).
    fn all() -> impl Iterator<Item = Self>;

    /// Its place among them, less than [`COUNT`](Label::COUNT).
    fn index(self) -> usize;

    /// Its word, or both words of a pair, as in logs and metrics.
    fn words(self) -> impl AsRef<[&'static str]>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident => $word:literal,)+ })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$each])* $variant,)+ }

        impl $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its word, as in logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        label!($name);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+ };
}

macro_rules! label {
    ($name:ident) => {
        impl sealed::Sealed for $name {}

        impl Label for $name {
            const COUNT: usize = Self::ALL.len();

            fn all() -> impl Iterator<Item = Self> {
                Self::ALL.iter().copied()
            }

            fn index(self) -> usize {
                self as usize
            }

            fn words(self) -> impl AsRef<[&'static str]> {
                [self.as_str()]
            }
        }
    };
}

labels! {
    /// What a request came to.
    Outcome {
        /// Served out of the store, fresh, without asking the origin.
        Hit => "hit",
        /// Served out of the store, stale, without waiting for the origin.
        Stale => "stale",
        /// Served out of the store, stale, because the origin failed.
        StaleIfError => "stale-if-error",
        /// Served out of the store after the origin confirmed it.
        Revalidated => "revalidated",
        /// The origin's answer, since nothing stored could be used.
        Miss => "miss",
        /// The origin's answer, past the cache.
        Bypass => "bypass",
        /// The 504 of `only-if-cached`.
        Unsatisfiable => "unsatisfiable",
        /// An error.
        Error => "error",
        /// Nothing: the caller went away before there was an answer.
        Abandoned => "abandoned",
    }

    /// Why a request went past the cache.
    Bypass {
        /// The engine has no storage.
        Disabled => "disabled",
        /// The engine is closed.
        Closed => "closed",
        /// The cache is suspended.
        Suspended => "suspended",
        /// No key: the key function declined or failed, or the body is a stream.
        Key => "key",
        /// The caller asked for it.
        Caller => "caller",
        /// The method is not one that is cached.
        Method => "method",
        /// The request's `Host` is not its URL's.
        Host => "host",
    }

    /// What a commit did to the store.
    Stored {
        /// A response was stored.
        Response => "response",
        /// The head of a stored response was replaced, after a validation.
        Head => "head",
    }

    /// Why an answer of the origin was not stored.
    NotStored {
        /// The request says `no-store`.
        Request => "request",
        /// The response forbids it: `no-store`, `private`, `Vary: *` and the like.
        Response => "response",
        /// Its status is never stored, or is not among those that are to be.
        Status => "status",
        /// Nothing says how long it is fresh, or it could never be reused.
        Freshness => "freshness",
        /// It is a part that cannot be stored.
        Partial => "partial",
        /// A setting says so.
        Setting => "setting",
        /// The filter keeps it out, or failed.
        Filter => "filter",
        /// It repeats what of its request is redacted.
        Secret => "secret",
        /// It has more tags than an entry may have.
        Tags => "tags",
        /// It is larger than what is stored at most.
        Size => "size",
        /// Its body broke off, or is not as long as it says.
        Broken => "broken",
        /// Nobody waits for its body any more.
        Abandoned => "abandoned",
        /// Something else happened to the entry first: it was removed, or replaced.
        Refused => "refused",
        /// The storage failed.
        Storage => "storage",
        /// Anything else, such as a 304 to the caller's own conditions.
        Other => "other",
    }

    /// An operation of the storage.
    Operation {
        /// Looking a resource up.
        Lookup => "lookup",
        /// Reading frames of a body.
        Read => "read",
        /// Decoding what was read.
        Decode => "decode",
        /// Beginning a body.
        Writer => "writer",
        /// Writing a frame.
        Write => "write",
        /// Ending a body.
        Finish => "finish",
        /// Making an entry visible.
        Commit => "commit",
        /// Removing entries.
        Remove => "remove",
        /// Recording last use.
        Touch => "touch",
        /// Taking a lease.
        Acquire => "acquire",
        /// Prolonging a lease.
        Extend => "extend",
        /// Giving a lease back.
        Release => "release",
        /// Trying whether a storage that was left alone works again.
        Probe => "probe",
    }

    /// How an operation of the storage ended.
    Ended {
        /// It did what was asked.
        Ok => "ok",
        /// It failed.
        Error => "error",
        /// There was no answer within the deadline.
        Timeout => "timeout",
    }

    /// How an operation of the storage failed: the [`ErrorKind`] in one word.
    Failure {
        /// [`ErrorKind::Unavailable`].
        Unavailable => "unavailable",
        /// [`ErrorKind::Timeout`].
        Timeout => "timeout",
        /// [`ErrorKind::Gone`].
        Gone => "gone",
        /// [`ErrorKind::Corrupt`].
        Corrupt => "corrupt",
        /// [`ErrorKind::Config`].
        Config => "config",
        /// [`ErrorKind::Incompatible`].
        Incompatible => "incompatible",
        /// [`ErrorKind::Denied`].
        Denied => "denied",
        /// [`ErrorKind::Full`].
        Full => "full",
        /// [`ErrorKind::Closed`].
        Closed => "closed",
        /// [`ErrorKind::Misuse`].
        Misuse => "misuse",
        /// Any other.
        Other => "other",
    }

    /// What a request to the origin was for.
    Purpose {
        /// A response.
        Fetch => "fetch",
        /// Whether what is stored is still good.
        Validate => "validate",
        /// Refreshing what is stored, in the background.
        Refresh => "refresh",
        /// A request past the cache.
        Bypass => "bypass",
        /// The rest of a body that the storage could not be read to the end.
        Resume => "resume",
    }

    /// What the origin said.
    Reply {
        /// A status from 200 to 299.
        Success => "2xx",
        /// A status from 300 to 399.
        Redirection => "3xx",
        /// A status from 400 to 499.
        ClientError => "4xx",
        /// A status from 500 to 599.
        ServerError => "5xx",
        /// Any other status.
        Other => "other",
        /// Nothing: it could not be reached.
        Failed => "error",
        /// Nobody waited for it any more.
        Abandoned => "abandoned",
    }

    /// What became of a refresh in the background.
    Refresh {
        /// The origin answered.
        Done => "done",
        /// The origin could not be reached.
        Failed => "failed",
        /// Another process did it.
        Yielded => "yielded",
    }

    /// For whose fetch a request waited.
    Leader {
        /// That of another request of this process.
        Process => "process",
        /// That of another process which shares the storage.
        Replica => "replica",
    }

    /// How a wait for another's fetch ended.
    Wait {
        /// The fetch ended.
        Over => "over",
        /// It took too long: the request fetches for itself.
        GaveUp => "gave-up",
    }

    /// Where the bytes of a body came from.
    Flow {
        /// The store.
        Store => "store",
        /// The origin.
        Origin => "origin",
    }
}

impl Forward {
    const ALL: &'static [Self] = &[
        Self::Bypass,
        Self::Method,
        Self::UriMiss,
        Self::VaryMiss,
        Self::Miss,
        Self::Request,
        Self::Stale,
        Self::Partial,
    ];
}

label!(Forward);

impl sealed::Sealed for () {}

/// What is not told apart.
impl Label for () {
    const COUNT: usize = 1;

    fn all() -> impl Iterator<Item = Self> {
        std::iter::once(())
    }

    fn index(self) -> usize {
        0
    }

    fn words(self) -> impl AsRef<[&'static str]> {
        []
    }
}

impl<A: Label, B: Label> sealed::Sealed for (A, B) {}

/// What is told apart in two ways.
impl<A: Label, B: Label> Label for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn all() -> impl Iterator<Item = Self> {
        A::all().flat_map(|a| B::all().map(move |b| (a, b)))
    }

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn words(self) -> impl AsRef<[&'static str]> {
        let (a, b) = (self.0.words(), self.1.words());
        [a.as_ref(), b.as_ref()].concat()
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Gone => Self::Gone,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Config => Self::Config,
            ErrorKind::Incompatible => Self::Incompatible,
            ErrorKind::Denied => Self::Denied,
            ErrorKind::Full => Self::Full,
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Misuse => Self::Misuse,
            _ => Self::Other,
        }
    }
}

impl From<StatusCode> for Reply {
    fn from(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            5 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

/// The rule by which an answer is passed on without being stored.
impl From<Reason> for NotStored {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::RequestNoStore => Self::Request,
            Reason::ResponseNoStore
            | Reason::Private
            | Reason::Authorization
            | Reason::SetCookie
            | Reason::NotUnderstood
            | Reason::VaryStar
            | Reason::VaryRedacted => Self::Response,
            Reason::SecretRepeated => Self::Secret,
            Reason::StatusNotStored | Reason::StatusNotListed => Self::Status,
            Reason::NoFreshness | Reason::NotReusable | Reason::NoExpirySet => Self::Freshness,
            Reason::Partial => Self::Partial,
            Reason::NotStored(_) | Reason::ReadOnly => Self::Setting,
            Reason::RejectedOnRead | Reason::RejectedOnWrite | Reason::FilterFailed => Self::Filter,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place() {
        fn check<L: Label + PartialEq>() {
            let indices: Vec<_> = L::all().map(L::index).collect();
            assert_eq!(indices, (0..L::COUNT).collect::<Vec<_>>(), "{:?}", L::all().collect::<Vec<_>>());
            let mut words: Vec<_> = L::all().map(|label| label.words().as_ref().to_vec()).collect();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), L::COUNT, "two of one name");
        }
        check::<Outcome>();
        check::<Bypass>();
        check::<Forward>();
        check::<Stored>();
        check::<NotStored>();
        check::<(Operation, Ended)>();
        check::<(Operation, Failure)>();
        check::<(Purpose, Reply)>();
        check::<Refresh>();
        check::<(Leader, Wait)>();
        check::<Flow>();
        check::<()>();
    }
}
