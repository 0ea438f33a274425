use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_api::Storage;
use cache_engine::{LiveSettings, Stats, Suspended};
use http::Method;
use reqwest::IntoUrl;
use reqwest::blocking::Response;

use super::request::IntoRequest;
use super::response::blocking;
use super::runtime::Driver;
use super::{CachedClientBuilder, RequestBuilder};
use crate::client::CachedClient as Beneath;
use crate::error::Error;
use crate::request::Caller;

/// What `reqwest::blocking` bounds each wait by.
const WAIT: Duration = Duration::from_secs(30);

/// An HTTP client like [`reqwest::blocking::Client`], with a cache.
///
/// It is cheap to clone: clones share the connections, the cache and the [thread](super#threads) in the background. It may be
/// used by several threads at once.
///
/// ```no_run
/// # #[cfg(feature = "memory")]
/// # fn example() -> client_reqwest::Result<()> {
/// use client_reqwest::blocking::CachedClient;
///
/// let client = CachedClient::builder().build()?;
/// let response = client.get("https://example.com/").send()?;
/// println!("{}", response.status());
/// client.close();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CachedClient {
    driver: Arc<Driver>,
}

impl CachedClientBuilder {
    /// Builds the client; starts its thread and connects to the storage first.
    ///
    /// # Errors
    /// Where a setting cannot be used or contradicts another (the source names it), the storage cannot be opened, TLS or DNS
    /// cannot be set up, the wire was given something that the cache would have to see (see
    /// [`wire`](crate::CachedClientBuilder::wire)), the thread cannot be started, or where it is called from
    /// [async code](crate::blocking#within-an-async-runtime).
    pub fn build(self) -> Result<CachedClient, Error> {
        Ok(CachedClient { driver: Arc::new(Driver::start(self.open())?) })
    }
}

impl CachedClient {
    /// A builder, which starts in RFC 9111 mode with a private cache in memory, and with a
    /// [`read_timeout`](crate::CachedClientBuilder::read_timeout) of 30 seconds.
    pub fn builder() -> CachedClientBuilder {
        CachedClientBuilder::new().read_timeout(WAIT)
    }

    /// A client for one user's application, in one line: [`crate::CachedClient::for_app`].
    ///
    /// # Errors
    /// Where `name` is not a plain file name, the user has no home directory, the file cannot be opened, or where it is called
    /// from async code.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
    pub fn for_app(name: &str) -> Result<Self, Error> {
        Self::builder().app(name).build()
    }

    /// Starts a `GET` request.
    pub fn get<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Starts a `HEAD` request.
    pub fn head<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Starts a `POST` request.
    pub fn post<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Starts a `PUT` request.
    pub fn put<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Starts a `PATCH` request.
    pub fn patch<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Starts a `DELETE` request.
    pub fn delete<U: IntoUrl>(&self, url: U) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Starts a request. Credentials in the URL become basic authentication and leave the URL. A URL that is
    /// not valid is the error of [`send`](crate::RequestBuilder::send).
    pub fn request<U: IntoUrl>(&self, method: Method, url: U) -> RequestBuilder {
        self.beneath().request(method, url).with_client(|_| self.clone()).1
    }

    /// Sends a request that was built before, here or with `reqwest::blocking`.
    ///
    /// # Errors
    /// Where the request could not be sent or answered in time, where following a redirect failed, where reading its body
    /// did, or where it is called from [async code](crate::blocking#within-an-async-runtime).
    pub fn execute(&self, request: impl IntoRequest) -> Result<Response, Error> {
        self.respond(self.beneath().execute(request.into_request()?))
    }

    /// Waits for what is being stored and refreshed in the background, and closes the storage, for all who share
    /// it. A failure of the storage is a `tracing` event. From async code it does not wait.
    ///
    /// The client stays usable, without its cache. Dropping it without closing is safe: the last one to be dropped waits for
    /// up to a second for what is being stored, and leaves the storage open. A second `close` does nothing.
    pub fn close(&self) {
        let client = self.beneath().clone();
        if self.block_on(client.close()).is_err() {
            self.driver.spawn(async move { client.close().await });
        }
    }

    /// Removes what is stored under any of these tags, for all who share the storage, and returns how many entries went:
    /// [`crate::CachedClient::purge_tags`].
    ///
    /// # Errors
    /// Where the storage has no tags, or failed: some entries may be gone then, purge again. Where it is called from async
    /// code.
    pub fn purge_tags<T: AsRef<str>>(&self, tags: impl IntoIterator<Item = T> + Send) -> Result<u64, Error> {
        self.block_on(self.beneath().purge_tags(tags))?
    }

    /// Suspends the cache until what is returned is dropped: [`crate::CachedClient::suspend`].
    pub fn suspend(&self) -> Suspended {
        self.beneath().suspend()
    }

    /// Changes settings of the cache while the client runs: [`crate::CachedClient::reconfigure`].
    ///
    /// # Errors
    /// When the settings cannot be used together, or one cannot change; what was in force stays in force.
    pub fn reconfigure(&self, change: impl FnOnce(&mut LiveSettings)) -> Result<(), Error> {
        self.beneath().reconfigure(change)
    }

    /// A copy of the settings in force that can be changed.
    #[must_use]
    pub fn live_settings(&self) -> LiveSettings {
        self.beneath().live_settings()
    }

    /// What this client and its clones counted since it was built: [`crate::CachedClient::stats`].
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        self.beneath().stats()
    }

    /// Where the answers are kept; `None` of a client whose cache is disabled. A storage that this client opened works as
    /// long as the client and its clones live.
    #[must_use]
    pub fn storage(&self) -> Option<&Arc<dyn Storage>> {
        self.beneath().storage()
    }

    /// Looks into the cache and keeps it in order: [`crate::CachedClient::admin`]. What it does is async;
    /// [`CachedClient::block_on`] waits for it.
    ///
    /// ```
    /// # fn example(client: client_reqwest::blocking::CachedClient) -> Result<(), Box<dyn std::error::Error>> {
    /// use client_reqwest::cache_admin::Run;
    ///
    /// if let Some(admin) = client.admin() {
    ///     println!("{} entries went", client.block_on(admin.purge_expired(Run::new()))??.done);
    /// }
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "admin")]
    #[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
    #[must_use]
    pub fn admin(&self) -> Option<cache_admin::Admin> {
        self.beneath().admin()
    }

    /// Runs `future` to its end on this thread, with the client's runtime for its sockets and timers. For what has no blocking
    /// form: the methods of a [storage](Self::storage), and those of `admin`.
    ///
    /// # Errors
    /// Where it is called from [async code](crate::blocking#within-an-async-runtime).
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        self.driver.block_on(future)
    }

    pub(super) fn beneath(&self) -> &Beneath {
        self.driver.client()
    }

    pub(super) fn respond(
        &self,
        response: impl Future<Output = Result<reqwest::Response, Error>>,
    ) -> Result<Response, Error> {
        let response = self.block_on(response)??;
        Ok(blocking(response, Arc::clone(&self.driver)))
    }
}

impl Caller for CachedClient {
    fn wire(&self) -> &reqwest::Client {
        self.beneath().wire()
    }
}

impl fmt::Debug for CachedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.beneath().fmt(f)
    }
}
