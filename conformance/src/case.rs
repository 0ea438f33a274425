use futures_util::future::BoxFuture;

use crate::{bench::Bench, failure::Outcome, suite::Ability};

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// What it cannot do without.
    pub(crate) needs: &'static [Need],
    /// How many times the suite's patience it may take.
    pub(crate) patience: u32,
    pub(crate) run: fn(Bench) -> BoxFuture<'static, Outcome>,
}

/// What a subject must offer for a case to make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Ability(Ability),
    /// Two storages opened on one namespace see one store.
    Shared,
    /// What was stored outlives the storage.
    Persistent,
    /// The store can be damaged.
    Raw,
    /// The store deletes by a clock of its own.
    NativeExpiry,
    /// What the store holds can be counted past the storage.
    Counted,
    /// All that the store holds can be read past the storage.
    Dumped,
    /// There is a serializer that hides what it is given.
    Hiding,
    /// A proxy can be put on the way to the store.
    Remote,
    /// A server can be had that nobody else uses.
    OwnServer,
    /// Bodies lie outside this process.
    Outside,
    /// The system says how much memory a process has.
    Measured,
}

impl Need {
    pub(crate) const LEASES: Self = Self::Ability(Ability::Leases);
    pub(crate) const TAGS: Self = Self::Ability(Ability::Tags);
    pub(crate) const LISTING: Self = Self::Ability(Ability::Listing);
    pub(crate) const TOUCH: Self = Self::Ability(Ability::Touch);
    pub(crate) const EVENTS: Self = Self::Ability(Ability::Events);

    /// Why cases that need it are left out.
    pub(crate) fn lack(self) -> &'static str {
        match self {
            Self::Ability(Ability::Leases) => "it has no leases",
            Self::Ability(Ability::Tags) => "it has no tags",
            Self::Ability(Ability::Listing) => "it has no listing",
            Self::Ability(Ability::Touch) => "it records no uses",
            Self::Ability(Ability::Events) => "it has no events",
            Self::Shared => "its stores are not shared",
            Self::Persistent => "its stores do not outlive it",
            Self::Raw => "nobody else can get at its store",
            Self::NativeExpiry => "its store has no clock of its own",
            Self::Counted => "nobody can count what its store holds",
            Self::Dumped => "nobody can read what its store holds",
            Self::Hiding => "no serializer was named that hides what it is given",
            Self::Remote => "no proxy can be put on the way to its store",
            Self::OwnServer => "it has no server that a case may kill",
            Self::Outside => "its bodies lie in this process",
            Self::Measured => "this system does not say how much memory a process has",
        }
    }
}

/// The cases of one group: `cases!["group"; name, other [LISTING, Shared], …]`; `cases!["group", patience 10; …]` for
/// cases that may take ten times as long as others.
macro_rules! cases {
    ($group:literal; $($cases:tt)+) => {
        $crate::case::cases![$group, patience 1; $($cases)+];
    };
    ($group:literal, patience $patience:literal; $($name:ident $([$($need:ident),+])?),+ $(,)?) => {
        /// The cases of this group.
        pub(super) const CASES: &[$crate::case::Case] = &[$($crate::case::Case {
            group: $group,
            name: stringify!($name),
            needs: &[$($($crate::case::Need::$need),+)?],
            patience: $patience,
            run: |bench| Box::pin($name(bench)),
        }),+];
    };
}

pub(crate) use cases;
