#![doc = include_str!("../README.md")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use client_reqwest::cache_api::DefaultKey;
use client_reqwest::redirect::Policy;
use client_reqwest::{CachedClient, CachedClientBuilder, Options};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use http_body::Body as _;
use reqwest::Url;

/// The field that answers of the proxy's own have: a request that names no path (400), an origin that does not answer (502).
pub const MARKER: HeaderName = HeaderName::from_static("caching-proxy-error");

/// Fields of one connection. Those that `Connection` names are left to the cache.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A reverse proxy in front of one origin.
///
/// It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy {
    client: CachedClient,
    /// Scheme, authority and leading path of the origin, without a final slash.
    upstream: String,
}

impl Proxy {
    /// What makes a client that changes nothing of what passes. Storage and all else are still to be chosen.
    pub fn client(options: Options) -> CachedClientBuilder {
        CachedClient::builder()
            .options(options)
            // A private proxy has one user, and a shared one goes by what the origin says: no field counts but those
            // that `Vary` names.
            .key_fn(Arc::new(DefaultKey::new()))
            .redirect(Policy::none())
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // Shorter than origins keep idle connections, so that none is used as it closes.
            .wire(|wire| wire.no_proxy().pool_idle_timeout(Duration::from_secs(3)))
            .connect_timeout(Duration::from_secs(10))
    }

    /// In front of that origin, whose path is put before each request's; its query and fragment do not count.
    #[must_use]
    pub fn new(client: CachedClient, upstream: &Url) -> Self {
        let mut upstream = upstream.clone();
        upstream.set_query(None);
        upstream.set_fragment(None);
        Self { client, upstream: upstream.as_str().trim_end_matches('/').to_owned() }
    }

    /// The service: every path and every method.
    pub fn router(&self) -> Router {
        Router::new().fallback(pass).with_state(self.clone())
    }

    fn target(&self, uri: &Uri) -> Option<Url> {
        let path = uri.path_and_query()?.as_str();
        let path = path.strip_prefix('/')?;
        Url::parse(&format!("{}/{path}", self.upstream)).ok()
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let Some(target) = proxy.target(request.uri()) else {
        return refusal(StatusCode::BAD_REQUEST, "the target is not a path".to_owned());
    };
    let (mut parts, body) = request.into_parts();
    drop_hop_by_hop(&mut parts.headers);
    // The origin's own, which the URL names.
    parts.headers.remove(header::HOST);
    let mut upstream = proxy.client.request(parts.method, target).headers(parts.headers);
    if !body.is_end_stream() {
        upstream = upstream.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    match upstream.send().await {
        Ok(response) => {
            let mut response = http::Response::<reqwest::Body>::from(response).map(Body::new);
            drop_hop_by_hop(response.headers_mut());
            response
        }
        Err(error) => refusal(StatusCode::BAD_GATEWAY, format!("{:#}", anyhow::Error::new(error))),
    }
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// An answer of the proxy's own.
fn refusal(status: StatusCode, why: String) -> Response {
    (status, [(MARKER, "upstream"), (header::CACHE_CONTROL, "no-store")], why + "\n").into_response()
}
