use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use cache_api::{
    Body, BodyId, BodyWriter, CacheKey, Change, Committed, Entry, Error, Events, Frame, INLINE_MAX,
    InlineBody, Leases, Listing, Place, Refusal, Resource, Result, Serializer, Storage, StoredBody,
    StoredHead, Tags, Ticket, Touch, Variant, VariantId, Version,
};

use crate::{
    clock::{Clock, later},
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure, ensure_eq},
    payload::Payload,
};

/// A storage with what the cases do to it again and again.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) storage: Arc<dyn Storage>,
    serializer: Arc<dyn Serializer>,
    clock: Clock,
    /// For how long `check` and `absent` look again.
    eventual: Option<Duration>,
}

/// A write between its body and its commit.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) ticket: Ticket,
    pub(crate) entry: Entry,
    pub(crate) change: Change,
    pub(crate) body: BodyId,
}

/// A write that came through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) version: Version,
    pub(crate) dead_at: SystemTime,
}

impl Store {
    pub(crate) fn new(storage: Arc<dyn Storage>, serializer: Arc<dyn Serializer>, clock: Clock) -> Self {
        Self { storage, serializer, clock, eventual: None }
    }

    /// The same storage, which may be that late to see what another one changed.
    pub(crate) fn eventual(mut self, bound: Option<Duration>) -> Self {
        self.eventual = bound;
        self
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn serializer(&self) -> &dyn Serializer {
        &*self.serializer
    }

    pub(crate) fn shared_serializer(&self) -> Arc<dyn Serializer> {
        Arc::clone(&self.serializer)
    }

    pub(crate) async fn lookup(&self, key: &CacheKey) -> Outcome<Resource> {
        self.storage.lookup(key, self.now()).await.context("lookup")
    }

    /// Looks up, writes the body, and stops before the commit.
    pub(crate) async fn begin(&self, draft: &Draft) -> Outcome<Pending> {
        let ticket = self.lookup(&draft.key).await?.ticket().clone();
        self.begin_with(ticket, draft).await
    }

    /// Writes the body under a ticket, and stops before the commit.
    pub(crate) async fn begin_with(&self, ticket: Ticket, draft: &Draft) -> Outcome<Pending> {
        let id = BodyId::random()?;
        let body = if draft.stored || draft.payload.len() > INLINE_MAX as u64 {
            Body::Stored(self.write(&ticket, id, draft).await?)
        } else {
            Body::Inline(InlineBody { id, frame: self.frame(draft, id, 0), len: draft.payload.len() })
        };
        Ok(Pending { ticket, entry: self.entry(draft, id), change: Change::Put(body), body: id })
    }

    /// Writes a stored body to its end.
    pub(crate) async fn write(&self, ticket: &Ticket, id: BodyId, draft: &Draft) -> Outcome<StoredBody> {
        let mut writer = self.writer(ticket, id).await?;
        for index in 0..draft.payload.frames() {
            writer.write(self.frame(draft, id, index)).await.context(format!("write of frame {index}"))?;
        }
        let body = writer.finish(draft.payload.len()).await.context("finish")?;
        ensure_eq!(body.id, id, "the id of the body written");
        ensure_eq!(body.frames, draft.payload.frames(), "the frames of the body written");
        ensure_eq!(body.len, draft.payload.len(), "the length of the body written");
        Ok(body)
    }

    pub(crate) async fn writer(&self, ticket: &Ticket, id: BodyId) -> Outcome<Box<dyn BodyWriter>> {
        self.storage.writer(ticket, id, self.now()).await.context("writer")
    }

    /// The entry of a draft as of now, its head bound to that body.
    pub(crate) fn entry(&self, draft: &Draft, body: BodyId) -> Entry {
        let place = self.place(draft.key, draft.variant, body);
        let head = StoredHead::new(draft.head.clone(), Arc::clone(&self.serializer), place);
        let now = self.now();
        Entry::new(draft.key, draft.variant, head, now, later(now, draft.life))
            .with_tags(Arc::clone(&draft.tags))
    }

    pub(crate) fn frame(&self, draft: &Draft, body: BodyId, index: u32) -> Frame {
        let place = self.place(draft.key, draft.variant, body).frame(index, draft.payload.is_last(index));
        Frame::new(draft.payload.frame(index), Arc::clone(&self.serializer), place)
    }

    pub(crate) fn place(&self, key: CacheKey, variant: VariantId, body: BodyId) -> Place {
        Place::head(self.storage.namespace(), key, variant, body)
    }

    pub(crate) async fn commit(&self, pending: &Pending) -> Outcome<Committed> {
        self.try_commit(pending).await.context("commit")
    }

    pub(crate) async fn try_commit(&self, pending: &Pending) -> Result<Committed> {
        let Pending { ticket, entry, change, .. } = pending.clone();
        self.storage.commit(&ticket, entry, change, self.now()).await
    }

    /// Commits, and fails the case if that is refused.
    pub(crate) async fn complete(&self, pending: &Pending) -> Outcome<Written> {
        written(self.commit(pending).await?)
    }

    /// Commits, and fails the case unless that is refused, for this reason if one is given.
    pub(crate) async fn refuse(&self, pending: &Pending, reason: Option<Refusal>, why: &str) -> Outcome {
        match (self.commit(pending).await?, reason) {
            (Committed::Refused(found), Some(expected)) => {
                ensure_eq!(found, expected, "the reason of a refusal ({why})");
                Ok(())
            }
            (Committed::Refused(_), None) => Ok(()),
            (other, _) => Err(Failure::new(format!("expected a refusal ({why}), found {other:?}"))),
        }
    }

    /// Looks up, writes and commits.
    pub(crate) async fn put(&self, draft: &Draft) -> Outcome<Written> {
        let pending = self.begin(draft).await?;
        self.complete(&pending).await
    }

    /// The same, and again if another purge of the namespace was not known here yet.
    pub(crate) async fn put_at_last(&self, draft: &Draft) -> Outcome<Written> {
        for _ in 0..20 {
            let pending = self.begin(draft).await?;
            match self.commit(&pending).await? {
                Committed::Refused(Refusal::Removed) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => return written(other),
            }
        }
        Err(Failure::new("each of 20 fresh lookups was refused as removed"))
    }

    /// A new head for that version, under the ticket.
    pub(crate) fn freshen(&self, ticket: &Ticket, draft: &Draft, version: Version) -> Pending {
        let entry = self.entry(draft, version.body);
        Pending { ticket: ticket.clone(), entry, change: Change::Keep(version), body: version.body }
    }

    /// Replaces the head of that version with the draft's.
    pub(crate) async fn replace_head(&self, draft: &Draft, version: Version) -> Outcome<Written> {
        let found = self.lookup(&draft.key).await?;
        self.complete(&self.freshen(found.ticket(), draft, version)).await
    }

    pub(crate) async fn remove(&self, key: &CacheKey) -> Outcome<u64> {
        self.storage.remove(key, None, self.now()).await.context("remove")
    }

    pub(crate) async fn remove_version(&self, key: &CacheKey, version: Version) -> Outcome<u64> {
        self.storage.remove(key, Some(version), self.now()).await.context("remove of one version")
    }

    /// The plaintext of a whole body, read a few frames at a time.
    pub(crate) async fn body(&self, key: CacheKey, variant: VariantId, body: &Body) -> Outcome<Bytes> {
        if let Body::Inline(inline) = body {
            let place = self.place(key, variant, inline.id).frame(0, true);
            return Ok(inline.frame.decode(self.serializer(), &place).await.context("inline body")?.clone());
        }
        let whole = self.storage.abilities().whole.and_then(|whole| whole.whole(&key, body.id()));
        let mut all = BytesMut::new();
        let mut at = 0;
        while at < body.frames() {
            let end = at.saturating_add(4).min(body.frames());
            all.extend_from_slice(&self.frames(key, variant, body, at..end).await?);
            at = end;
        }
        ensure!(whole.is_none_or(|whole| whole == all), "a body in one piece is another than its frames");
        Ok(all.freeze())
    }

    /// The plaintext of some frames of a body.
    pub(crate) async fn frames(
        &self,
        key: CacheKey,
        variant: VariantId,
        body: &Body,
        range: Range<u32>,
    ) -> Outcome<Bytes> {
        let frames = self.read(&key, body.id(), range.clone()).await.context(format!("read of {range:?}"))?;
        ensure_eq!(frames.len(), range.len(), "the frames read of {range:?}");
        let place = self.place(key, variant, body.id());
        let mut all = BytesMut::new();
        for (frame, index) in frames.iter().zip(range) {
            let place = place.frame(index, index.saturating_add(1) == body.frames());
            let frame = frame.decode(self.serializer(), &place).await;
            all.extend_from_slice(frame.context(format!("frame {index}"))?);
        }
        Ok(all.freeze())
    }

    pub(crate) async fn read(&self, key: &CacheKey, body: BodyId, range: Range<u32>) -> Result<Vec<Frame>> {
        self.storage.read(key, body, range).await
    }

    /// Fails the case unless the stored variant is the draft, whole.
    pub(crate) async fn check(&self, draft: &Draft) -> Outcome<Variant> {
        let mut left = self.eventual;
        loop {
            let found = self.lookup(&draft.key).await?;
            let outcome = self.check_in(&found, draft).await;
            if outcome.is_ok() || !self.may_look_again(&mut left).await {
                return outcome;
            }
        }
    }

    /// Waits a little, and says whether it may not have been seen yet what another storage changed.
    async fn may_look_again(&self, left: &mut Option<Duration>) -> bool {
        const STEP: Duration = Duration::from_millis(1);
        let Some(rest) = left.and_then(|left| left.checked_sub(STEP)) else { return false };
        *left = Some(rest);
        tokio::time::sleep(STEP).await;
        self.clock.advance(STEP);
        true
    }

    /// The same in a resource that was looked up.
    pub(crate) async fn check_in(&self, found: &Resource, draft: &Draft) -> Outcome<Variant> {
        let variant = find(found, draft.variant)?.clone();
        self.check_head(&variant, draft).await?;
        self.check_body(&variant, draft).await?;
        Ok(variant)
    }

    pub(crate) async fn check_head(&self, variant: &Variant, draft: &Draft) -> Outcome {
        let place = self.place(draft.key, draft.variant, variant.version.body);
        let head = variant.head.decode(self.serializer(), &place).await.context("head")?;
        ensure_eq!(*head, draft.head, "the head");
        Ok(())
    }

    pub(crate) async fn check_body(&self, variant: &Variant, draft: &Draft) -> Outcome {
        ensure_eq!(variant.body.id(), variant.version.body, "the body of the version");
        ensure_eq!(variant.body.len(), draft.payload.len(), "the length of the body");
        let body = self.body(draft.key, draft.variant, &variant.body).await?;
        check_bytes(&body, draft.payload)
    }

    /// Fails the case unless the resource has no live variant.
    pub(crate) async fn absent(&self, key: &CacheKey, why: &str) -> Outcome {
        let mut left = self.eventual;
        loop {
            let found = self.lookup(key).await?;
            let variants: Vec<_> = found.variants().iter().map(|v| v.id).collect();
            if variants.is_empty() {
                return Ok(());
            }
            if !self.may_look_again(&mut left).await {
                let message = format!("{why}: expected nothing, found the variants {variants:?}");
                return Err(Failure::new(message));
            }
        }
    }

    pub(crate) fn tags(&self) -> Outcome<&dyn Tags> {
        self.storage.abilities().tags.ok_or_else(|| lacks("tags"))
    }

    pub(crate) fn listing(&self) -> Outcome<&dyn Listing> {
        self.storage.abilities().listing.ok_or_else(|| lacks("listing"))
    }

    pub(crate) fn leases(&self) -> Outcome<&dyn Leases> {
        self.storage.abilities().leases.ok_or_else(|| lacks("leases"))
    }

    pub(crate) fn touch(&self) -> Outcome<&dyn Touch> {
        self.storage.abilities().touch.ok_or_else(|| lacks("touch"))
    }

    pub(crate) fn events(&self) -> Outcome<&dyn Events> {
        self.storage.abilities().events.ok_or_else(|| lacks("events"))
    }
}

/// The variant of that id.
pub(crate) fn find(found: &Resource, id: VariantId) -> Outcome<&Variant> {
    let mut same = found.variants().iter().filter(|v| v.id == id);
    let variant =
        same.next().ok_or_else(|| Failure::new(format!("expected the variant {id}, found none")))?;
    ensure!(same.next().is_none(), "expected one variant {id}, found several");
    Ok(variant)
}

/// The version and `dead_at` of a commit that must have come through.
pub(crate) fn written(committed: Committed) -> Outcome<Written> {
    match committed {
        Committed::Stored { version, dead_at } => Ok(Written { version, dead_at }),
        other => Err(Failure::new(format!("expected the commit to come through, found {other:?}"))),
    }
}

/// Fails the case unless these are the payload's bytes.
pub(crate) fn check_bytes(found: &[u8], payload: Payload) -> Outcome {
    ensure_eq!(found.len() as u64, payload.len(), "the bytes of the body read");
    for (index, chunk) in (0..).zip(found.chunks(cache_api::FRAME_SIZE)) {
        ensure!(*chunk == *payload.frame(index), "frame {index} holds other bytes than were written");
    }
    Ok(())
}

/// Fails the case unless the body is gone.
pub(crate) fn ensure_gone(read: Result<Vec<Frame>>, why: &str) -> Outcome {
    match read {
        Err(error) if Error::is_gone(&error) => Ok(()),
        Err(error) => Err(Failure::of(&error).while_doing(format!("{why}: expected Gone, found"))),
        Ok(frames) => Err(Failure::new(format!("{why}: expected Gone, found {} frames", frames.len()))),
    }
}

fn lacks(ability: &str) -> Failure {
    Failure::new(format!("the storage has no {ability}, and the suite was not told so"))
}
