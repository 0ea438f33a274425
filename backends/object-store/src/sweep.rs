//! Deletes what nobody can want any more. Why no race loses anything by it stands in [`schema`](crate::schema).

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cache_api::{BodyId, CacheKey, Result, Swept, TagDigest, Variant};
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use object_store::path::Path;

use crate::{
    bodies::{HEADER, begun},
    objects::AT_ONCE,
    resources::{Listed, Loaded, Saved, pause},
    schema::{self, Kind},
    state::State,
    storage::Inner,
};

/// How often a resource is tried anew that others write; the next sweep finds it again.
const ATTEMPTS: u32 = 5;

/// Of how many bodies and tags a sweep notes that a resource has them. What is not noted is asked for once more.
const NOTED: usize = 1 << 20;

/// How long ago an abandoned probe must have been made.
const PROBE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn sweep(inner: &Inner, now: SystemTime) -> Result<Swept> {
    let mut noted = Noted::default();
    let mut swept = Swept::default();
    let resources = inner.resources("sweep");
    let resources = resources.map_ok(|listed| async move { inner.sweep_resource(listed, now).await });
    let mut resources = std::pin::pin!(resources.try_buffer_unordered(AT_ONCE));
    while let Some((key, state, more)) = resources.try_next().await? {
        swept = sum(swept, more);
        noted.note(&key, state.as_ref());
    }
    let bodies = inner.sweep_bodies(&noted, now).await?;
    inner.sweep_tags(&noted, now).await?;
    inner.sweep_leases(now).await?;
    inner.sweep_guards(now).await?;
    inner.sweep_probes(now).await?;
    Ok(sum(swept, Swept::new(0, bodies)))
}

fn sum(one: Swept, other: Swept) -> Swept {
    Swept::new(one.entries.saturating_add(other.entries), one.bodies.saturating_add(other.bodies))
}

/// What the resources were seen to have, by its hash: another's hash only means that something is kept longer.
#[derive(Debug, Default)]
struct Noted(HashSet<u64>);

impl Noted {
    fn note(&mut self, key: &CacheKey, state: Option<&State>) {
        let Some(state) = state else { return };
        for variant in state.record.variants() {
            self.add(Self::body(key, variant.version.body));
            variant.tags.iter().for_each(|tag| self.add(Self::tag(key, tag)));
        }
        for retired in state.retired.iter().filter(|retired| !retired.gone) {
            self.add(Self::body(key, retired.body));
        }
    }

    fn add(&mut self, hash: u64) {
        if self.0.len() < NOTED {
            self.0.insert(hash);
        }
    }

    fn has(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }

    fn body(key: &CacheKey, body: BodyId) -> u64 {
        let mut hasher = DefaultHasher::new();
        (key, body).hash(&mut hasher);
        hasher.finish()
    }

    fn tag(key: &CacheKey, tag: &TagDigest) -> u64 {
        let mut hasher = DefaultHasher::new();
        (tag, key).hash(&mut hasher);
        hasher.finish()
    }
}

impl Inner {
    /// Drops what is dead in a resource, or deletes it as a whole. Returns what is left of it.
    async fn sweep_resource(
        &self,
        listed: Listed,
        now: SystemTime,
    ) -> Result<(CacheKey, Option<State>, Swept)> {
        let key = listed.key;
        let mut loaded = self.load_listed(&listed, "sweep").await?;
        for attempt in 0..ATTEMPTS {
            // Garbage stays: nobody knows whose it is.
            let Loaded::There(held) = &loaded else { return Ok((key, None, Swept::default())) };
            let mut state = held.state.clone();
            if self.is_dispensable(&state, now) {
                if let Some(swept) = self.delete_resource(&key, state.clone(), &loaded, now).await? {
                    return Ok((key, None, swept));
                }
                return Ok((key, Some(state), Swept::default()));
            }
            let entries = state.apply(now, &self.limits, |record| Ok(record.sweep(now)))?;
            let due: Vec<_> = state.retired.iter_mut().filter(|r| !r.gone && r.until < now).collect();
            let due: Vec<_> = due
                .into_iter()
                .map(|retired| {
                    retired.gone = true;
                    (retired.body, retired.frames)
                })
                .collect();
            if entries == 0 && due.is_empty() {
                return Ok((key, Some(state), Swept::default()));
            }
            match self.save(&key, state, &loaded, None, "sweep").await? {
                Saved::Done(held) => {
                    self.delete_frames(&key, &due).await?;
                    return Ok((key, Some(held.state.clone()), Swept::new(entries, due.len() as u64)));
                }
                Saved::Lost(there) => loaded = there,
            }
            pause(attempt).await?;
        }
        Ok((key, loaded.state().cloned(), Swept::default()))
    }

