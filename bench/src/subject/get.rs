//! Clients that answer a GET, so that one loop measures all of them.

use std::time::{Duration, Instant};

use crate::Result;
use crate::measure::Op;
use crate::origin::check;
use crate::request::FIELDS;

/// A client.
pub(crate) trait Get: Clone + Send + Sync + 'static {
    /// Asks for a URL and reads the whole body; returns its length.
    fn get(&self, url: &str) -> impl Future<Output = Result<usize>> + Send;

    /// The same piece by piece; returns the time until the first piece, and the length.
    fn stream(&self, url: &str) -> impl Future<Output = Result<(Duration, usize)>> + Send;
}

macro_rules! get_by {
    ($($(#[$cfg:meta])* $client:ty),+ $(,)?) => {$(
        $(#[$cfg])*
        impl Get for $client {
            async fn get(&self, url: &str) -> Result<usize> {
                let [accept, language, agent] = FIELDS;
                let request = self
                    .get(url)
                    .header(accept.0, accept.1)
                    .header(language.0, language.1)
                    .header(agent.0, agent.1);
                Ok(request.send().await?.bytes().await?.len())
            }

            async fn stream(&self, url: &str) -> Result<(Duration, usize)> {
                let began = Instant::now();
                let [accept, language, agent] = FIELDS;
                let request = self
                    .get(url)
                    .header(accept.0, accept.1)
                    .header(language.0, language.1)
                    .header(agent.0, agent.1);
                let mut response = request.send().await?;
                let (mut first, mut len) = (None, 0);
                while let Some(piece) = response.chunk().await? {
                    first.get_or_insert_with(|| began.elapsed());
                    len += piece.len();
                }
                Ok((first.unwrap_or_else(|| began.elapsed()), len))
            }
        }
    )+};
}

get_by!(
    client_reqwest::CachedClient,
    reqwest::Client,
    #[cfg(feature = "peers")]
    reqwest_middleware::ClientWithMiddleware,
    #[cfg(feature = "peers")]
    reqwest_middleware_04::ClientWithMiddleware,
);

/// One URL, again and again.
#[derive(Debug)]
pub(crate) struct Again<C> {
    pub(crate) client: C,
    pub(crate) url: String,
    pub(crate) body: usize,
}

impl<C: Get> Again<C> {
    /// Asks once: what can be stored is stored now.
    pub(crate) async fn new(client: C, url: &str, body: usize) -> Result<Self> {
        check(client.get(url).await?, body)?;
        Ok(Self { client, url: url.to_owned(), body })
    }
}

impl<C: Get> Op for Again<C> {
    async fn once(&self) -> Result<()> {
        check(self.client.get(&self.url).await?, self.body)
    }
}
