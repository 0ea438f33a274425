//! Redirects: where an entry points, and what is stored of a chain of them.

use cache_api::Result;
use http::{StatusCode, header};
use url::Url;

use crate::{Admin, EntryInfo, Target, target::bare};

/// The most hops that are followed.
const MOST_HOPS: usize = 20;

/// One hop of a chain of redirects: a resource, and what is stored of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hop {
    /// Its URL, without fragment and credentials. Its query may hold secrets.
    pub url: Url,
    /// The live variants that are stored of it, those that arrived last first; none where nothing is stored.
    pub entries: Vec<EntryInfo>,
}

impl EntryInfo {
    /// Where it redirects to, resolved against its own URL and without fragment; `None` where it is no redirect.
    #[must_use]
    pub fn location(&self) -> Option<Url> {
        let head = self.head()?;
        if !is_redirect(head.status) {
            return None;
        }
        let location = head.headers.get(header::LOCATION)?.to_str().ok()?;
        let target = Url::parse(&head.url).ok()?.join(location).ok()?;
        Some(bare(&target))
    }
}

impl Admin {
    /// What is stored of a chain of redirects, hop by hop, from `target` on: each is looked up as a GET with the target's
    /// header fields and tenant, and without `Authorization` and `Cookie` where it leads to another origin, as clients follow
    /// it. Of several variants of a hop the one that arrived last is followed.
    ///
    /// The chain ends at what is no redirect, at a resource of which nothing is stored, before one that it has had, and after
    /// 20 hops.
    ///
    /// # Errors
    /// As [`get`](Admin::get).
    pub async fn chain(&self, target: &Target) -> Result<Vec<Hop>> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut target = target.clone();
        loop {
            let mut entries = self.get(&target).await?;
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.created()));
            let next = entries.iter().find(|entry| entry.head().is_some()).and_then(EntryInfo::location);
            hops.push(Hop { url: target.url().clone(), entries });
            match next {
                Some(next) if hops.len() < MOST_HOPS && hops.iter().all(|hop| hop.url != next) => {
                    target = target.to(next);
                }
                _ => return Ok(hops),
            }
        }
    }
}

/// The statuses whose `Location` a client follows.
fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