    /// Whether nothing in a resource matters to anybody any more: not to a reader, and not to a ticket.
    fn is_dispensable(&self, state: &State, now: SystemTime) -> bool {
        let is_past = |variant: &Variant| {
            let grace = self.limits.read_grace.saturating_add(self.skew);
            variant.dead_at.checked_add(grace).is_some_and(|end| end < now)
        };
        state.keep_until < now
            && state.record.variants().iter().all(is_past)
            && state.retired.iter().all(|retired| retired.until < now)
    }

    async fn delete_resource(
        &self,
        key: &CacheKey,
        mut state: State,
        loaded: &Loaded,
        now: SystemTime,
    ) -> Result<Option<Swept>> {
        let entries = state.apply(now, &self.limits, |record| Ok(record.sweep(now)))?;
        let left: Vec<_> = state.retired.iter().filter(|r| !r.gone).map(|r| (r.body, r.frames)).collect();
        state.retired.iter_mut().for_each(|retired| retired.gone = true);
        state.dying = Some(now);
        let Saved::Done(_) = self.save(key, state, loaded, None, "sweep").await? else { return Ok(None) };
        self.delete_frames(key, &left).await?;
        let guard = self.names.guard(key, &schema::unique(now, BodyId::random()?));
        self.objects.write(&guard, Bytes::new(), "sweep").await?;
        self.objects.delete(vec![self.names.resource(key)], "sweep").await?;
        Ok(Some(Swept::new(entries, left.len() as u64)))
    }

    async fn delete_frames(&self, key: &CacheKey, bodies: &[(BodyId, u32)]) -> Result<()> {
        for (body, frames) in bodies {
            let frames = (0..*frames).map(|number| Ok(self.names.frame(key, *body, number)));
            self.delete_all(stream::iter(frames)).await?;
        }
        Ok(())
    }

    /// Bodies that no resource has: never committed, or forgotten.
    async fn sweep_bodies(&self, noted: &Noted, now: SystemTime) -> Result<u64> {
        let mut done = HashSet::new();
        let listed = self.objects.list(&self.names.all(Kind::Bodies), "sweep");
        let unnoted = listed.try_filter_map(|meta| {
            let parts = self.names.parts::<3>(Kind::Bodies, &meta.location);
            let body = parts.and_then(|[key, body, _]| Some((schema::key(key)?, schema::body(body)?)));
            let body = body.filter(|(key, body)| !noted.has(Noted::body(key, *body)) && done.insert(*body));
            future::ok(body.map(|(key, body)| (key, body, meta.location)))
        });
        let sweep = |(key, body, frame)| async move { self.sweep_body(key, body, frame, now).await };
        let swept = unnoted.map_ok(sweep).try_buffer_unordered(AT_ONCE);
        swept.try_fold(0_u64, |sum, gone| future::ok(sum.saturating_add(u64::from(gone)))).await
    }

