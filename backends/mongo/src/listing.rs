use std::{collections::VecDeque, time::SystemTime};

use async_trait::async_trait;
use cache_api::{CacheKey, Filter, Found as Entry, FoundStream, Listing, Result, Swept, Totals};
use futures_util::{TryStreamExt as _, stream};
use mongodb::bson::{Document, RawDocumentBuf, doc};

use crate::{
    MongoStorage,
    document::{Found, Part, name},
    edit::projection,
    removal::What,
    schema::binary,
    storage::Inner,
};

/// How many resources one page holds.
const PAGE: usize = 64;

#[async_trait]
impl Listing for MongoStorage {
    fn list(&self, filter: &Filter, now: SystemTime) -> FoundStream<'_> {
        let entries = Entries {
            pages: Pages::new(&self.inner, self.inner.matching(filter), Part::Heads, "list"),
            filter: filter.clone(),
            now,
            page: VecDeque::new(),
        };
        Box::pin(stream::try_unfold(entries, Entries::next))
    }

    async fn count(&self, filter: &Filter, now: SystemTime) -> Result<Totals> {
        let mut pages = Pages::new(&self.inner, self.inner.matching(filter), Part::Outline, "count");
        let mut totals = Totals::default();
        while let Some(page) = pages.next().await? {
            for (_, found) in &page {
                let Found::Sane(seen) = found else { continue };
                for v in seen.record.variants() {
                    if v.is_live(now) && filter.matches(&v.tags, v.stored_at) {
                        totals = Totals::new(totals.entries + 1, totals.bytes.saturating_add(v.body.len()));
                    }
                }
            }
        }
        Ok(totals)
    }

    async fn clear(&self, now: SystemTime) -> Result<u64> {
        let inner = &*self.inner;
        inner.leave_marks(None, now, "clear").await?;
        let moved = inner.move_empty(now).await?;
        inner.remove_found(doc! { "rev": { "$ne": moved } }, What::All, now, "clear").await
    }

    async fn sweep(&self, now: SystemTime) -> Result<Swept> {
        self.inner.sweep(now).await
    }
}

impl Inner {
    /// The resources that may have an entry which matches.
    fn matching(&self, filter: &Filter) -> Document {
        match filter.tag {
            Some(tag) => doc! { "t": binary(tag.as_bytes()) },
            None => Document::new(),
        }
    }
}

/// The namespace's resources that a query finds, in the order of their names. Between two pages nothing is held
/// but a name.
pub(crate) struct Pages<'a> {
    inner: &'a Inner,
    filter: Document,
    part: Part,
    operation: &'static str,
    /// The name of the last one; `None` after the last page.
    after: Option<String>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(inner: &'a Inner, filter: Document, part: Part, operation: &'static str) -> Self {
        Self { inner, filter, part, operation, after: Some(inner.names.first()) }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<VecDeque<(CacheKey, Found)>>> {
        let Some(after) = self.after.take() else { return Ok(None) };
        let Self { inner, part, operation, .. } = *self;
        let mut filter = self.filter.clone();
        filter.insert("n", inner.names.namespace().as_str());
        filter.insert("_id", inner.names.after(&after));
        let store = inner.store().await?;
        let find = store.resources.find(filter).sort(doc! { "_id": 1 });
        let find = find.limit(i64::try_from(PAGE).unwrap_or(i64::MAX));
        let find = match projection(part) {
            Some(projection) => find.projection(projection),
            None => find,
        };
        let documents = async { find.await?.try_collect::<Vec<RawDocumentBuf>>().await };
        let documents = inner.run(operation, documents).await?;
        let last = documents.last().and_then(|last| name(last).map(str::to_owned));
        self.after = last.filter(|_| documents.len() >= PAGE);
        let mut page = VecDeque::with_capacity(documents.len());
        for document in documents {
            match name(&document).and_then(|name| inner.names.key(name)) {
                Some(key) => page.push_back((key, Found::of(Some(document), part))),
                None => tracing::warn!(
                    backend = "mongo", namespace = %inner.names.namespace(), operation,
                    "a document that is not ours is passed over"
                ),
            }
        }
        Ok(Some(page))
    }
}

/// A listing under way.
struct Entries<'a> {
    pages: Pages<'a>,
    filter: Filter,
    now: SystemTime,
    page: VecDeque<Entry>,
}

impl Entries<'_> {
    async fn next(mut self) -> Result<Option<(Entry, Self)>> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Ok(Some((entry, self)));
            }
            let Some(page) = self.pages.next().await? else { return Ok(None) };
            for (key, found) in page {
                match found {
                    Found::Sane(seen) => {
                        let live = seen.record.variants().iter().filter(|v| v.is_live(self.now));
                        let live = live.filter(|v| self.filter.matches(&v.tags, v.stored_at));
                        self.page.extend(live.map(|v| Entry::new(key, v)));
                        if !seen.garbage.is_empty() {
                            self.pages.inner.report_garbage(&key);
                        }
                    }
                    _ => self.pages.inner.report_garbage(&key),
                }
            }
        }
    }
}
