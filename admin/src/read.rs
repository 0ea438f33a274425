//! Reading whole entries: one body, or all there is to see whether it is sound.

use std::{pin::Pin, sync::Mutex};

use bytes::Bytes;
use cache_api::{Error, Result, Variant};
use futures_util::{Stream, TryStreamExt, stream};

use crate::{
    Admin, EntryFilter, EntryInfo, Progress, Run,
    body::is_unreadable,
    progress::{Fate, Tally},
};

/// The stream that [`Admin::body`] returns.
pub type BodyStream<'a> = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'a>>;

/// How many entries are verified at a time; each takes up to about 1 MiB of memory.
const AT_ONCE: usize = 4;

impl Admin {
    /// The body of an entry as it was received, in pieces of at most 256 KiB; `None` where the entry is not there any more
    /// in the version that was seen.
    ///
    /// # Errors
    /// When the store cannot be read. The stream ends with an error where a piece is damaged or gone
    /// ([`is_corrupt`](Error::is_corrupt), [`is_gone`](Error::is_gone)): what came before it is no whole body.
    pub async fn body(&self, entry: &EntryInfo) -> Result<Option<BodyStream<'_>>> {
        let Some(Variant { body, .. }) = self.current(entry).await? else {
            return Ok(None);
        };
        let place = self.place(entry.key, entry.variant, entry.version.body);
        Ok(Some(Box::pin(stream::try_unfold(0, move |index: u32| {
            let (body, place) = (body.clone(), place.clone());
            async move {
                if index >= body.frames() {
                    return Ok(None);
                }
                let frame = self.frame(&body, &place, index).await?;
                Ok(Some((frame, index.saturating_add(1))))
            }
        }))))
    }

    /// Reads all of each entry that the filter wants, a few at a time: its head, and every byte of its body. What cannot
    /// be read, or has another length than it should, is told to `damaged` and counted as
    /// [invalid](Progress::invalid); what is sound, as done. Nothing is changed: [`remove_matching`](Admin::remove_matching)
    /// does that.
    ///
    /// How much a damaged byte shows is the serializer's and the store's affair: under one that encrypts or signs, each does.
    ///
    /// # Errors
    /// As [`entries`](Admin::entries).
    pub async fn verify(
        &self,
        filter: &EntryFilter,
        run: Run<'_>,
        damaged: impl FnMut(&EntryInfo, &Error) + Send,
    ) -> Result<Progress> {
        let tally = Tally::begin(self, filter, run).await?;
        let damaged = Mutex::new(damaged);
        let tell = |entry: &EntryInfo, error: &Error| {
            let mut damaged = damaged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            damaged(entry, error);
            Fate::Invalid
        };
        let (tell, tally) = (&tell, &tally);
        self.for_each(filter, AT_ONCE, tally, |entry| async move {
            if let Some(error) = entry.damage() {
                return Ok(tell(&entry, error));
            }
            if tally.is_dry() {
                return Ok(Fate::Done);
            }
            match self.drain(&entry, tally).await {
                Ok(true) => Ok(Fate::Done),
                Ok(false) => Ok(Fate::PassedOver),
                // A body that goes with its entry is no damage.
                Err(error) if error.is_gone() && self.current(&entry).await?.is_none() => {
                    Ok(Fate::PassedOver)
                }
                Err(error) if is_unreadable(&error) => Ok(tell(&entry, &error)),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Reads a body to its end; whether it was there.
    async fn drain(&self, entry: &EntryInfo, tally: &Tally<'_>) -> Result<bool> {
        let Some(mut body) = self.body(entry).await? else {
            return Ok(false);
        };
        while let Some(piece) = body.try_next().await? {
            tally.bytes(piece.len() as u64);
        }
        Ok(true)
    }

    /// What the store has now of an entry, if that is what was seen.
    async fn current(&self, entry: &EntryInfo) -> Result<Option<Variant>> {
        let resource = self.storage.lookup(&entry.key, self.now()).await?;
        let same = |variant: &&Variant| variant.id == entry.variant && variant.version == entry.version;
        Ok(resource.variants().iter().find(same).cloned())
    }
}
