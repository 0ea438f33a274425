//! The layers over a made-up hop: what reaches the seam, and what is done with the answer.

use std::sync::{Arc, Mutex};

use http::header::{AUTHORIZATION, LOCATION};
use http::{Extensions, HeaderName, Method};
use reqwest::{Body, Url};

use super::*;
use crate::controls::Controls;
use crate::cookies::Jar;
use crate::decode::Codings;
use crate::hop::HopRequest;
use crate::redirect::Policy;
use crate::response::HopResponse;

type Answer = dyn Fn(&HopRequest) -> HopResponse + Send + Sync;

/// Answers as told, and keeps what it was asked.
struct Probe {
    answer: Box<Answer>,
    asked: Mutex<Vec<HopRequest>>,
}

impl Probe {
    fn new(answer: impl Fn(&HopRequest) -> HopResponse + Send + Sync + 'static) -> Self {
        Self { answer: Box::new(answer), asked: Mutex::default() }
    }

    fn asked(self) -> Vec<HopRequest> {
        self.asked.into_inner().unwrap()
    }
}

impl Hop for Probe {
    async fn send(&self, request: &mut HopRequest) -> Result<HopResponse, Error> {
        let mut asked = HopRequest::new(request.method.clone(), request.url.clone());
        asked.headers = request.headers.clone();
        asked.extensions = request.extensions.clone();
        asked.controls = request.controls;
        asked.tenant = request.tenant.clone();
        asked.tags = request.tags.clone();
        asked.key = request.key.clone();
        asked.body = request.body.take();
        let response = (self.answer)(&asked);
        self.asked.lock().unwrap().push(asked);
        Ok(response)
    }
}

fn layers() -> Layers {
    Layers {
        headers: HeaderMap::new(),
        tenant: None,
        follow: Follow { policy: Policy::default(), referer: true, https_only: false, jar: Jar::default() },
        timeout: None,
        read_timeout: None,
        decoding: Decoding::new(Codings::default()),
    }
}

fn stored(headers: &[(HeaderName, &str)], body: impl Into<Body>) -> HopResponse {
    let mut response = http::Response::new(body.into());
    for (name, value) in headers {
        response.headers_mut().append(name, value.parse().unwrap());
    }
    if response.headers().contains_key(LOCATION) {
        *response.status_mut() = http::StatusCode::FOUND;
    }
    HopResponse::Cached { response, info: None, stored: true }
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, Url::parse(url).unwrap())
}

async fn send(layers: &Layers, probe: &Probe, mut request: Request) -> Response {
    layers.send(probe, &mut request, Steering::default(), Extensions::new()).await.unwrap()
}

#[tokio::test]
async fn the_seam_sees_every_field_that_is_sent() {
    let probe = Probe::new(|_| stored(&[], "body"));
    let mut layers = layers();
    layers.headers.insert(AUTHORIZATION, "Bearer default".parse().unwrap());
    let response = send(&layers, &probe, get("https://example.com/a?b#c")).await;
    assert_eq!(response.url().as_str(), "https://example.com/a?b#c");
    assert_eq!(response.text().await.unwrap(), "body");
    let asked = probe.asked().remove(0);
    assert_eq!(asked.headers[AUTHORIZATION], "Bearer default");
    assert_eq!(asked.headers["accept"], "*/*");
    #[cfg(feature = "decompression")]
    assert_eq!(asked.headers["accept-encoding"], "gzip, br, zstd, deflate");
    assert_eq!(asked.url.as_str(), "https://example.com/a?b");
}

#[tokio::test]
async fn controls_and_extensions_survive_every_hop() {
    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u32);

    let probe = Probe::new(|request| match request.url.path() {
        "/3" => stored(&[], ""),
        _ => stored(&[(LOCATION, "/3")], ""),
    });
    let mut controls = Controls::default();
    controls.revalidate = true;
    let mut steering = Steering { controls: Some(controls), tenant: Some("t".into()), ..Steering::default() };
    (steering.tags, steering.key) = (vec!["a".into()], Some("k".into()));
    let mut extensions = Extensions::new();
    extensions.insert(Mark(7));
    layers().send(&probe, &mut get("http://a.test/1"), steering, extensions).await.unwrap();
    let asked = probe.asked();
    assert_eq!(asked.len(), 2);
    // A key is one resource's.
    assert_eq!([&asked[0], &asked[1]].map(|request| request.key.as_deref()), [Some("k"), None]);
    for request in asked {
        assert_eq!(request.controls, controls);
        assert_eq!(request.tags, [Arc::<str>::from("a")]);
        assert_eq!(request.tenant.as_deref(), Some("t"));
        assert_eq!(request.extensions.get(), Some(&Mark(7)));
    }
}

