//! The whole client.

use client_reqwest::CachedClient;

use super::store::Store;
use crate::Result;

/// A client over this store.
pub(crate) async fn client(store: &Store) -> Result<CachedClient> {
    Ok(CachedClient::builder().storage_url(&store.url).wire(reqwest::ClientBuilder::no_proxy).build().await?)
}
