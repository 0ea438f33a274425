//! Copying into another storage, with resume.

mod body;
mod keys;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use cache_api::{
    BodyId, CacheKey, Change, Committed, Entry, Head, Refusal, Resource, Result, StoredHead, Ticket, Variant,
    VariantId,
};
use url::Url;

use crate::{
    Admin, EntryFilter, EntryInfo, Progress, Run,
    progress::{Fate, Tally},
};
use body::Failed;
use keys::Keyer;

/// How entries are copied.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct CopyOptions {
    /// What becomes of the keys. Default: [`Keys::Auto`].
    pub keys: Keys,
    /// The tenants whose entries may be there, for keys that are made anew: which tenant an entry is for is in its key alone.
    /// An entry of one that is not named keeps out of the copy. Default: none.
    pub tenants: Vec<Arc<str>>,
    /// How many entries are copied at a time; each takes up to about 1 MiB of memory. Default: 4.
    pub at_once: usize,
}

/// What becomes of the keys of entries that are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Keys {
    /// Kept where source and target are of one namespace, made anew where they are not: the namespace is a part of them.
    #[default]
    Auto,
    /// Kept, whatever they are.
    Keep,
    /// Made anew by the target's key function: after a change of it, or of its version.
    ///
    /// A key is made of the request, and what is stored of that is method and URL. So an entry is copied where the source's
    /// key function makes of these, and of one of the [tenants](CopyOptions::tenants) or none, the key under which the
    /// entry lies; where more went into it (`Authorization`, a body, a key of the request's own) the entry is counted as
    /// [unkeyed](Progress::unkeyed) and stays behind. So does one that was selected by a request field, since what is
    /// kept of its value is salted with the old key.
    Make,
}

impl CopyOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self { keys: Keys::Auto, tenants: Vec::new(), at_once: 4 }
    }

    /// Sets [`CopyOptions::keys`].
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    /// Sets [`CopyOptions::tenants`].
    pub fn tenants<T: Into<Arc<str>>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
        self.tenants = tenants.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`CopyOptions::at_once`].
    pub fn at_once(mut self, entries: usize) -> Self {
        self.at_once = entries;
        self
    }
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Admin {
    /// Copies the entries that the filter wants into another storage, under its namespace, serializer and limits. Tags and
    /// times stay; an entry dies sooner where the target keeps none so long.
    ///
    /// Bodies go over frame by frame. An entry is visible in the target when it is there whole; what a copy that broke off
    /// has left half-done is never seen, and swept.
    ///
    /// Run it again to go on: an entry that the target has as new or newer is passed over without its body being read. So
    /// nothing is copied twice, and nothing overwritten that came, or was confirmed, later. An entry that is not readable is
    /// counted and left out.
    ///
    /// ```
    /// # async fn example(old: cache_admin::Admin, new: cache_admin::Admin) -> cache_api::Result<()> {
    /// use cache_admin::{CopyOptions, EntryFilter, Run};
    ///
    /// let run = Run::new().with_total(true).on_progress(|so_far| {
    ///     println!("{} of {:?} entries, {} bytes", so_far.seen, so_far.total, so_far.bytes);
    /// });
    /// let copied = old.copy_to(&new, &EntryFilter::all(), &CopyOptions::new(), run).await?;
    /// println!("{} copied, {} were there", copied.done, copied.passed_over);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`entries`](Admin::entries), and when either store fails: run it again.
    pub async fn copy_to(
        &self,
        target: &Self,
        filter: &EntryFilter,
        options: &CopyOptions,
        run: Run<'_>,
    ) -> Result<Progress> {
        let tally = Tally::begin(self, filter, run).await?;
        let keys = Keyer::new(self, target, options);
        let copy = Copy { from: self, to: target, keys: &keys, tally: &tally };
        self.for_each(filter, options.at_once, &tally, |entry| copy.entry(entry)).await
    }
}

/// A copy under way.
#[derive(Clone, Copy)]
struct Copy<'a, 't> {
    from: &'a Admin,
    to: &'a Admin,
    keys: &'a Keyer<'a>,
    tally: &'a Tally<'t>,
}

impl Copy<'_, '_> {
    async fn entry(self, entry: EntryInfo) -> Result<Fate> {
        let Some(head) = entry.head() else {
            return Ok(Fate::Invalid);
        };
        let Some(key) = self.keys.key(&entry.key, head).await? else {
            return Ok(Fate::Unkeyed);
        };
        let there = self.to.storage.lookup(&key, self.to.now()).await?;
        if self.has(&there, entry.variant, head).await? {
            return Ok(Fate::PassedOver);
        }
        if self.tally.is_dry() {
            self.tally.bytes(entry.len);
            return Ok(Fate::Done);
        }
        let here = self.from.storage.lookup(&entry.key, self.from.now()).await?;
        let variant = here.variants().iter().find(|v| v.id == entry.variant && v.version == entry.version);
        match variant {
            Some(variant) => self.variant(&entry, variant, head, key, there.ticket()).await,
            None => Ok(Fate::PassedOver),
        }
    }

    /// Whether the target has that variant as new or newer.
    async fn has(self, there: &Resource, id: VariantId, head: &Head) -> Result<bool> {
        let Some(variant) = there.variants().iter().find(|variant| variant.id == id) else {
            return Ok(false);
        };
        let place = self.to.place(*there.ticket().key(), id, variant.version.body);
        match variant.head.decode(&*self.to.serializer, &place).await {
            Ok(other) => Ok(comparable(other.responded_at) >= comparable(head.responded_at)),
            Err(error) if error.is_corrupt() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn variant(
        self,
        entry: &EntryInfo,
        variant: &Variant,
        head: &Head,
        key: CacheKey,
        ticket: &Ticket,
    ) -> Result<Fate> {
        let source = self.from.place(entry.key, variant.id, variant.version.body);
        let place = self.to.place(key, variant.id, BodyId::random()?);
        let copied = async {
            let body = self.body(&variant.body, &source, &place, ticket).await?;
            let head = StoredHead::new(head.clone(), Arc::clone(&self.to.serializer), place);
            let tags = Arc::clone(&variant.tags);
            let copy = Entry::new(key, variant.id, head, variant.stored_at, variant.dead_at).with_tags(tags);
            let commit = self.to.storage.commit(ticket, copy, Change::Put(body), self.to.now());
            commit.await.map_err(Failed::of_target)
        };
        match copied.await {
            Ok(Committed::Stored { .. }) => Ok(Fate::Done),
            Ok(Committed::Refused(Refusal::TooLarge | Refusal::TicketExpired | Refusal::BodyGone))
            | Err(Failed::Refused) => Ok(Fate::Refused),
            Ok(_) => Ok(Fate::PassedOver),
            Err(Failed::Unreadable) => Ok(Fate::Invalid),
            Err(Failed::Stopped(error)) => Err(error),
        }
    }
}

/// Serializers keep microseconds, a storage in memory all there is.
fn comparable(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros()
}

fn url_of(head: &Head) -> Option<Url> {
    Url::parse(&head.url).ok()
}
