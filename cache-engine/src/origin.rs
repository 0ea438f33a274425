//! Requests to the origin: each counted, timed and in a span.

use tracing::Instrument;

use crate::{
    engine::Inner,
    meters::Began,
    network::{Network, Request},
    observer::Observer,
    spans,
    stats::{Purpose, Reply},
};

impl<N: Network> Inner<N> {
    /// Asks the origin.
    pub(crate) async fn ask(
        &self,
        purpose: Purpose,
        request: Request<N::Body>,
    ) -> Result<N::Response, N::Error> {
        let span = spans::fetch(purpose);
        let asking = Asking::begin(&self.observer, purpose);
        let answer = self.network.send(request).instrument(span.clone()).await;
        let reply = match &answer {
            Ok(response) => {
                let status = N::head(response).status;
                span.record("status", status.as_u16());
                Reply::from(status)
            }
            Err(error) if N::is_abandoned(error) => Reply::Abandoned,
            Err(_) => Reply::Failed,
        };
        asking.end(reply);
        answer
    }
}

/// A request that waits for the head of a response: dropped before, nobody waited for it any more.
struct Asking<'a> {
    observer: &'a Observer,
    purpose: Purpose,
    began: Began,
    reply: Reply,
}

impl<'a> Asking<'a> {
    fn begin(observer: &'a Observer, purpose: Purpose) -> Self {
        observer.in_flight.raise();
        Self { observer, purpose, began: Began::now(), reply: Reply::Abandoned }
    }

    fn end(mut self, reply: Reply) {
        self.reply = reply;
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.observer.in_flight.lower();
        self.observer.origin_requests.ended((self.purpose, self.reply), &self.began);
    }
}