    async fn sweep_body(&self, key: CacheKey, body: BodyId, frame: Path, now: SystemTime) -> Result<bool> {
        let start = self.objects.start(&frame, HEADER, "sweep").await?;
        let Some(begun) = start.and_then(|start| begun(&start)) else { return Ok(false) };
        let age = now.duration_since(begun).unwrap_or_default();
        if age <= self.limits.max_write {
            return Ok(false);
        }
        let mut loaded = self.load(&key, "sweep").await?;
        for attempt in 0..ATTEMPTS {
            if loaded.state().is_some_and(|state| state.has(body)) {
                return Ok(false);
            }
            // Where each ticket that could commit it is too old by far, there is nothing to tell the resource.
            let floor = now.checked_sub(self.limits.max_write).unwrap_or(now);
            let told = loaded.state().is_some_and(|state| {
                state.floor > begun || state.retired.iter().any(|retired| retired.body == body)
            });
            if !told && age <= self.limits.tombstone().saturating_add(self.skew) {
                let mut state = self.state_of(&loaded, now)?;
                state.floor = state.floor.max(floor);
                if let Saved::Lost(there) = self.save(&key, state, &loaded, Some(now), "sweep").await? {
                    loaded = there;
                    pause(attempt).await?;
                    continue;
                }
            }
            let frames = self.objects.list(&self.names.body(&key, body), "sweep");
            self.delete_all(frames.map_ok(|meta| meta.location)).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Registrations that are old, and of which the resource has a newer one, or not the tag any more.
    async fn sweep_tags(&self, noted: &Noted, now: SystemTime) -> Result<()> {
        let mut newest: Option<(TagDigest, CacheKey, Path)> = None;
        let mut listed = std::pin::pin!(self.objects.list(&self.names.all(Kind::Tags), "sweep"));
        let mut old = Vec::new();
        let mut last = Vec::new();
        while let Some(meta) = listed.try_next().await? {
            let Some([tag, key, unique]) = self.names.parts(Kind::Tags, &meta.location) else { continue };
            let (Some(tag), Some(key)) = (schema::tag(tag), schema::key(key)) else { continue };
            if !schema::named_at(unique).is_some_and(|time| self.is_past(time, now)) {
                continue;
            }
            // In the order of names, which is that of time, the one before is older.
            match newest.replace((tag, key, meta.location)) {
                Some((other, another, path)) if (other, another) == (tag, key) => old.push(path),
                before => last.extend(before),
            }
            if last.len() >= AT_ONCE {
                old.extend(self.unused(std::mem::take(&mut last), noted).await?);
            }
            if old.len() >= AT_ONCE {
                self.objects.delete(std::mem::take(&mut old), "sweep").await?;
            }
        }
        last.extend(newest);
        old.extend(self.unused(last, noted).await?);
        self.objects.delete(old, "sweep").await
    }

    /// Those of the registrations whose resource does not have the tag.
    async fn unused(&self, last: Vec<(TagDigest, CacheKey, Path)>, noted: &Noted) -> Result<Vec<Path>> {
        let asked = last.into_iter().filter(|(tag, key, _)| !noted.has(Noted::tag(key, tag)));
        let unused = stream::iter(asked).map(|(tag, key, path)| async move {
            let loaded = self.load(&key, "sweep").await?;
            let variants = loaded.state().map(|state| state.record.variants()).unwrap_or_default();
            Ok((!variants.iter().any(|variant| variant.tags.contains(&tag))).then_some(path))
        });
        let unused = unused.buffer_unordered(AT_ONCE).try_filter_map(future::ok);
        unused.try_collect().await
    }

    async fn sweep_leases(&self, now: SystemTime) -> Result<()> {
        let listed = self.objects.list(&self.names.all(Kind::Leases), "sweep");
        let keys = listed.try_filter_map(|meta| {
            let parts = self.names.parts::<1>(Kind::Leases, &meta.location);
            future::ok(parts.and_then(|[key]| schema::key(key)))
        });
        let sweep = |key| async move {
            let (_, held) = self.lease(&key, "sweep").await?;
            if held.is_some_and(|held| self.is_past(held.until, now)) {
                self.objects.delete(vec![self.names.lease(&key)], "sweep").await?;
            }
            Ok(())
        };
        keys.map_ok(sweep).try_buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn sweep_guards(&self, now: SystemTime) -> Result<()> {
        let listed = self.objects.list(&self.names.all(Kind::Guards), "sweep");
        let past = listed.try_filter_map(|meta| {
            let time = meta.location.filename().and_then(schema::named_at);
            future::ok(time.filter(|time| self.is_past(*time, now)).map(|_| meta.location))
        });
        self.delete_all(past).await
    }

    async fn sweep_probes(&self, now: SystemTime) -> Result<()> {
        let listed = self.objects.list(&self.names.all(Kind::Probes), "sweep");
        let past = listed.try_filter_map(|meta| {
            let made = SystemTime::from(meta.last_modified);
            let is_past = made.checked_add(PROBE_AGE).is_some_and(|end| end < now);
            future::ok(is_past.then_some(meta.location))
        });
        self.delete_all(past).await
    }

    async fn delete_all(&self, paths: impl futures_util::Stream<Item = Result<Path>>) -> Result<()> {
        let mut pages = std::pin::pin!(paths.try_chunks(256));
        loop {
            match pages.next().await {
                None => return Ok(()),
                Some(Ok(page)) => self.objects.delete(page, "sweep").await?,
                Some(Err(cut)) => return Err(cut.1),
            }
        }
    }
}
