use std::{sync::Arc, time::SystemTime};

use crate::{
    Body, BodyId, CacheKey, Change, Committed, Entry, Epoch, Error, ErrorKind, Frame, Generation, INLINE_MAX,
    INLINE_TOTAL, Limits, MAX_VARIANTS, Refusal, Resource, Result, StoredBody, TagDigest, Ticket, Variant,
    Version,
};

/// One resource as a value, with the rules of lookup, commit and removal.
///
/// For storages that replace a resource as a whole (a map in this process, a document, an object): read the
/// record, call a method, write it back if nobody else did. A store that spreads a resource over rows keeps
/// the same rules in its own statements.
#[derive(Clone, Debug)]
pub struct Record {
    generation: Generation,
    variants: Arc<[Variant]>,
    tombstone_until: Option<SystemTime>,
}

/// What [`Record::commit`] did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Applied {
    /// The outcome for the caller.
    pub committed: Committed,
    /// The bodies that the record let go: replaced, dead or evicted ones.
    pub retired: Vec<BodyId>,
}

impl Default for Record {
    fn default() -> Self {
        Self::absent()
    }
}

impl Record {
    /// The record of a resource that is not there and was not removed within living memory.
    #[must_use]
    pub fn absent() -> Self {
        Self { generation: Generation::NONE, variants: Arc::new([]), tombstone_until: None }
    }

    /// The record that a store kept.
    #[must_use]
    pub fn from_parts(
        generation: Generation,
        variants: impl Into<Arc<[Variant]>>,
        tombstone_until: Option<SystemTime>,
    ) -> Self {
        Self { generation, variants: variants.into(), tombstone_until }
    }

    /// The same record under that generation: for a store that keeps generations apart from its records.
    #[must_use]
    pub fn with_generation(mut self, generation: Generation) -> Self {
        self.generation = generation;
        self
    }

    /// The generation.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// All variants, dead ones too.
    #[must_use]
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// Until when the record must be kept for a removal's sake.
    #[must_use]
    pub fn tombstone_until(&self) -> Option<SystemTime> {
        self.tombstone_until
    }

    /// When the record as a whole can be dropped; `None` when it holds nothing.
    #[must_use]
    pub fn dead_at(&self) -> Option<SystemTime> {
        self.variants.iter().map(|v| v.dead_at).chain(self.tombstone_until).max()
    }

    /// What a lookup at `now` returns: the live variants, inline bodies within their bounds.
    #[must_use]
    pub fn lookup(&self, key: CacheKey, epoch: Epoch, now: SystemTime) -> Resource {
        let variants = if self.variants.iter().all(|v| v.is_live(now))
            && inline_bytes(&self.variants) <= INLINE_TOTAL as u64
        {
            Arc::clone(&self.variants)
        } else {
            let mut budget = INLINE_TOTAL as u64;
            self.variants.iter().filter(|v| v.is_live(now)).map(|v| within(&mut budget, v)).collect()
        };
        Resource::new(key, self.generation, epoch, variants, now)
    }

    /// The one frame of a body that the record holds inline.
    #[must_use]
    pub fn inline(&self, body: BodyId) -> Option<&Frame> {
        self.variants.iter().find_map(|v| match &v.body {
            Body::Inline(inline) if inline.id == body => Some(&inline.frame),
            _ => None,
        })
    }

    /// Applies a commit, or refuses it and changes nothing.
    ///
    /// The caller compares the ticket's [epoch](Ticket::epoch) with the namespace's and checks the entry's
    /// tags, in the same atomic step.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when the ticket is another resource's, or an inline body is over
    /// [`INLINE_MAX`].
    pub fn commit(
        &mut self,
        ticket: &Ticket,
        entry: Entry,
        change: Change,
        now: SystemTime,
        limits: &Limits,
    ) -> Result<Applied> {
        if let Some(refusal) = refused_ticket(ticket, &entry, now, limits)? {
            return Ok(Applied::refused(refusal));
        }
        if ticket.generation() != self.generation {
            return Ok(Applied::refused(Refusal::Removed));
        }
        let current = self.variants.iter().find(|v| v.id == entry.variant && v.is_live(now));
        let variant = match (change, current) {
            (Change::Put(body), Some(current)) if current.version.body == body.id() => {
                // The same commit again, after an answer that was lost.
                return Ok(Applied::stored(current.version, current.dead_at, Vec::new()));
            }
            (Change::Put(_), Some(current)) if ticket.saw(&entry.variant) != Some(current.version.body) => {
                return Ok(Applied::refused(Refusal::Replaced));
            }
            (Change::Put(body), _) => {
                let limit = body_limit(&body, now, limits)?;
                Variant::new(entry, body, 0, limit)
            }
            (Change::Keep(version), Some(current)) if current.version == version => {
                Variant::new(entry, current.body.clone(), version.head.saturating_add(1), current.limit)
            }
            (Change::Keep(_), _) => return Ok(Applied::refused(Refusal::VersionChanged)),
        };
        let (version, dead_at) = (variant.version, variant.dead_at);
        let retired = self.replace(variant, now);
        Ok(Applied::stored(version, dead_at, retired))
    }

