//! What a lookup found, decoded and held for as long as a request needs it.

use std::ops::Range;

use cache_api::{
    Body as StoredAs, CacheKey, Error, ErrorKind, Head, Resource, Result, StoredHead, Ticket, Variant,
    Version,
};
use http::{HeaderMap, HeaderValue, Response, header};

use smallvec::SmallVec;

use crate::{
    body::Body,
    policy::{self, ByteRange, Form, Freshness, StoredView},
    resume::Resume,
    stats::Flow,
    store::{BodyRef, Store},
};

/// Stored responses as the policy sees them; most resources have one.
pub(crate) type Views<'a> = SmallVec<[StoredView<'a>; 1]>;

#[derive(Clone, Debug)]
pub(crate) struct Found {
    resource: Resource,
    /// The variants whose heads can be read.
    readable: SmallVec<[usize; 4]>,
}

impl Found {
    pub(crate) async fn lookup(store: &Store, key: &CacheKey) -> Result<Self> {
        let resource = store.lookup(key).await?;
        let mut readable = SmallVec::new();
        for (index, variant) in resource.variants().iter().enumerate() {
            if store.decode_head(key, variant).await {
                readable.push(index);
            }
        }
        Ok(Self { resource, readable })
    }

    pub(crate) fn ticket(&self) -> &Ticket {
        self.resource.ticket()
    }

    /// How many stored responses can be read.
    pub(crate) fn len(&self) -> usize {
        self.readable.len()
    }

    /// The stored responses as the policy sees them, with the freshness that is known of them.
    pub(crate) fn views(&self, freshness: impl Fn(&StoredHead) -> Option<Freshness>) -> Views<'_> {
        let view = |index: usize| {
            let variant = self.variant(index)?;
            let view = StoredView::new(variant.head.value()?).with_body_len(variant.body.len());
            Some(match freshness(&variant.head) {
                Some(freshness) => view.with_freshness(freshness),
                None => view,
            })
        };
        (0..self.readable.len()).filter_map(view).collect()
    }

    /// The request fields that are known to select among the variants, as a `Vary` field.
    pub(crate) fn selecting_fields(&self) -> HeaderMap {
        let mut vary = HeaderMap::new();
        let heads = (0..self.readable.len()).filter_map(|index| self.variant(index)?.head.value());
        for selector in heads.flat_map(|head| &head.selectors) {
            vary.append(header::VARY, HeaderValue::from(selector.name.clone()));
        }
        vary
    }

    /// One of the stored responses, by the policy's number.
    pub(crate) fn variant(&self, index: usize) -> Option<&Variant> {
        self.resource.variants().get(*self.readable.get(index)?)
    }

    /// Leaves one of the stored responses out: the numbers of those behind it move up.
    pub(crate) fn pass_over(&mut self, index: usize) {
        if index < self.readable.len() {
            self.readable.remove(index);
        }
    }

    /// Leaves those of the stored responses out that have one of these versions.
    pub(crate) fn pass_over_versions(&mut self, versions: &[Version]) {
        let variants = self.resource.variants();
        self.readable.retain(|index| variants.get(*index).is_none_or(|one| !versions.contains(&one.version)));
    }

    /// A stored response in a form, under its own head or another.
    pub(crate) async fn serve(
        &self,
        store: &Store,
        index: usize,
        form: Form,
        head: Option<&Head>,
        age: Option<std::time::Duration>,
        resume: impl FnOnce(&Head) -> Option<Resume>,
    ) -> Result<Response<Body>> {
        let missing = || Error::new(ErrorKind::Other, "serve").with_message("no such variant");
        let variant = self.variant(index).ok_or_else(missing)?;
        let head = head.or_else(|| variant.head.value()).ok_or_else(missing)?;
        let body = match form {
            Form::Full => self.body(store, variant, 0..variant.body.len(), || resume(head)).await?,
            Form::Range(part) => {
                let bytes = part.at..part.at.saturating_add(part.count());
                self.body(store, variant, bytes, || {
                    // Where fewer bytes are stored than the part says, it is not known which they are.
                    let known = policy::part_len(head).is_none_or(|len| len == variant.body.len());
                    shifted(resume(head).filter(|_| known)?, part)
                })
                .await?
            }
            Form::Head | Form::NotModified | Form::RangeNotSatisfiable { .. } => {
                Body::bytes(bytes::Bytes::new())
            }
        };
        let served = policy::serve(head, form, age);
        let mut response = Response::new(body);
        *response.status_mut() = served.status;
        *response.version_mut() = served.version;
        *response.headers_mut() = served.headers;
        Ok(response)
    }

    async fn body(
        &self,
        store: &Store,
        variant: &Variant,
        range: Range<u64>,
        resume: impl FnOnce() -> Option<Resume>,
    ) -> Result<Body> {
        let place = store.place(self.ticket().key(), variant);
        let bytes = match &variant.body {
            StoredAs::Inline(inline) => {
                let bytes = store.inline(&inline.frame, &place).await?;
                if bytes.len() as u64 != inline.len {
                    return Err(another_length());
                }
                bytes
            }
            StoredAs::Stored(body) => match store.whole(self.ticket().key(), body) {
                Some(bytes) => bytes,
                None => {
                    let body = BodyRef::new(place, &variant.body);
                    return Box::pin(Body::stored(store, body, range, resume())).await;
                }
            },
        };
        let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let bounds = bounds.filter(|(start, end)| start <= end && *end <= bytes.len());
        let (start, end) = bounds.ok_or_else(another_length)?;
        store.observer.body_bytes.add(Flow::Store, (end - start) as u64);
        Ok(Body::bytes(bytes.slice(start..end)))
    }
}

fn another_length() -> Error {
    Error::new(ErrorKind::Corrupt, "read").with_message("a body of another length")
}

/// Asks the origin for the bytes of a stored body where they lie in the complete one.
fn shifted(resume: Resume, part: ByteRange) -> Option<Resume> {
    let by = part.first.checked_sub(part.at)?;
    let shift = move |at: u64| at.saturating_add(by);
    Some(Box::new(move |range: Range<u64>| resume(shift(range.start)..shift(range.end))))
}
