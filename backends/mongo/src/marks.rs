//! What is remembered of purges: one document a namespace, with a mark for each purged tag, and for `clear`.
//!
//! A mark is a random number. A lookup's ticket has the last one that its process knew, and marks behind that
//! one in the list are of purges since. Who knows too old a mark refuses more.

use std::{sync::atomic::Ordering, time::SystemTime};

use cache_api::{Epoch, Result, TagDigest, Ticket};
use mongodb::bson::{Bson, Document, doc};

use crate::{
    edit::{TRIES, back_off, revision},
    error::{is_duplicate, is_misfit},
    schema::binary,
    storage::Inner,
};

/// How many marks are kept. Whose last known mark is not among them is refused once, whatever its tags.
const MARKS_MAX: usize = 512;

/// How many tags one step marks.
pub(crate) const TAGS_AT_ONCE: usize = 128;

/// The epoch of a ticket: a document's revision, or 0, and the last mark known.
pub(crate) fn epoch(revision: i64, mark: i64) -> Epoch {
    let mut bytes = [0; 16];
    let parts = revision.to_be_bytes().into_iter().chain(mark.to_be_bytes());
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    Epoch::from_bytes(bytes)
}

pub(crate) fn ticket_parts(epoch: Epoch) -> (i64, i64) {
    let part = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).unwrap_or(0);
    let (revision, mark) = epoch.as_bytes().split_at(8);
    (part(revision), part(mark))
}

impl Inner {
    /// The last mark that is known here.
    pub(crate) fn mark(&self) -> i64 {
        self.mark.load(Ordering::Acquire)
    }

    /// Reads the last mark, so that the first tickets know it.
    pub(crate) async fn load_mark(&self) -> Result<()> {
        let store = self.store().await?;
        let find = store.purges.find_one(doc! { "_id": self.names.namespace().as_str() });
        let found = self.run("connect", find.projection(doc! { "last": 1 })).await?;
        self.mark.store(found.map_or(0, |found| found.get_i64("last").unwrap_or(0)), Ordering::Release);
        Ok(())
    }

    /// Leaves a mark at each of these tags, or at all (`clear`).
    pub(crate) async fn leave_marks(
        &self,
        tags: Option<&[TagDigest]>,
        now: SystemTime,
        operation: &'static str,
    ) -> Result<()> {
        let marks: Vec<(i64, Bson)> = match tags {
            Some(tags) => {
                tags.iter().map(|tag| Ok((revision()?, binary(tag.as_bytes())))).collect::<Result<_>>()?
            }
            None => vec![(revision()?, Bson::Null)],
        };
        let Some(last) = marks.last().map(|(mark, _)| *mark) else { return Ok(()) };
        let marks: Vec<Document> =
            marks.into_iter().map(|(mark, tag)| doc! { "m": mark, "t": tag }).collect();
        let most = i64::try_from(MARKS_MAX).unwrap_or(i64::MAX).saturating_neg();
        let update = doc! {
            "$push": { "marks": { "$each": marks, "$slice": most } },
            "$set": { "last": last },
            "$max": { "gone": self.times.gone(self.times.remembered(now)) },
        };
        let store = self.store().await?;
        for tried in 0..TRIES {
            let filter = doc! { "_id": self.names.namespace().as_str() };
            let update = store.purges.update_one(filter, update.clone()).upsert(true);
            match self.run(operation, update).await {
                Err(lost) if is_duplicate(&lost) => back_off(tried).await?,
                Err(misfit) if is_misfit(&misfit) => self.mend_marks(now).await?,
                done => {
                    done?;
                    self.mark.store(last, Ordering::Release);
                    return Ok(());
                }
            }
        }
        Err(self.contended(operation))
    }

    /// Whether one of these tags, or all, was purged since the ticket was issued, as far as its process knew.
    pub(crate) async fn purged_since(&self, ticket: &Ticket, tags: &[TagDigest]) -> Result<bool> {
        let (_, known) = ticket_parts(ticket.epoch());
        let store = self.store().await?;
        let news = doc! { "_id": self.names.namespace().as_str(), "last": { "$ne": known } };
        let Some(found) = self.run("commit", store.purges.find_one(news)).await? else { return Ok(false) };
        let (Ok(last), Ok(marks)) = (found.get_i64("last"), found.get_array("marks")) else {
            self.mend_marks(ticket.issued_at()).await?;
            return Ok(true);
        };
        self.mark.store(last, Ordering::Release);
        let is = |mark: &Bson| mark.as_document().and_then(|mark| mark.get_i64("m").ok()) == Some(known);
        let since = match marks.iter().position(is) {
            Some(position) => marks.get(position.saturating_add(1)..).unwrap_or_default(),
            None if known == 0 && marks.len() < MARKS_MAX => marks,
            None => return Ok(true),
        };
        Ok(since.iter().any(|mark| concerns(mark, tags)))
    }

    /// Puts one mark, at all tags, in the place of what is not ours.
    async fn mend_marks(&self, now: SystemTime) -> Result<()> {
        tracing::warn!(
            backend = "mongo", namespace = %self.names.namespace(),
            "the purges that were remembered are damaged: writes under way are refused"
        );
        let mark = revision()?;
        let marks = doc! {
            "last": mark,
            "marks": [{ "m": mark, "t": Bson::Null }],
            "gone": self.times.gone(self.times.remembered(now)),
        };
        let store = self.store().await?;
        let filter = doc! { "_id": self.names.namespace().as_str() };
        self.run("mend", store.purges.replace_one(filter, marks).upsert(true)).await?;
        self.mark.store(mark, Ordering::Release);
        Ok(())
    }
}

/// Whether a mark is one of these tags, or at all; what cannot be read is.
fn concerns(mark: &Bson, tags: &[TagDigest]) -> bool {
    match mark.as_document().and_then(|mark| mark.get("t")) {
        Some(Bson::Binary(tag)) => tags.iter().any(|ours| ours.as_bytes()[..] == tag.bytes[..]),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_comes_apart_into_its_parts() {
        for parts in [(0, 0), (1, -1), (i64::MIN, i64::MAX)] {
            assert_eq!(ticket_parts(epoch(parts.0, parts.1)), parts);
        }
    }
}
