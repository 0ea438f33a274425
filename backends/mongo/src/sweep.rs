//! Deleting what is dead before the server does.

use std::time::SystemTime;

use cache_api::{BodyId, CacheKey, Record, Result, Swept};
use mongodb::bson::{Document, doc};

use crate::{
    bodies,
    document::{Found, Part, Seen},
    edit::back_off,
    listing::Pages,
    schema::{date, nanos},
    storage::Inner,
};

/// How often one resource is tried again; what is left is swept the next time.
const TRIES: u32 = 5;

impl Inner {
    pub(crate) async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        let mut swept = Swept::default();
        let store = self.store().await?;
        let (none, all) = (Document::new(), self.names.after(&self.names.first()));
        let gone = doc! { "$lte": date(nanos(now)) };
        let over = doc! {
            "n": self.names.namespace().as_str(), "_id": &all, "gone": &gone, "v": &none, "p": &none, "q": &none,
        };
        self.run("sweep", store.resources.delete_many(over)).await?;
        let due = doc! { "$or": [
            { "next": { "$lte": nanos(now) } },
            { "p": { "$ne": &none } },
            { "q": { "$ne": &none } },
            { "gone": &gone },
        ] };
        let mut pages = Pages::new(self, due, Part::Outline, "sweep");
        while let Some(page) = pages.next().await? {
            for (key, found) in page {
                let Swept { entries, bodies, .. } = self.sweep_resource(&key, found, now).await?;
                swept = Swept::new(swept.entries + entries, swept.bodies + bodies);
            }
        }
        let all = doc! { "_id": all, "gone": &gone };
        self.run("sweep", store.frames.delete_many(all.clone())).await?;
        self.run("sweep", store.leases.delete_many(all)).await?;
        let marks = doc! { "_id": self.names.namespace().as_str(), "gone": gone };
        self.run("sweep", store.purges.delete_one(marks)).await?;
        Ok(swept)
    }

    async fn sweep_resource(&self, key: &CacheKey, mut found: Found, now: SystemTime) -> Result<Swept> {
        let mut bodies = 0;
        for tried in 0..TRIES {
            match found {
                Found::Absent => break,
                Found::Garbage(revision) => {
                    self.mend(key, revision, now).await?;
                    break;
                }
                Found::Sane(mut seen) => {
                    bodies += self.sweep_bodies(key, &mut seen, now).await?;
                    if let Some(entries) = self.sweep_entries(key, &seen, now).await? {
                        return Ok(Swept::new(entries, bodies));
                    }
                }
            }
            back_off(tried).await?;
            found = self.find(key, Part::Outline, "sweep").await?;
        }
        Ok(Swept::new(0, bodies))
    }

    /// Bodies that were let go, or never committed.
    async fn sweep_bodies(&self, key: &CacheKey, seen: &mut Seen, now: SystemTime) -> Result<u64> {
        let at = nanos(now);
        let pending = seen.pending.extract_if(.., |(_, until)| *until < at).map(|(body, _)| body);
        let pending: Vec<BodyId> = pending.collect();
        let retired = seen.retired.extract_if(.., |(_, until)| *until <= at).map(|(body, _)| body);
        let retired: Vec<BodyId> = retired.collect();
        // A commit takes a body that it finds begun, and none that it finds let go.
        let claimed = self.claim(key, "p", &pending).await?;
        bodies::delete(self, &claimed).await?;
        bodies::delete(self, &retired).await?;
        let retired = self.claim(key, "q", &retired).await?;
        Ok((claimed.len() + retired.len()) as u64)
    }

    /// Variants, or all of the document; `None` when others changed it meanwhile.
    async fn sweep_entries(&self, key: &CacheKey, seen: &Seen, now: SystemTime) -> Result<Option<u64>> {
        let mut record = seen.record.clone();
        let (entries, _) = record.sweep(now);
        if is_over(seen, &record, now) {
            let (store, none) = (self.store().await?, Document::new());
            let filter = doc! {
                "_id": self.names.resource(key), "rev": seen.revision, "p": &none, "q": none.clone(),
            };
            let deleted = self.run("sweep", store.resources.delete_one(filter)).await?;
            if deleted.deleted_count == 0 {
                return Ok(None);
            }
        } else if entries > 0 && !self.replace(key, seen, &record, None, now).await? {
            return Ok(None);
        }
        Ok(Some(entries))
    }

    /// Takes bodies out of a part of the document; returns those that were still there.
    async fn claim(&self, key: &CacheKey, part: &str, bodies: &[BodyId]) -> Result<Vec<BodyId>> {
        let store = self.store().await?;
        let mut claimed = Vec::new();
        for body in bodies {
            let field = format!("{part}.{body}");
            let filter = doc! { "_id": self.names.resource(key), &field: { "$exists": true } };
            let taken = store.resources.update_one(filter, doc! { "$unset": { field: "" } });
            if self.run("sweep", taken).await?.matched_count > 0 {
                claimed.push(*body);
            }
        }
        Ok(claimed)
    }
}

/// Whether nothing of a document is of use any more.
fn is_over(seen: &Seen, record: &Record, now: SystemTime) -> bool {
    let gone = date(nanos(now)).timestamp_millis();
    record.variants().is_empty() && seen.pending.is_empty() && seen.retired.is_empty() && seen.gone <= gone
}
