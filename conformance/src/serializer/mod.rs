//! The suite for serializers: what [`Serializer`] demands, and what wrappers promise beside it.

mod claims;
mod damage;
mod forgery;
mod places;
mod round_trip;
mod sample;
mod secrecy;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Arc,
};

use bytes::Bytes;
use cache_api::{Place, Result, Serializer};
use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Trial};

use crate::{
    Report,
    failure::{Failure, Outcome},
};

/// The suite for one serializer, and what it is said to offer. Each case is named `<serializer>::<group>::<case>`.
///
/// ```
/// use std::sync::Arc;
///
/// use cache_api::CborSerializer;
/// use cache_conformance::SerializerSuite;
///
/// let report = SerializerSuite::new("cbor", Arc::new(CborSerializer::new())).run_quiet(|_| true);
/// assert!(report.is_sound(), "{report}");
/// ```
///
/// What it does not see: whether keys and nonces are well made, and an old state that is put back whole.
#[derive(Clone)]
#[must_use]
pub struct SerializerSuite {
    name: String,
    plan: Arc<Plan>,
}

type Forge = Arc<dyn Fn(&Place) -> Result<Bytes> + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Plan {
    serializer: Arc<dyn Serializer>,
    authentic: bool,
    secret: bool,
    refuses: Vec<(String, Forge)>,
}

impl SerializerSuite {
    /// The suite for a serializer of that name. It is held to [`Serializer`]'s contract, and to no more until told so.
    pub fn new(name: impl Into<String>, serializer: Arc<dyn Serializer>) -> Self {
        let plan = Plan { serializer, authentic: false, secret: false, refuses: Vec::new() };
        Self { name: name.into(), plan: Arc::new(plan) }
    }

    /// Only who has the key can write: adds the group `forgery`, in which checksums are put right after the change, and
    /// what was written without a key is refused. A checksum alone detects accidental damage and fails this.
    pub fn authentic(self) -> Self {
        self.with(|plan| plan.authentic = true)
    }

    /// Only who has the key can read: adds the group `secrecy`.
    pub fn secret(self) -> Self {
        self.with(|plan| plan.secret = true)
    }

    /// What these bytes are, for a head as for a frame, is refused as corrupt, without a panic and without allocating much:
    /// an input that only the serializer's author can make, such as a bomb. Adds the case `claims::refused`.
    pub fn refuses(
        self,
        what: impl Into<String>,
        forge: impl Fn(&Place) -> Result<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.with(|plan| plan.refuses.push((what.into(), Arc::new(forge))))
    }

    /// Runs the suite as this process's test harness: arguments are libtest's, and cargo-nextest works too.
    #[must_use]
    pub fn run(self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials()).exit_code()
    }

    /// One trial a case. Cases of what the serializer is not said to offer are not there.
    #[must_use]
    pub fn trials(&self) -> Vec<Trial> {
        let chosen = all().filter(|case| self.plan.lack(case).is_none());
        let trial = |case: &'static Case| {
            let plan = Arc::clone(&self.plan);
            let name = format!("{}::{}::{}", self.name, case.group, case.name);
            Trial::test(name, move || run_case(&plan, case).map_err(Into::into))
        };
        chosen.map(trial).collect()
    }

    /// Runs the cases whose `group::case` the filter accepts, and prints nothing.
    pub fn run_quiet(&self, filter: impl Fn(&str) -> bool) -> Report {
        let mut report = Report::default();
        for case in all() {
            let name = format!("{}::{}", case.group, case.name);
            match self.plan.lack(case) {
                _ if !filter(&name) => {}
                Some(lack) => report.left_out.push((name, lack)),
                None => match run_case(&self.plan, case) {
                    Ok(()) => report.passed.push(name),
                    Err(failure) => report.failed.push((name, failure)),
                },
            }
        }
        report
    }

    fn with(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(Arc::make_mut(&mut self.plan));
        self
    }
}

impl fmt::Debug for SerializerSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerializerSuite").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One case of the suite.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    group: &'static str,
    name: &'static str,
    run: for<'a> fn(&'a Plan) -> BoxFuture<'a, Outcome>,
}

macro_rules! cases {
    ($group:literal; $($name:ident),+ $(,)?) => {
        pub(super) const CASES: &[super::Case] = &[$(super::Case {
            group: $group,
            name: stringify!($name),
            run: |plan| Box::pin($name(plan)),
        }),+];
    };
}

use cases;

const GROUPS: &[&[Case]] =
    &[round_trip::CASES, damage::CASES, places::CASES, claims::CASES, forgery::CASES, secrecy::CASES];

fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().copied().flatten()
}

impl Plan {
    /// Why a case does not apply.
    fn lack(&self, case: &Case) -> Option<&'static str> {
        match (case.group, case.name) {
            ("forgery", _) if !self.authentic => Some("it detects accidental damage alone"),
            ("secrecy", _) if !self.secret => Some("it hides nothing"),
            ("claims", "refused") if self.refuses.is_empty() => Some("nothing was forged for it"),
            _ => None,
        }
    }
}

/// A serializer that panics fails the case, and no more than that.
fn run_case(plan: &Plan, case: &Case) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::of(&e).while_doing("no runtime"))?;
    let run = AssertUnwindSafe(|| runtime.block_on((case.run)(plan)));
    catch_unwind(run).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref().copied()).unwrap_or("without a message");
        Err(Failure::new(format!("the serializer panicked: {message}")))
    })
}
