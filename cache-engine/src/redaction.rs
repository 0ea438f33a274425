//! What of requests must leave no trace in the store.

use std::sync::Arc;

use cache_api::{Redactor, Secrets};

use crate::{network::Request, sets::Sets};

impl Sets {
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.client().redactor
    }

    /// The values of a request that its answer must not bring into the store; `bytes` are those of its body, if it has them.
    pub(crate) fn secrets<B>(
        &self,
        request: &Request<B>,
        bytes: impl Fn(&B) -> Option<&[u8]>,
    ) -> Option<Arc<Secrets>> {
        let body = request.body.as_ref().and_then(bytes);
        self.redactor().secrets(&request.url, &request.headers, body).map(Arc::new)
    }
}
