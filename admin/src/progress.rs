use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use cache_api::Result;

use crate::{Admin, EntryFilter};

/// How work over many entries is done: tried or really, and who is told how far it is.
///
/// ```
/// # async fn example(admin: cache_admin::Admin) -> cache_api::Result<()> {
/// use cache_admin::{EntryFilter, Run};
///
/// let everything = EntryFilter::all();
/// let would = admin.remove_matching(&everything, Run::new().dry_run(true)).await?;
/// println!("{} entries of {} bytes would go", would.done, would.bytes);
/// admin.remove_matching(&everything, Run::new().on_progress(|so_far| println!("{}", so_far.done))).await?;
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use]
pub struct Run<'a> {
    dry: bool,
    total: bool,
    told: Option<Told<'a>>,
}

type Told<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;

impl<'a> Run<'a> {
    /// Really, and nobody is told.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes nothing: what is counted as done is what would have been.
    pub fn dry_run(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// Counts first, so that [`Progress::total`] is known. That is one more query, which reads the whole namespace in stores
    /// that cannot count otherwise.
    pub fn with_total(mut self, total: bool) -> Self {
        self.total = total;
        self
    }

    /// Tells after each entry, and while a large body is copied after each of its frames. It is called from within the
    /// work, which waits for it.
    pub fn on_progress(mut self, told: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.told = Some(Box::new(told));
        self
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("dry_run", &self.dry)
            .field("with_total", &self.total)
            .field("on_progress", &self.told.is_some())
            .finish()
    }
}

/// How far some work is, and at its end what came of it.
///
/// Each entry that was seen and that the filter wants is in one of `done`, `passed_over`, `invalid`, `unkeyed` and
/// `refused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many entries the store has listed, wanted or not.
    pub seen: u64,
    /// How many it will list, where [that was asked](Run::with_total). An estimate: others store and remove meanwhile.
    pub total: Option<u64>,
    /// How many entries were removed, re-dated, copied.
    pub done: u64,
    /// The plaintext bytes of their bodies; of a copy, what has been written so far.
    pub bytes: u64,
    /// Entries that were left alone, since they changed or went meanwhile, or the target of a copy has the same or newer
    /// ones, or re-dating would end them.
    pub passed_over: u64,
    /// Entries that could not be worked on, as their head or body cannot be read.
    pub invalid: u64,
    /// Entries that were not copied, since their new key cannot be told from what is stored.
    pub unkeyed: u64,
    /// Entries that the target of a copy refused: too large for it or for the room that it has left, or written too
    /// slowly.
    pub refused: u64,
    /// Dead entries, which no listing shows, that the store deleted on the way.
    pub swept: u64,
}

/// What came of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    PassedOver,
    Invalid,
    Unkeyed,
    Refused,
}

/// Counts, and tells of it. Work on several entries at once shares one.
pub(crate) struct Tally<'a> {
    dry: bool,
    state: Mutex<(Progress, Option<Told<'a>>)>,
}

impl<'a> Tally<'a> {
    /// Before the first entry.
    pub(crate) async fn begin(admin: &Admin, filter: &EntryFilter, run: Run<'a>) -> Result<Self> {
        let Run { dry, total, told } = run;
        let mut progress = Progress::default();
        if total {
            let now = admin.now();
            progress.total = Some(admin.listing()?.count(&filter.pushed(now), now).await?.entries);
        }
        Ok(Self { dry, state: Mutex::new((progress, told)) })
    }

    pub(crate) fn is_dry(&self) -> bool {
        self.dry
    }

    pub(crate) fn saw(&self) {
        self.tell(|progress| progress.seen = progress.seen.saturating_add(1));
    }

    pub(crate) fn bytes(&self, bytes: u64) {
        self.tell(|progress| progress.bytes = progress.bytes.saturating_add(bytes));
    }

    pub(crate) fn swept(&self, entries: u64) {
        self.tell(|progress| progress.swept = progress.swept.saturating_add(entries));
    }

    pub(crate) fn ended(&self, fate: Fate) {
        self.tell(|progress| {
            let count = match fate {
                Fate::Done => &mut progress.done,
                Fate::PassedOver => &mut progress.passed_over,
                Fate::Invalid => &mut progress.invalid,
                Fate::Unkeyed => &mut progress.unkeyed,
                Fate::Refused => &mut progress.refused,
            };
            *count = count.saturating_add(1);
        });
    }

    pub(crate) fn progress(&self) -> Progress {
        self.state().0
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        let (progress, told) = &mut *self.state();
        change(progress);
        if let Some(told) = told {
            told(progress);
        }
    }

    fn state(&self) -> MutexGuard<'_, (Progress, Option<Told<'a>>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
