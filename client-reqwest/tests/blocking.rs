//! The client that blocks.

#![cfg(all(feature = "blocking", feature = "memory"))]

use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::support::{Origin, Seen, TestClock, redirect, response};
use axum::Router;
use axum::body::Body as ServerBody;
use axum::response::IntoResponse;
use bytes::Bytes;
use client_reqwest::blocking::{Body, CachedClient, CachedClientBuilder};
use client_reqwest::{MemoryStorage, ResponseExt, Source};
use futures_util::{StreamExt, stream};
use http::{Method, Version};
use tokio::runtime::Runtime;

/// How much may be on its way between an origin and a caller: what sockets and frames hold.
const ON_THE_WAY: u64 = 24 << 20;
const LARGE: u64 = 64 << 20;
const CHUNK: usize = 64 << 10;

/// An origin on threads of its own, which say `ok` and keep it fresh for a minute.
struct Server {
    runtime: Runtime,
    origin: Option<Origin>,
}

impl Server {
    fn new(handler: impl Fn(&Seen) -> axum::response::Response + Clone + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let origin = runtime.block_on(Origin::with(handler));
        Self { runtime, origin: Some(origin) }
    }

    fn fresh() -> Self {
        Self::new(|_| response(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "ok"))
    }

    fn origin(&self) -> &Origin {
        self.origin.as_ref().unwrap()
    }

    fn url(&self, path: &str) -> String {
        self.origin().url(path)
    }

    fn requests(&self) -> usize {
        self.origin().seen().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.origin = None;
    }
}

fn builder() -> CachedClientBuilder {
    CachedClient::builder().wire(reqwest::ClientBuilder::no_proxy)
}

fn client() -> CachedClient {
    builder().build().unwrap()
}

fn source(response: &reqwest::blocking::Response) -> Source {
    response.cache_info().expect("it passed through the cache").source
}

#[test]
fn responses_are_those_of_reqwest() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/hop" => redirect(302, "/there"),
        _ => response(200, &[("cache-control", "max-age=60"), ("x-field", "a")], "some text"),
    });
    let client = client();
    for expected in [Source::Origin, Source::Store] {
        let response = client.get(server.url("/hop#part")).send().unwrap();
        assert_eq!(source(&response), expected);
        assert_eq!(response.url().as_str(), server.url("/there#part"));
        assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_11));
        assert_eq!(response.headers()["x-field"], "a");
        assert!(response.headers().contains_key("cache-status"));
        assert_eq!(response.content_length(), Some(9));
        assert_eq!(response.text().unwrap(), "some text");
    }
    let by_verb = [
        (client.head(server.url("/v")), Method::HEAD),
        (client.post(server.url("/v")), Method::POST),
        (client.put(server.url("/v")), Method::PUT),
        (client.patch(server.url("/v")), Method::PATCH),
        (client.delete(server.url("/v")), Method::DELETE),
        (client.request(Method::OPTIONS, server.url("/v")), Method::OPTIONS),
    ];
    for (request, method) in by_verb {
        assert_eq!(request.header("x-sent", "yes").send().unwrap().status(), 200);
        let seen = server.origin().last();
        assert_eq!((seen.method.clone(), seen.header("x-sent")), (method, Some("yes")));
    }
    assert!(client.get("not a url").send().unwrap_err().is_builder());
}

#[test]
fn a_response_of_the_wire_is_read_too() {
    let server = Server::fresh();
    let disabled = builder().disabled().build().unwrap();
    let response = disabled.get(server.url("/")).send().unwrap();
    assert!(response.cache_info().is_none() && response.remote_addr().is_some());
    assert_eq!((response.url().as_str(), response.version()), (&*server.url("/"), Version::HTTP_11));
    assert_eq!(response.text().unwrap(), "ok");
    let bypassed = client().get(server.url("/")).bypass().send().unwrap();
    assert_eq!(bypassed.cache_info().unwrap().source, Source::Origin);
    assert_eq!(bypassed.bytes().unwrap(), "ok");
}

