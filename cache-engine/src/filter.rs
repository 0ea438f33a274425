//! What the user keeps out of the cache beside what the policy does.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use cache_api::{Head, Result};
use futures_util::FutureExt;
use http::{HeaderMap, Method};
use url::Url;

use crate::{network::Request, policy::Reason};

/// Says which responses may be stored, and which stored ones may be used.
///
/// It is asked after the policy, and only takes away: a response that it rejects when it is to be stored goes to its caller
/// and is not stored. A stored one that it rejects when it is to be used is removed, that version of it, and the request is
/// answered as if it had not been there: it is neither served nor validated, nor does it stand in for a failing origin. A
/// request that is let past the cache is not its concern.
///
/// It may wait, and then delays the request; nothing bounds it. A filter that fails or panics keeps the response out of the
/// store, or leaves the stored one unused and in its place.
///
/// A closure works too, through [`filter_fn`].
#[async_trait]
pub trait Filter: fmt::Debug + Send + Sync {
    /// Whether the response may be stored, or used.
    ///
    /// # Errors
    /// When that cannot be told; it is a `tracing` event.
    async fn allows(&self, exchange: &Exchange<'_>) -> Result<bool>;
}

/// What a [`Filter`] sees: a request, and the response that is to be stored or used for it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// What is to be done with the response.
    pub step: Step,
    /// The request's method.
    pub method: &'a Method,
    /// Its target URI.
    pub url: &'a Url,
    /// Its header fields, as they go to the origin.
    pub headers: &'a HeaderMap,
    /// The tenant on whose behalf it is made.
    pub tenant: Option<&'a str>,
    /// The response as it is stored, without its body.
    pub response: &'a Head,
}

/// What is to be done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// To store it, or the head that a 304 gives it.
    Write,
    /// To use it: to serve it, to validate it, to let it stand in for a failing origin.
    Read,
}

impl fmt::Debug for Exchange<'_> {
    /// Shows neither query, field values nor tenant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("step", &self.step)
            .field("method", self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("status", &self.response.status)
            .finish_non_exhaustive()
    }
}

/// A closure as a [`Filter`].
///
/// ```
/// use cache_engine::{Exchange, filter_fn};
///
/// let small = filter_fn(|exchange: &Exchange<'_>| {
///     let kind = exchange.response.headers.get("content-type").and_then(|kind| kind.to_str().ok());
///     let allowed = kind.is_some_and(|kind| !kind.starts_with("video/"));
///     async move { Ok(allowed) }
/// });
/// # let _: Box<dyn cache_engine::Filter> = Box::new(small);
/// ```
pub fn filter_fn<F, Fut>(f: F) -> impl Filter
where
    F: Fn(&Exchange<'_>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<bool>> + Send + 'static,
{
    Closure(f)
}

struct Closure<F>(F);

impl<F> fmt::Debug for Closure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter(closure)")
    }
}

#[async_trait]
impl<F, Fut> Filter for Closure<F>
where
    F: Fn(&Exchange<'_>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<bool>> + Send + 'static,
{
    async fn allows(&self, exchange: &Exchange<'_>) -> Result<bool> {
        let allows = (self.0)(exchange);
        allows.await
    }
}

/// Asks a filter, if there is one, and returns why the response is not to be stored or used.
pub(crate) async fn refusal<B>(
    filter: Option<&Arc<dyn Filter>>,
    step: Step,
    request: &Request<B>,
    response: &Head,
) -> Option<Reason> {
    let filter = filter?;
    let exchange = Exchange {
        step,
        method: &request.method,
        url: &request.url,
        headers: &request.headers,
        tenant: request.tenant.as_deref(),
        response,
    };
    // Whatever state a panic leaves behind is the filter's own.
    let asked = AssertUnwindSafe(async { filter.allows(&exchange).await }).catch_unwind().await;
    match asked {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) if step == Step::Read => Some(Reason::RejectedOnRead),
        Ok(Ok(false)) => Some(Reason::RejectedOnWrite),
        Ok(Err(error)) => {
            tracing::warn!(%error, ?exchange, "the filter failed");
            Some(Reason::FilterFailed)
        }
        Err(_) => {
            tracing::error!(?exchange, "the filter panicked");
            Some(Reason::FilterFailed)
        }
    }
}
