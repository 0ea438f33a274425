//! What of requests must leave no trace in the store.

use std::sync::Arc;

use cache_api::{Redactor, Secrets};

use crate::{
    engine::Inner,
    network::{Network, Request},
};

impl<N: Network> Inner<N> {
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.sets.client().redactor
    }

    /// The values of a request that its answer must not bring into the store.
    pub(crate) fn secrets_of(&self, request: &Request<N::Body>) -> Option<Arc<Secrets>> {
        let body = request.body.as_ref().and_then(N::body_bytes);
        self.redactor().secrets(&request.url, &request.headers, body).map(Arc::new)
    }
}