#[test]
fn one_request_steers_the_cache() {
    let server = Server::fresh();
    let client = client();
    let get = || client.get(server.url("/"));
    assert_eq!(get().only_if_cached().send().unwrap().status(), 504);
    assert_eq!(server.requests(), 0);
    assert!(!get().explain().unwrap().unwrap().reasons.to_string().is_empty());

    get().tag("a").send().unwrap().bytes().unwrap();
    assert_eq!(source(&get().send().unwrap()), Source::Store);
    // The origin answers with the whole, which takes the place of what was stored, tags included.
    get().revalidate().tag("a").send().unwrap().bytes().unwrap();
    assert_eq!(server.origin().last().header("if-none-match"), Some("\"1\""));
    assert!(get().only_if_cached().reload().send().unwrap_err().is_builder());

    assert_eq!(client.purge_tags(["a"]).unwrap(), 1);
    assert_eq!(get().only_if_cached().send().unwrap().status(), 504);
}

#[test]
fn requests_are_built_here_or_elsewhere() {
    let server = Server::fresh();
    let client = client();
    let built = client.get(server.url("/")).only_if_cached().build().unwrap();
    assert_eq!(client.execute(built).unwrap().status(), 504, "what steers the cache is in it");

    let url = server.url("/there").parse().unwrap();
    let mut theirs = reqwest::blocking::Request::new(Method::POST, url);
    theirs.headers_mut().insert("x-sent", "yes".parse().unwrap());
    *theirs.body_mut() = Some(reqwest::blocking::Body::new(Cursor::new("from a reader")));
    assert_eq!(client.execute(theirs).unwrap().status(), 200);
    let seen = server.origin().last();
    assert_eq!((&*seen.body, seen.header("x-sent")), (&b"from a reader"[..], Some("yes")));

    let again = client.get(server.url("/again")).header("x-sent", "twice");
    let copy = again.try_clone().unwrap();
    assert_eq!(
        (again.send().unwrap().status(), copy.send().unwrap().status()),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
}

#[test]
fn bodies_are_sent_from_bytes_and_readers() {
    let server = Server::fresh();
    let client = client();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"content").unwrap();
    let opened = std::fs::File::open(file.path()).unwrap();
    let bodies = [
        (Body::from("content"), Some("7")),
        (Body::from(opened), Some("7")),
        (Body::sized(Cursor::new("content, and more"), 7), Some("7")),
        (Body::new(Cursor::new("content")), None),
    ];
    for (body, length) in bodies {
        let case = format!("{body:?}");
        assert_eq!(client.put(server.url("/")).body(body).send().unwrap().status(), 200, "{case}");
        let seen = server.origin().last();
        assert_eq!((&*seen.body, seen.header("content-length")), (&b"content"[..], length), "{case}");
    }
    let short = Body::sized(Cursor::new("short"), 7);
    assert!(client.put(server.url("/")).body(short).send().is_err());
    let failing = Body::new(FailingReader);
    assert!(client.put(server.url("/")).body(failing).send().is_err());
}

struct FailingReader;

impl Read for FailingReader {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk is gone"))
    }
}

#[cfg(feature = "multipart")]
#[test]
fn forms_are_sent_with_their_length_where_they_are_small() {
    use reqwest::blocking::multipart::{Form, Part};

    let server = Server::fresh();
    let client = client();
    for (size, is_sized) in [(10, true), (3 << 20, false)] {
        let part = Part::reader(std::io::repeat(b'x').take(size)).file_name("a");
        let form = Form::new().text("name", "value").part("file", part);
        let boundary = form.boundary().to_owned();
        assert_eq!(client.post(server.url("/")).multipart(form).send().unwrap().status(), 200);
        let seen = server.origin().last();
        assert_eq!(seen.header("content-length").is_some(), is_sized);
        assert!(seen.header("content-type").unwrap().contains(&boundary));
        assert_eq!(seen.body.iter().filter(|byte| **byte == b'x').count() as u64, size);
    }
}

/// Serves `app` until the runtime ends.
fn serve(app: Router) -> (Runtime, String) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (runtime, url)
}

