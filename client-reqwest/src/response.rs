use cache_engine::CacheInfo;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use reqwest::{Body, ResponseBuilderExt, Url};

/// What the cache says of a response.
pub trait ResponseExt {
    /// How the cache handled the request; `None` where it did not pass through one. After redirects it is about
    /// the last hop.
    fn cache_info(&self) -> Option<&CacheInfo>;
}

impl ResponseExt for reqwest::Response {
    fn cache_info(&self) -> Option<&CacheInfo> {
        self.extensions().get()
    }
}

#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
impl ResponseExt for reqwest::blocking::Response {
    fn cache_info(&self) -> Option<&CacheInfo> {
        self.extensions().get()
    }
}

/// The answer to one hop, before the layers above have touched it.
#[derive(Debug)]
pub(crate) enum HopResponse {
    /// The wire's own response. It stays one as long as nothing above needs to change it.
    Wire(reqwest::Response),
    /// A response that the cache put together.
    Cached {
        response: http::Response<Body>,
        /// How it came about; the caller finds it among the extensions.
        info: Option<CacheInfo>,
        /// Whether its head was stored before this request, rather than just received.
        stored: bool,
    },
}

impl HopResponse {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Wire(response) => response.status(),
            Self::Cached { response, .. } => response.status(),
        }
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        match self {
            Self::Wire(response) => response.headers(),
            Self::Cached { response, .. } => response.headers(),
        }
    }

    #[cfg_attr(not(feature = "cookies"), allow(dead_code, reason = "asked by the jar"))]
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self, Self::Cached { stored: true, .. })
    }

    /// The caller's response; `change` is given its parts and body where something above has to change them.
    pub(crate) fn finish(
        self,
        url: Url,
        change: Option<impl FnOnce(&mut Parts, Body) -> Body>,
    ) -> reqwest::Response {
        let (response, info): (http::Response<Body>, _) = match self {
            // Only a fragment can differ: the wire's URL has none.
            Self::Wire(response) if change.is_none() && url.fragment().is_none() => return response,
            Self::Wire(response) => (response.into(), None),
            Self::Cached { response, info, .. } => (response, info),
        };
        let (mut parts, mut body) = response.into_parts();
        if let Some(change) = change {
            body = change(&mut parts, body);
        }
        let mut response = assemble(parts, body, url);
        if let Some(info) = info {
            response.extensions_mut().insert(info);
        }
        response.into()
    }
}

/// A response that `reqwest` takes for one of `url`.
pub(crate) fn assemble(mut parts: Parts, body: Body, url: Url) -> http::Response<Body> {
    // `reqwest` takes the URL from an extension that only its trait on the builder can make.
    let mut response = http::Response::new(body);
    if let Ok(carrier) = http::Response::builder().url(url).body(()) {
        let mut extensions = carrier.into_parts().0.extensions;
        if !parts.extensions.is_empty() {
            extensions.extend(std::mem::take(&mut parts.extensions));
        }
        *response.extensions_mut() = extensions;
    }
    *response.status_mut() = parts.status;
    *response.version_mut() = parts.version;
    *response.headers_mut() = parts.headers;
    response
}
