//! The whole client.

use client_reqwest::CachedClient;

use super::store::Store;
use crate::Result;
use crate::measure::Op;
use crate::origin::check;
use crate::request::FIELDS;

/// A client over this store.
pub(crate) async fn client(store: &Store) -> Result<CachedClient> {
    Ok(CachedClient::builder().storage_url(&store.url).wire(reqwest::ClientBuilder::no_proxy).build().await?)
}

/// Asks for a URL and reads the body; returns its length.
pub(crate) async fn get(client: &CachedClient, url: &str) -> Result<usize> {
    let [accept, language, agent] = FIELDS;
    let request = client
        .get(url)
        .header(accept.0, accept.1)
        .header(language.0, language.1)
        .header(agent.0, agent.1);
    Ok(request.send().await?.bytes().await?.len())
}

/// A hit.
#[derive(Debug)]
pub(crate) struct Hit {
    client: CachedClient,
    url: String,
    body: usize,
}

impl Hit {
    /// A client that has stored the answer already.
    pub(crate) async fn new(store: &Store, url: &str, body: usize) -> Result<Self> {
        let client = client(store).await?;
        check(get(&client, url).await?, body)?;
        Ok(Self { client, url: url.to_owned(), body })
    }
}

impl Op for Hit {
    async fn once(&self) -> Result<()> {
        check(get(&self.client, &self.url).await?, self.body)
    }
}
