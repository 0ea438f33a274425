use std::{fmt, sync::Arc, time::Duration};

use cache_api::{CacheKey, VariantId};
use http::{HeaderMap, HeaderValue};

use crate::{
    engine::{Engine, view},
    found::Found,
    network::{Network, Request},
    policy::{self, Before, Decision, Forward, Reason, Reasons},
    sift::sift,
};

/// What the cache would do with a request, and why. `Display` says it in words, one thing a line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What would be done.
    pub decision: Decision,
    /// The rules that lead to it, the deciding one first.
    pub reasons: Reasons,
    /// Why the origin would be asked, in the words of RFC 9211.
    pub forward: Option<Forward>,
    /// The resource's key; `None` where none is made.
    pub key: Option<CacheKey>,
    /// How many responses are stored under it.
    pub stored: usize,
    /// The stored response that is selected.
    pub variant: Option<VariantId>,
    /// The age of the selected response (RFC 9111 §4.2.3).
    pub age: Option<Duration>,
    /// The selected response's remaining freshness in seconds; negative where it is stale.
    pub ttl: Option<i64>,
    /// The conditions that would be sent in place of the caller's.
    pub conditions: HeaderMap,
    /// The name of the rule that the URL matches.
    pub rule: Option<Arc<str>>,
}

impl<N: Network> Engine<N> {
    /// Tells what the cache would do with a request, by the store as it is now. The origin is not asked, and nothing
    /// is written.
    ///
    /// Controls that contradict each other, which [`Engine::handle`] refuses, are not looked at.
    ///
    /// # Errors
    /// When the storage cannot be read. (The request itself would go to the origin, unless the engine is set to fail
    /// closed.)
    pub async fn explain(&self, request: &Request<N::Body>) -> Result<Explanation, cache_api::Error> {
        let inner = self.inner();
        let store = inner.open_store();
        let sets = inner.live.load();
        let key = match store {
            Some(store) => inner.key_of(&sets, store, request).await,
            None => None,
        };
        let mut found = match (store, key) {
            (Some(store), Some(key)) => Some(Found::lookup(store, &key).await?),
            _ => None,
        };
        let mut asked = request.clone_head();
        asked.rule = sets.find(&request.url);
        let (options, now) = (sets.of(&asked), inner.clock.now());
        let salt = key.unwrap_or(CacheKey::from_bytes([0; 32]));
        let decide = |found: Option<&Found>| {
            let views = found.map(|found| sets.views(found)).unwrap_or_default();
            policy::before(options, &view(&asked, &salt), &views, now)
        };
        let detour = match store {
            None => Some(Reason::Bypass),
            Some(_) if inner.suspensions.any() => Some(Reason::Suspended),
            Some(_) => key.is_none().then_some(Reason::NoKey),
        };
        let before = if let Some(why) = detour {
            decide(None).detoured(why, store.is_some() || options.offline)
        } else {
            let mut before = decide(found.as_ref());
            if let (Some(filter), Some(found)) = (&sets.filter, &mut found) {
                sift(filter, &asked, found, &mut before, |found| decide(Some(found))).await;
            }
            before
        };
        let rule = asked.rule.and_then(|rule| sets.name(rule)).cloned();
        Ok(Explanation { rule, ..Explanation::of(before, key, found.as_ref()) })
    }
}

impl Explanation {
    fn of(before: Before, key: Option<CacheKey>, found: Option<&Found>) -> Self {
        let ask = before.ask();
        let conditions = ask.map(|ask| ask.conditions.clone()).unwrap_or_default();
        let selected = match &before.decision {
            Decision::Serve { index, .. }
            | Decision::ServeEarly { index, .. }
            | Decision::ServeStale { index, .. } => Some(*index),
            _ => ask.and_then(|ask| ask.selected),
        };
        let variant = selected.and_then(|index| Some(found?.variant(index)?.id));
        let stored = found.map_or(0, Found::len);
        let Before { decision, reasons, age, ttl, forward } = before;
        Self { decision, reasons, forward, key, stored, variant, age, ttl, conditions, rule: None }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.decision {
            Decision::Serve { .. } => "served from the store",
            Decision::ServeEarly { .. } => "served from the store, and refreshed in the background",
            Decision::ServeStale { .. } => "served stale from the store, and refreshed in the background",
            Decision::Unsatisfiable => "answered with 504",
            Decision::Revalidate(_) => "asked of the origin, with conditions",
            Decision::Fetch(_) => "asked of the origin",
            Decision::Bypass(_) => "asked of the origin, past the cache",
        })?;
        write!(f, "\n{}", self.reasons.lines())?;
        if let Some(rule) = &self.rule {
            write!(f, "\nthe URL matches the rule `{rule}`")?;
        }
        if let Some(age) = self.age {
            write!(f, "\nits age is {} s", age.as_secs())?;
        }
        match self.ttl {
            Some(ttl) if ttl > 0 => write!(f, "\nit is fresh for {ttl} s")?,
            Some(ttl) => write!(f, "\nit has been stale for {} s", ttl.unsigned_abs())?,
            None => {}
        }
        for (name, value) in &self.conditions {
            write!(f, "\nsent: {name}: {}", text(value))?;
        }
        Ok(())
    }
}

fn text(value: &HeaderValue) -> String {
    value.as_bytes().escape_ascii().to_string().replace("\\\"", "\"")
}