    /// Removes all variants and moves the generation, or only the variant of that version.
    ///
    /// Returns how many live variants went, and their bodies.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn remove(
        &mut self,
        only: Option<Version>,
        now: SystemTime,
        limits: &Limits,
    ) -> Result<(u64, Vec<BodyId>)> {
        match only {
            Some(version) => Ok(self.take(now, |v| v.version == version)),
            None => {
                self.entomb(now, limits)?;
                Ok(self.take(now, |_| true))
            }
        }
    }

    /// Removes the variants that have any of these tags, and moves the generation if there were any.
    ///
    /// # Errors
    /// [`ErrorKind::Other`] when the operating system has no random bytes.
    pub fn purge(
        &mut self,
        tags: &[TagDigest],
        now: SystemTime,
        limits: &Limits,
    ) -> Result<(u64, Vec<BodyId>)> {
        let tagged = |v: &Variant| v.tags.iter().any(|tag| tags.contains(tag));
        if self.variants.iter().any(tagged) {
            self.entomb(now, limits)?;
        }
        Ok(self.take(now, tagged))
    }

    /// Drops what is dead at `now`. Returns how many variants went, and their bodies.
    pub fn sweep(&mut self, now: SystemTime) -> (u64, Vec<BodyId>) {
        if self.tombstone_until.is_some_and(|until| until <= now) {
            self.tombstone_until = None;
        }
        let dead: Vec<_> = self.variants.iter().filter(|v| !v.is_live(now)).map(|v| v.version.body).collect();
        if !dead.is_empty() {
            self.variants = self.variants.iter().filter(|v| v.is_live(now)).cloned().collect();
        }
        (dead.len() as u64, dead)
    }

    fn entomb(&mut self, now: SystemTime, limits: &Limits) -> Result<()> {
        self.generation = Generation::random()?;
        self.tombstone_until = now.checked_add(limits.tombstone());
        Ok(())
    }

    fn take(&mut self, now: SystemTime, gone: impl Fn(&Variant) -> bool) -> (u64, Vec<BodyId>) {
        let live = self.variants.iter().filter(|v| gone(v) && v.is_live(now)).count() as u64;
        let bodies = self.variants.iter().filter(|v| gone(v)).map(|v| v.version.body).collect();
        self.variants = self.variants.iter().filter(|v| !gone(v)).cloned().collect();
        (live, bodies)
    }

    /// Puts `variant` in the place of its namesake; drops dead ones, and the oldest of too many.
    fn replace(&mut self, variant: Variant, now: SystemTime) -> Vec<BodyId> {
        let body = variant.version.body;
        let mut kept: Vec<_> =
            self.variants.iter().filter(|v| v.id != variant.id && v.is_live(now)).cloned().collect();
        while kept.len() >= MAX_VARIANTS {
            let oldest = kept.iter().enumerate().min_by_key(|(_, v)| v.stored_at).map_or(0, |(i, _)| i);
            kept.remove(oldest);
        }
        kept.push(variant);
        let retired = self
            .variants
            .iter()
            .map(|v| v.version.body)
            .filter(|id| *id != body && !kept.iter().any(|k| k.version.body == *id));
        let retired = retired.collect();
        self.variants = kept.into();
        retired
    }
}

impl Applied {
    fn refused(refusal: Refusal) -> Self {
        Self { committed: Committed::Refused(refusal), retired: Vec::new() }
    }

    fn stored(version: Version, dead_at: SystemTime, retired: Vec<BodyId>) -> Self {
        Self { committed: Committed::Stored { version, dead_at }, retired }
    }
}

/// What every storage asks of a ticket before anything else.
fn refused_ticket(
    ticket: &Ticket,
    entry: &Entry,
    now: SystemTime,
    limits: &Limits,
) -> Result<Option<Refusal>> {
    if *ticket.key() != entry.key {
        return Err(Error::new(ErrorKind::Misuse, "commit").with_message("the ticket is another resource's"));
    }
    Ok(ticket.is_expired(now, limits).then_some(Refusal::TicketExpired))
}

/// The latest `dead_at` that a body committed at `now` allows.
fn body_limit(body: &Body, now: SystemTime, limits: &Limits) -> Result<SystemTime> {
    match body {
        Body::Inline(inline) if inline.len > INLINE_MAX as u64 => {
            Err(Error::new(ErrorKind::Misuse, "commit").with_message("an inline body over INLINE_MAX"))
        }
        Body::Inline(_) => Ok(limits.retention_from(now)),
        Body::Stored(stored) => Ok(stored.limit),
    }
}

fn inline_bytes(variants: &[Variant]) -> u64 {
    let len = |v: &Variant| if let Body::Inline(inline) = &v.body { inline.len } else { 0 };
    // What a store holds may claim any length.
    variants.iter().map(len).fold(0, u64::saturating_add)
}

/// The variant with its inline body if the budget still holds it, else with the body to be read.
fn within(budget: &mut u64, variant: &Variant) -> Variant {
    let mut variant = variant.clone();
    if let Body::Inline(inline) = &variant.body {
        match budget.checked_sub(inline.len) {
            Some(rest) => *budget = rest,
            None => {
                variant.body = Body::Stored(StoredBody {
                    id: inline.id,
                    frames: 1,
                    len: inline.len,
                    limit: variant.limit,
                });
            }
        }
    }
    variant
}