#[tokio::test]
async fn a_downgrade_loses_credentials_and_referer() {
    let probe = Probe::new(|request| match (request.url.scheme(), request.url.path()) {
        ("https", _) => stored(&[(LOCATION, "http://a.test:443/x")], ""),
        (_, "/x") => stored(&[(LOCATION, "/y")], ""),
        _ => stored(&[], ""),
    });
    let mut request = get("https://a.test/");
    request.headers_mut().insert(AUTHORIZATION, "secret".parse().unwrap());
    send(&layers(), &probe, request).await;
    let asked = probe.asked();
    assert!(asked[0].headers.contains_key(AUTHORIZATION));
    assert!(!asked[1].headers.contains_key(AUTHORIZATION) && !asked[1].headers.contains_key("referer"));
    assert!(!asked[2].headers.contains_key(AUTHORIZATION));
    assert_eq!(asked[2].headers["referer"], "http://a.test:443/x");

    let probe = Probe::new(|_| stored(&[(LOCATION, "http://a.test/x")], ""));
    let mut layers = layers();
    layers.follow.https_only = true;
    let error =
        layers.send(&probe, &mut get("https://a.test/"), Steering::default(), Extensions::new()).await;
    let error = error.unwrap_err();
    assert!(error.is_redirect());
    assert_eq!(error.url().unwrap().as_str(), "http://a.test/x");
}

#[cfg(feature = "cookies")]
#[tokio::test]
async fn stored_cookies_never_enter_the_jar() {
    use http::header::{COOKIE, SET_COOKIE};

    let jar = Arc::new(reqwest::cookie::Jar::default());
    let url = Url::parse("http://a.test/").unwrap();
    jar.add_cookie_str("mine=1", &url);
    let mut layers = layers();
    layers.follow.jar.0 = Some(jar);
    for hit in [true, false] {
        let probe = Probe::new(move |_| match stored(&[(SET_COOKIE, "theirs=2")], "") {
            HopResponse::Cached { response, info, .. } => HopResponse::Cached { response, info, stored: hit },
            wire @ HopResponse::Wire(_) => wire,
        });
        for _ in 0..2 {
            send(&layers, &probe, get(url.as_str())).await;
        }
        let asked = probe.asked();
        assert_eq!(asked[0].headers[COOKIE], "mine=1");
        let second = asked[1].headers[COOKIE].to_str().unwrap();
        assert_eq!(second.contains("theirs"), !hit, "{second}");
    }
}

#[cfg(feature = "decompression")]
#[tokio::test]
async fn stored_bodies_are_decoded_for_each_caller() {
    // "stored" in gzip.
    const GZIP: [u8; 26] =
        [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 43, 46, 201, 47, 74, 77, 1, 0, 11, 249, 67, 86, 6, 0, 0, 0];
    let probe = Probe::new(|_| stored(&[(http::header::CONTENT_ENCODING, "gzip")], GZIP.to_vec()));
    for _ in 0..2 {
        let response = send(&layers(), &probe, get("http://a.test/")).await;
        assert!(!response.headers().contains_key("content-encoding"));
        assert_eq!(response.text().await.unwrap(), "stored");
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts_bound_hits_too() {
    use std::future::pending;

    struct Never;
    impl Hop for Never {
        async fn send(&self, _: &mut HopRequest) -> Result<HopResponse, Error> {
            pending().await
        }
    }
    let mut layers = layers();
    layers.read_timeout = Some(Duration::from_secs(2));
    let sent = layers.send(&Never, &mut get("http://a.test/"), Steering::default(), Extensions::new()).await;
    assert!(sent.unwrap_err().is_timeout());

    layers.timeout = Some(Duration::from_secs(1));
    let stuck = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, std::io::Error>,
    >());
    let probe = Probe::new(move |_| stored(&[], Body::wrap(stuck.clone())));
    let error = send(&layers, &probe, get("http://a.test/")).await.bytes().await.unwrap_err();
    assert!(error.is_timeout());
}
