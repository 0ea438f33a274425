//! Re-dating: entries as if they had just come from the origin.

use std::{sync::Arc, time::SystemTime};

use cache_api::{Change, Committed, Entry, Head, Refusal, Result, StoredHead};
use cache_engine::policy::{Freshness, format_date, parse_date};
use http::{HeaderValue, header};

use crate::{
    Admin, EntryFilter, EntryInfo, Progress, Run, State,
    progress::{Fate, Tally},
    remove::AT_ONCE,
};

impl Admin {
    /// Begins the lifetimes of the entries that the filter wants anew, as if each had just come from the origin: `Date` is
    /// now, `Age` is gone, and `Expires` is as far from `Date` as it was, and what a setting said
    /// as far from when the response arrived. How long they live is what they and the
    /// [options](Admin::with_options) say; when the store may drop them follows from that.
    ///
    /// Only heads are written, each by compare-and-set: one that was replaced meanwhile stays as it is, and no body is read.
    /// Passed over is also what would be of no use whatever its date. That the origin has confirmed nothing, the
    /// cache does not know any more afterwards.
    ///
    /// # Errors
    /// As [`entries`](Admin::entries), and when the store cannot be written: some entries may be re-dated then; call it
    /// again.
    pub async fn reset_expiry(&self, filter: &EntryFilter, run: Run<'_>) -> Result<Progress> {
        let tally = Tally::begin(self, filter, run).await?;
        self.for_each(filter, AT_ONCE, &tally, |entry| self.redate(entry, &tally)).await
    }

    async fn redate(&self, entry: EntryInfo, tally: &Tally<'_>) -> Result<Fate> {
        let now = self.now();
        let Some(head) = entry.head().filter(|_| entry.state != State::Invalid) else {
            return Ok(Fate::Invalid);
        };
        let head = redated(head, now);
        let keep_until = Freshness::of(&head, &self.options).keep_until(&self.options);
        if keep_until <= now {
            return Ok(Fate::PassedOver);
        }
        if !tally.is_dry() {
            let resource = self.storage.lookup(&entry.key, now).await?;
            let place = self.place(entry.key, entry.variant, entry.version.body);
            let head = StoredHead::new(head, Arc::clone(&self.serializer), place);
            let tags = Arc::clone(&entry.tags);
            let new = Entry::new(entry.key, entry.variant, head, now, keep_until).with_tags(tags);
            let change = Change::Keep(entry.version);
            match self.storage.commit(resource.ticket(), new, change, now).await? {
                Committed::Stored { .. } => {}
                Committed::Refused(Refusal::TooLarge) => return Ok(Fate::Refused),
                _ => return Ok(Fate::PassedOver),
            }
        }
        tally.bytes(entry.len);
        Ok(Fate::Done)
    }
}

/// The head of a response that arrives at that instant, and is otherwise the same.
fn redated(head: &Head, now: SystemTime) -> Head {
    let date = |name| {
        let value: &HeaderValue = head.headers.get(name)?;
        parse_date(value.as_bytes(), head.responded_at)
    };
    let from_now = |end: SystemTime, was: SystemTime| match end.duration_since(was) {
        Ok(after) => now.checked_add(after),
        Err(before) => now.checked_sub(before.duration()),
    };
    let was = date(header::DATE).unwrap_or(head.responded_at);
    let expires = date(header::EXPIRES).map(|expires| from_now(expires, was));
    // What a setting said counts from when the response arrived.
    let arrived = head.responded_at;
    let mut head = head.clone();
    head.terms = head.terms.map(|terms| {
        let until = terms.fresh_until.and_then(|until| from_now(until, arrived));
        terms.with_fresh_until(until)
    });
    head.requested_at = now;
    head.responded_at = now;
    head.headers.remove(header::AGE);
    let mut set = |name, time: SystemTime| {
        if let Ok(value) = HeaderValue::try_from(format_date(time)) {
            head.headers.insert(name, value);
        }
    };
    set(header::DATE, now);
    if let Some(Some(expires)) = expires {
        set(header::EXPIRES, expires);
    }
    head
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cache_api::{SetBy, Terms};
    use http::{HeaderMap, Method, StatusCode};

    use super::*;

    #[test]
    fn what_a_setting_said_counts_from_the_arrival() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut head =
            Head::new(Method::GET, "http://a.test/", StatusCode::OK, HeaderMap::new(), at(90), at(100));
        for (until, expected) in
            [(Some(at(160)), Some(at(1060))), (Some(at(100)), Some(at(1000))), (None, None)]
        {
            head.terms = Some(Terms::new(SetBy::Rule).with_fresh_until(until));
            let terms = redated(&head, at(1000)).terms.unwrap();
            assert_eq!((terms.by, terms.fresh_until), (SetBy::Rule, expected));
        }
        head.terms = None;
        assert_eq!(redated(&head, at(1000)).terms, None);
    }
}