#[test]
fn a_large_body_is_never_in_memory() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let (_server, url) = serve(Router::new().fallback(move || {
        let counted = counted.clone();
        let chunks = stream::iter(0..LARGE / CHUNK as u64).map(move |_| {
            counted.fetch_add(CHUNK as u64, SeqCst);
            Ok::<_, std::io::Error>(Bytes::from_static(&[7; CHUNK]))
        });
        async { ([("cache-control", "max-age=60")], ServerBody::from_stream(chunks)).into_response() }
    }));
    // A larger body than is stored: what is measured is what is on its way, not what the store keeps.
    for builder in [builder().max_body(1 << 20), builder().disabled()] {
        sent.store(0, SeqCst);
        let client = builder.build().unwrap();
        let mut response = client.get(&url).send().unwrap();
        drop(client);
        let (mut read, mut most) = (0, 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = response.read(&mut chunk).unwrap() as u64;
            if n == 0 {
                break;
            }
            read += n;
            most = most.max(sent.load(SeqCst).saturating_sub(read));
        }
        assert_eq!(read, LARGE);
        assert!(most < ON_THE_WAY, "{most} bytes on their way");
    }
}

#[test]
fn a_large_request_is_never_in_memory() {
    /// Counts how far it is ahead of what has arrived.
    struct Ahead {
        read: u64,
        most: Arc<AtomicU64>,
        arrived: Arc<AtomicU64>,
    }

    impl Read for Ahead {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let left = usize::try_from(LARGE - self.read).unwrap().min(buf.len());
            self.read += left as u64;
            self.most.fetch_max(self.read - self.arrived.load(SeqCst).min(self.read), SeqCst);
            Ok(left)
        }
    }

    let (arrived, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let count = arrived.clone();
    let (_server, url) = serve(Router::new().fallback(move |body: ServerBody| async move {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            count.fetch_add(chunk.unwrap().len() as u64, SeqCst);
        }
        "ok"
    }));
    let reader = Ahead { read: 0, most: most.clone(), arrived: arrived.clone() };
    let answer = client().put(&url).body(Body::sized(reader, LARGE)).send().unwrap();
    assert_eq!((answer.status().as_u16(), arrived.load(SeqCst)), (200, LARGE));
    assert!(most.load(SeqCst) < ON_THE_WAY, "{most:?} bytes ahead");
}

#[test]
fn heads_and_bodies_time_out() {
    const SHORT: Duration = Duration::from_millis(150);

    let (_server, url) = serve(
        Router::new()
            .route("/head", axum::routing::get(async || std::future::pending::<String>().await))
            .route(
                "/body",
                axum::routing::get(async || {
                    let first = stream::iter([Ok::<_, std::io::Error>("first")]);
                    (
                        [("cache-control", "max-age=60")],
                        ServerBody::from_stream(first.chain(stream::pending())),
                    )
                }),
            ),
    );
    let clients = [
        ("total", builder().timeout(SHORT), None),
        ("read", builder().read_timeout(SHORT), None),
        ("request", builder(), Some(SHORT)),
        ("no cache", builder().disabled(), Some(SHORT)),
    ];
    for (name, builder, own) in clients {
        let client = builder.build().unwrap();
        let get = |path: &str| {
            let request = client.get(format!("{url}{path}"));
            if let Some(timeout) = own { request.timeout(timeout) } else { request }
        };
        assert!(get("head").send().unwrap_err().is_timeout(), "{name}");
        let mut response = get("body").send().unwrap();
        let mut first = [0; 5];
        response.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"first");
        let error = response.read_to_end(&mut Vec::new()).unwrap_err();
        let theirs = error.get_ref().unwrap().downcast_ref::<reqwest::Error>().unwrap();
        assert!(theirs.is_timeout(), "{name}: {error:?}");
    }
}

