//! The same client for programs without an async runtime: it blocks the thread that calls it.
//!
//! It stands to [`reqwest::blocking`] as [`crate::CachedClient`] does to `reqwest`: the same verbs and request builder, and
//! real [`reqwest::blocking::Response`]s. The cache, its settings and what lies in a storage are those of the async
//! client, so that both may share one.
//!
//! ```no_run
//! # #[cfg(feature = "memory")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client_reqwest::ResponseExt;
//! use client_reqwest::blocking::CachedClient;
//!
//! let client = CachedClient::builder().ttl(std::time::Duration::from_secs(600)).build()?;
//! let response = client.get("https://example.com/").send()?;
//! println!("{:?}", response.cache_info().map(|info| info.source));
//! println!("{}", response.text()?);
//! # Ok(()) }
//! ```
//!
//! What differs from [`reqwest::blocking`]:
//!
//! - [`RequestBuilder::build`](crate::RequestBuilder::build) returns a [`reqwest::Request`], since that of
//!   `reqwest::blocking` lets nobody see what it carries; [`CachedClient::execute`] takes either.
//! - A request body that is read as it is sent is a [`Body`] of this module: `reqwest`'s gives its reader to nobody else.
//! - Where `reqwest` bounds each wait by 30 seconds, so does this client, with a
//!   [`read_timeout`](crate::CachedClientBuilder::read_timeout);
//!   [`timeout`](crate::CachedClientBuilder::timeout) bounds the whole request, body included.
//!
//! # Threads
//!
//! A client has a runtime of its own, which its clones and the bodies of its responses share: one thread that waits
//! for sockets and timers, and does what goes on in the background. The rest is done on the thread that calls. When the last
//! clone and the last body are gone, the thread ends; what is being stored then has a second to get there.
//!
//! # Within an async runtime
//!
//! Code that runs on tokio must not block its thread. `reqwest::blocking` panics there; this client returns an error that
//! [`is_builder`](crate::Error::is_builder). Call it on a thread of its own or within `tokio::task::spawn_blocking`, or use
//! [`crate::CachedClient`]. Reading a body there is `reqwest`'s own business, which panics in debug builds. Dropping client
//! and response is safe anywhere.

mod body;
mod client;
mod request;
mod response;
mod runtime;

pub use body::Body;
pub use client::CachedClient;
pub use request::IntoRequest;

/// Configures a [`CachedClient`]: [`crate::CachedClientBuilder`], with all its methods, whose `build` blocks.
pub type CachedClientBuilder = crate::CachedClientBuilder<CachedClient>;

/// Builds a request and sends it through the cache: [`crate::RequestBuilder`], with all its methods, whose `send` blocks.
pub type RequestBuilder = crate::RequestBuilder<CachedClient>;
