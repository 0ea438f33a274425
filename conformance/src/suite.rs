use std::{
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cache_api::{CborSerializer, Serializer};
use libtest_mimic::{Arguments, Trial};

use crate::{
    Presence, REQUIRE, RawStore, Report, Subject,
    bench::Bench,
    case::{Case, Need},
    cases,
    failure::{Failure, Outcome},
    presence::is_required,
    resident,
};

/// How many entries are many.
const MANY: u64 = 5000;

/// The suite for one backend: a [`Subject`] and what it is said to offer.
#[derive(Clone)]
#[must_use]
pub struct Suite {
    name: String,
    plan: Arc<Plan>,
}

/// What each case is given.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) subject: Arc<dyn Subject>,
    pub(crate) serializer: Arc<dyn Serializer>,
    pub(crate) hiding: Option<Arc<dyn Serializer>>,
    pub(crate) granularity: Duration,
    pub(crate) native_expiry: bool,
    pub(crate) shared: bool,
    pub(crate) persistent: bool,
    pub(crate) eventual: Option<Duration>,
    pub(crate) without: Vec<Ability>,
    pub(crate) many: u64,
    pub(crate) outside: bool,
    pub(crate) name: String,
    presence: Presence,
    patience: Duration,
}

/// An ability that a storage may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ability {
    /// [`Leases`](cache_api::Leases).
    Leases,
    /// [`Tags`](cache_api::Tags).
    Tags,
    /// [`Listing`](cache_api::Listing).
    Listing,
    /// [`Touch`](cache_api::Touch).
    Touch,
    /// [`Events`](cache_api::Events).
    Events,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Suite {
    /// The suite for a backend of that name. It expects every ability until told otherwise.
    pub fn new(name: impl Into<String>, subject: impl Subject) -> Self {
        let name = name.into();
        let plan = Plan {
            subject: Arc::new(subject),
            serializer: Arc::new(CborSerializer::new()),
            hiding: None,
            granularity: Duration::from_millis(1),
            native_expiry: false,
            shared: false,
            persistent: false,
            eventual: None,
            without: Vec::new(),
            many: MANY,
            outside: false,
            name: name.clone(),
            presence: Presence::Here,
            patience: Duration::from_secs(60),
        };
        Self { name, plan: Arc::new(plan) }
    }

    /// Two storages opened on one namespace see one store, as two replicas do. Adds the groups `two_handles` and
    /// `events`.
    pub fn shared(self) -> Self {
        self.with(|plan| plan.shared = true)
    }

    /// What was stored is there when the namespace is opened again after `close`. Adds the group
    /// `persistence`.
    pub fn persistent(self) -> Self {
        self.with(|plan| plan.persistent = true)
    }

    /// What another storage on the same store changed is seen within `bound` of real time and of the case's clock, and
    /// not at once: the storage answers some lookups from copies of its own. The groups `two_handles` and `outage` look
    /// again until then. Nothing else is relaxed: own changes are seen at once, what must be refused is refused, and
    /// a lookup after an event sees what the event tells of.
    pub fn eventual(self, bound: Duration) -> Self {
        self.with(|plan| plan.eventual = Some(bound))
    }

    /// The storage lacks that ability: its cases are left out. The suite fails a storage that lacks another
    /// one, or has this one after all.
    pub fn without(self, ability: Ability) -> Self {
        self.with(|plan| plan.without.push(ability))
    }

    /// How coarsely the store keeps `dead_at`; 1 ms by default.
    pub fn expiry_granularity(self, granularity: Duration) -> Self {
        self.with(|plan| plan.granularity = granularity)
    }

    /// The store deletes by a clock of its own, too: `expiry::parts_apart` waits for real time, and a sweep
    /// may find that what is dead is gone already.
    pub fn native_expiry(self) -> Self {
        self.with(|plan| plan.native_expiry = true)
    }

    /// Bodies lie outside this process: its memory does not grow with them. Adds the group `memory`, which stores 50 MiB
    /// and runs this test binary once more to measure it.
    pub fn bodies_outside(self) -> Self {
        self.with(|plan| plan.outside = true)
    }

    /// How many entries the group `many` stores, lists and clears; 5,000 by default. Fewer are for a server that takes
    /// minutes for them, and are said on stderr.
    pub fn many(self, entries: u64) -> Self {
        self.with(|plan| plan.many = entries)
    }

    /// The serializer of all entries; [`CborSerializer`] by default.
    pub fn serializer(self, serializer: Arc<dyn Serializer>) -> Self {
        self.with(|plan| plan.serializer = serializer)
    }

    /// A serializer that hides what it is given, such as one that encrypts. Adds the group `secrecy`, for a subject whose
    /// [raw store](Subject::raw) can be [read](RawStore::dump): what it hides lies nowhere in the store as it is, and
    /// what the [`serializer`](Suite::serializer) of all other cases stores does.
    pub fn hiding(self, serializer: Arc<dyn Serializer>) -> Self {
        self.with(|plan| plan.hiding = Some(serializer))
    }

    /// Whether the service that the backend needs is there; it is by default.
    pub fn presence(self, presence: Presence) -> Self {
        self.with(|plan| plan.presence = presence)
    }

    /// How long a case may take before it counts as stuck; 60 s by default.
    pub fn patience(self, patience: Duration) -> Self {
        self.with(|plan| plan.patience = patience)
    }

    /// Runs the suite as this process's test harness: arguments are libtest's, and cargo-nextest works too.
    #[must_use]
    pub fn run(self) -> ExitCode {
        Self::run_all([self])
    }

    /// Runs several suites as one test harness: those of one program, which is built and linked once.
    #[must_use]
    pub fn run_all(suites: impl IntoIterator<Item = Self>) -> ExitCode {
        let arguments = Arguments::from_args();
        let mut trials = Vec::new();
        for suite in suites {
            // cargo-nextest lists twice, then runs each trial by its exact name, and never one that is ignored:
            // an absence must show at the first listing.
            if !(arguments.list && arguments.ignored) {
                suite.announce_absence();
            }
            if !arguments.list && !arguments.exact {
                suite.announce();
            }
            trials.extend(suite.trials());
        }
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    /// One trial a case, named `<backend>::<group>::<case>`. Cases of what the subject lacks are not there.
    #[must_use]
    pub fn trials(&self) -> Vec<Trial> {
        let required = is_required(std::env::var(REQUIRE).ok().as_deref(), &self.name);
        self.chosen().map(|case| self.trial(case, required)).collect()
    }

    /// Runs the cases whose `group::case` the filter accepts, and prints nothing.
    pub fn run_quiet(&self, filter: impl Fn(&str) -> bool) -> Report {
        let mut report = Report::default();
        for case in cases::all() {
            let name = format!("{}::{}", case.group, case.name);
            match self.plan.lacks(case) {
                _ if !filter(&name) => {}
                Some(need) => report.left_out.push((name, need.lack())),
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

    fn chosen(&self) -> impl Iterator<Item = &'static Case> {
        cases::all().filter(|case| self.plan.lacks(case).is_none())
    }

    fn trial(&self, case: &'static Case, required: bool) -> Trial {
        let name = format!("{}::{}::{}", self.name, case.group, case.name);
        let plan = Arc::clone(&self.plan);
        if let Presence::Absent { reason, remedy } = &plan.presence {
            let message = format!("{reason}; {remedy}");
            return Trial::test(name, move || Err(message.into())).with_ignored_flag(!required);
        }
        Trial::test(name, move || run_case(&plan, case).map_err(Into::into))
    }

    /// Says on stderr why all is ignored, and how to get what is absent.
    fn announce_absence(&self) {
        let name = &self.name;
        if let Presence::Absent { reason, remedy } = &self.plan.presence {
            eprintln!(
                "conformance of {name}: absent: {reason}. To run it: {remedy}. \
                 {REQUIRE}={name} turns its absence into a failure."
            );
        }
    }

    /// Says on stderr what is left out, and why: a lack must not look like a pass.
    fn announce(&self) {
        let Self { name, plan } = self;
        let mut lacks: Vec<(Need, usize)> = Vec::new();
        for need in cases::all().filter_map(|case| plan.lacks(case)) {
            match lacks.iter_mut().find(|(known, _)| *known == need) {
                Some((_, count)) => *count += 1,
                None => lacks.push((need, 1)),
            }
        }
        let left_out = lacks.iter().map(|(need, count)| format!("{count} as {}", need.lack()));
        let left_out = left_out.collect::<Vec<_>>().join(", ");
        let left_out = if left_out.is_empty() { "none".to_owned() } else { left_out };
        eprintln!("conformance of {name}: {} cases; left out: {left_out}", self.chosen().count());
        if plan.many < MANY {
            eprintln!(
                "conformance of {name}: the group `many` stores {} entries in place of {MANY}",
                plan.many
            );
        }
    }
}

impl Plan {
    /// What of a case's needs the subject lacks.
    fn lacks(&self, case: &Case) -> Option<Need> {
        let lacks = |need: &&Need| match need {
            Need::Ability(ability) => self.without.contains(ability),
            Need::Shared => !self.shared,
            Need::Persistent => !self.persistent,
            Need::Raw => self.subject.raw().is_none(),
            Need::NativeExpiry => !self.native_expiry,
            Need::Counted => !self.subject.raw().is_some_and(RawStore::counts),
            Need::Dumped => !self.subject.raw().is_some_and(RawStore::dumps),
            Need::Hiding => self.hiding.is_none(),
            Need::Remote => self.subject.remote().is_none(),
            Need::OwnServer => self.subject.own_server().is_none(),
            Need::Outside => !self.outside,
            Need::Measured => !resident::is_known(),
        };
        case.needs.iter().find(lacks).copied()
    }
}

/// Runs one case in a runtime of its own: one that hangs or panics takes nothing with it.
fn run_case(plan: &Arc<Plan>, case: &Case) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::of(&e).while_doing("no runtime"))?;
    let bench = Bench::new(Arc::clone(plan))?;
    let patience = plan.patience.saturating_mul(case.patience);
    let run = case.run;
    // The outcome comes through a cell, so that a case that never yields cannot hold up the report.
    let outcome = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&outcome);
    let ended = runtime.block_on(async move {
        let task = tokio::spawn(async move {
            let result = run(bench.clone()).await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            bench.clean().await;
        });
        tokio::time::timeout(patience, task).await
    });
    runtime.shutdown_background();
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (outcome, ended) {
        (Some(outcome), Ok(Ok(()))) => outcome,
        (_, Ok(Err(panic))) => Err(Failure::new(format!("the storage panicked: {panic}"))),
        (Some(Ok(())), _) => Err(Failure::new(format!("clearing up took more than {patience:?}"))),
        (Some(failure), _) => failure,
        (None, _) => Err(Failure::new(format!("stuck: no end within {patience:?}"))),
    }
}