#[test]
fn clones_on_threads_share_one_fetch() {
    let server = Server::new(|_| response(200, &[("cache-control", "max-age=60")], "ok"));
    let client = client();
    let url = &server.url("/");
    thread::scope(|scope| {
        for client in std::iter::repeat_n(client, 16) {
            scope.spawn(move || assert_eq!(client.get(url).send().unwrap().text().unwrap(), "ok"));
        }
    });
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_body_outlives_its_client_and_nothing_outlives_both() {
    let server = Server::new(|_| response(200, &[("cache-control", "max-age=60")], vec![7; 1 << 20]));
    let clock = TestClock::new();
    let client = builder().clock(clock.clone()).build().unwrap();
    let copy = client.clone();
    let response = client.get(server.url("/")).send().unwrap();
    drop((client, copy));
    assert!(Arc::strong_count(&clock) > 1, "the response keeps it");
    assert_eq!(response.bytes().unwrap().len(), 1 << 20);
    assert_eq!(Arc::strong_count(&clock), 1, "the thread ended, and gave up what it had");

    // One that is not read, and one that is read in part.
    for len in [0, 1000] {
        let client = builder().clock(clock.clone()).build().unwrap();
        let mut response = client.get(server.url("/")).send().unwrap();
        drop(client);
        response.read_exact(&mut vec![0; len]).unwrap();
        drop(response);
        assert_eq!(Arc::strong_count(&clock), 1, "{len}");
    }
}

#[test]
fn what_is_being_stored_survives_the_last_drop() {
    let server = Server::fresh();
    let storage = Arc::new(MemoryStorage::new());
    for expected in [Source::Origin, Source::Store, Source::Store] {
        let client = builder().storage(storage.clone()).build().unwrap();
        let response = client.get(server.url("/")).send().unwrap();
        drop(client);
        assert_eq!(source(&response), expected);
        assert_eq!(response.text().unwrap(), "ok");
    }
}

#[test]
fn it_is_suspended_and_reconfigured_while_it_runs() {
    let server = Server::fresh();
    let client = client();
    let sources = |wanted: &[Source]| {
        let got: Vec<_> =
            wanted.iter().map(|_| source(&client.get(server.url("/")).send().unwrap())).collect();
        assert_eq!(got, wanted);
    };
    let suspended = client.suspend();
    sources(&[Source::Origin, Source::Origin]);
    drop(suspended);
    sources(&[Source::Origin, Source::Store]);
    client.reconfigure(|settings| settings.options.offline = true).unwrap();
    assert!(client.live_settings().options.offline);
    assert_eq!(client.get(server.url("/other")).send().unwrap().status(), 504);
    assert_eq!(client.stats().unwrap().requests.total(), 5);
}

#[test]
fn a_closed_client_goes_on_without_its_cache() {
    let server = Server::fresh();
    let client = client();
    client.get(server.url("/")).send().unwrap();
    client.close();
    client.close();
    let response = client.get(server.url("/")).send().unwrap();
    assert_eq!((source(&response), response.text().unwrap()), (Source::Origin, "ok".to_owned()));
}

#[test]
fn futures_run_on_the_clients_runtime() {
    let client = client();
    let storage = client.storage().unwrap().clone();
    assert!(
        client
            .block_on(async { tokio::spawn(async move { storage.close().await }).await })
            .unwrap()
            .unwrap()
            .is_ok()
    );
}

#[test]
fn async_code_gets_an_error_and_no_panic() {
    let server = Server::fresh();
    let url = server.url("/");
    let client = client();
    let response = client.get(&url).send().unwrap();
    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let unused = builder().build().unwrap();
    for runtime in [&current, &server.runtime] {
        runtime.block_on(async {
            assert!(builder().build().unwrap_err().is_builder());
            for error in [
                client.get(&url).send().unwrap_err(),
                client.execute(client.get(&url).build().unwrap()).unwrap_err(),
                client.get(&url).explain().unwrap_err(),
                client.purge_tags(["a"]).unwrap_err(),
                client.block_on(async {}).unwrap_err(),
            ] {
                assert!(error.is_builder(), "{error:?}");
            }
            // Where blocking is allowed, it works.
            let (client, url) = (client.clone(), url.clone());
            let text = tokio::task::spawn_blocking(move || client.get(&url).send().unwrap().text().unwrap());
            assert_eq!(text.await.unwrap(), "ok");
        });
    }
    // Clients and responses may be dropped and closed there.
    current.block_on(async {
        unused.close();
        drop(unused);
        drop(client);
        drop(response);
    });
}
