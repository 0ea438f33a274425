//! The default key's golden vectors: a change here makes every replica's cache cold.

use cache_api::{
    CacheKey, CanonicalKey, DefaultKey, KeyFn, KeyRequest, Keyed, Namespace, Redactor, RequestPart, key_fn,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

fn key(
    method: Method,
    url: &str,
    tenant: Option<&str>,
    headers: &[(HeaderName, &str)],
    body: Option<&[u8]>,
) -> CacheKey {
    let url = Url::parse(url).unwrap();
    let namespace = Namespace::default();
    let names = headers.iter().map(|(name, _)| name.clone());
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    let mut request = KeyRequest::new(&method, &url, &map, &namespace);
    request.tenant = tenant;
    request.body = body;
    DefaultKey::new().with_headers(names).of(&request)
}

#[test]
fn golden_vectors() {
    let url = "https://example.com/a?q=1";
    for (key, want) in [
        (
            key(Method::GET, url, None, &[], None),
            "e73fed4ea1e41e79fb3bcd7cfe1149a545e4e4dfe30abb4b2bd904249e466fb7",
        ),
        (
            key(Method::GET, url, Some("acme"), &[], None),
            "a70c37ae38fb4b51ac6864e4d1f19d14bec3f7173dfc5a3e1657d0b28d5b0d00",
        ),
        (
            key(Method::GET, url, None, &[(header::ACCEPT, "text/html")], None),
            "a93c6a19f53f87de09774d26f295fdf52cb477c7535c74066c39497521832112",
        ),
        (
            key(Method::POST, url, None, &[], Some(&b"{}"[..])),
            "ce93fbc91efe7a93677b81362bcf8b34f910785102ebaed300fda4e5276c9e75",
        ),
    ] {
        assert_eq!(key.to_string(), want);
    }
}

#[test]
fn golden_vectors_of_names() {
    let (url, other) = ("https://example.com/a", Url::parse("http://other.test/").unwrap());
    let (namespace, mut headers) = (Namespace::default(), HeaderMap::new());
    let get = |url: &Url| {
        DefaultKey::new()
            .named("products", &KeyRequest::new(&Method::GET, url, &HeaderMap::new(), &namespace))
    };
    let url = Url::parse(url).unwrap();
    assert_eq!(get(&url).to_string(), "927b45dc12e37de98b06203ca14e2aaf70c85257146e0880a23d5ac2f4d7be00");
    assert_eq!(get(&other), get(&url), "the URL does not count");
    headers.insert(header::AUTHORIZATION, HeaderValue::from_static("a"));
    let mut post = KeyRequest::new(&Method::POST, &url, &headers, &namespace);
    (post.tenant, post.body) = (Some("acme"), Some(&b"{}"[..]));
    let named = DefaultKey::new().with_headers([header::AUTHORIZATION]).named("products", &post);
    assert_eq!(named.to_string(), "6426d071fd25a4116ad1a3978833005535713f926ee935a86724e5135271dc4f");
    // A name that reads like a URL is none.
    let like = DefaultKey::new()
        .named(url.as_str(), &KeyRequest::new(&Method::GET, &url, &HeaderMap::new(), &namespace));
    assert_ne!(like, key(Method::GET, url.as_str(), None, &[], None));
}

#[test]
fn golden_vectors_of_redaction_and_of_all_fields() {
    let (url, namespace) = (Url::parse("https://example.com/a?q=1&Token=t").unwrap(), Namespace::default());
    let redactor = Redactor::new()
        .ignore(RequestPart::Query, ["token"])
        .ignore(RequestPart::Headers, ["X-Token"])
        .hide(RequestPart::Query, ["q"]);
    let none = HeaderMap::new();
    let view = redactor.key_view(&KeyRequest::new(&Method::GET, &url, &none, &namespace));
    let key = DefaultKey::new().of(&view.request());
    assert_eq!(key.to_string(), "060d4241b80d435e81e590707b6eeb366ac7ff589d454abc6fc79225fbd7ffa7");

    let url = Url::parse("https://example.com/a?q=1").unwrap();
    let headers = fields(&[("x-b", "1"), ("range", "bytes=0-1"), ("accept", "text/html"), ("x-b", "2")]);
    let request = KeyRequest::new(&Method::GET, &url, &headers, &namespace);
    let key = DefaultKey::new().with_all_headers().of(&request);
    assert_eq!(key.to_string(), "20b9b8f86aa73d27540bbd2e2a247d34eb5dfd67ec969c6b7578ec93f49ae063");
}

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

#[test]
fn all_fields_count_but_those_that_say_nothing_of_what_is_wanted() {
    let (url, namespace) = (Url::parse("http://h/p").unwrap(), Namespace::default());
    let key = |lines: &[(&str, &str)]| {
        let headers = fields(lines);
        DefaultKey::new().with_all_headers().of(&KeyRequest::new(&Method::GET, &url, &headers, &namespace))
    };
    for line in [
        ("accept", "*/*"),
        ("authorization", "Basic x"),
        ("cookie", "a=b"),
        ("user-agent", "x"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-own", ""),
    ] {
        assert_ne!(key(&[line]), key(&[]), "{line:?}");
    }
    for line in [
        ("connection", "close"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic x"),
        ("host", "h"),
        ("content-length", "0"),
        ("cache-control", "no-cache"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"a\""),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-b3-traceid", "1"),
        ("x-request-id", "1"),
    ] {
        assert_eq!(key(&[line]), key(&[]), "{line:?}");
    }
    assert_eq!(key(&[("connection", "x-a, close"), ("x-a", "1")]), key(&[]), "a field of the connection");
    assert_eq!(key(&[("a", "1"), ("b", "2")]), key(&[("b", "2"), ("a", "1")]));
    assert_ne!(key(&[("a", "1"), ("a", "2")]), key(&[("a", "2"), ("a", "1")]));
    // A list is another rule than all, even where it names all that there are.
    let headers = fields(&[("accept", "*/*")]);
    let request = KeyRequest::new(&Method::GET, &url, &headers, &namespace);
    assert_ne!(DefaultKey::new().with_headers([header::ACCEPT]).of(&request), key(&[("accept", "*/*")]));
    let [listed, more] = [[header::ACCEPT, header::COOKIE], [header::COOKIE, header::ACCEPT]]
        .map(|names| DefaultKey::new().with_more_headers(names).of(&request));
    assert_eq!(listed, more);
}

#[test]
fn what_counts_and_what_does_not() {
    let base = || key(Method::GET, "http://h/p?a=1&b=2", None, &[], None);
    let accept = |value| key(Method::GET, "http://h/p?a=1&b=2", None, &[(header::ACCEPT, value)], None);
    for same in [
        key(Method::HEAD, "http://h/p?a=1&b=2", None, &[], None),
        key(Method::GET, "HTTP://H:80/./p?a=1&b=2#f", None, &[], None),
    ] {
        assert_eq!(same, base());
    }
    for other in [
        key(Method::POST, "http://h/p?a=1&b=2", None, &[], None),
        key(Method::GET, "https://h/p?a=1&b=2", None, &[], None),
        key(Method::GET, "http://h:81/p?a=1&b=2", None, &[], None),
        key(Method::GET, "http://h/p?b=2&a=1", None, &[], None),
        key(Method::GET, "http://u:p@h/p?a=1&b=2", None, &[], None),
        key(Method::GET, "http://h/p?a=1&b=2", Some(""), &[], None),
        key(Method::GET, "http://h/p?a=1&b=2", None, &[], Some(b"")),
        accept("a"),
        accept("b"),
    ] {
        assert_ne!(other, base());
    }
    assert_ne!(accept("a"), accept("b"));
}

/// Parts cannot be shifted into one another.
#[test]
fn the_form_is_unambiguous() {
    let url = Url::parse("http://h/").unwrap();
    let form = || CanonicalKey::new(&Namespace::default(), &Method::GET, &url);
    let name = header::ACCEPT;
    let keys = [
        form().finish(),
        form().tenant("a").finish(),
        form().tenant("").finish(),
        form().redaction([0; 32]).finish(),
        form().header(&name, []).finish(),
        form().header(&name, [&b""[..]]).finish(),
        form().header(&name, [&b"a"[..], b"b"]).finish(),
        form().header(&name, [&b"ab"[..]]).finish(),
        form().header(&name, [&b"a, b"[..]]).finish(),
        form().body(b"").finish(),
    ];
    for (i, a) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|b| a != b), "key {i} stands twice");
    }
}

#[tokio::test]
async fn a_closure_is_a_key_fn() {
    let url = Url::parse("http://h/private").unwrap();
    let (namespace, headers) = (Namespace::default(), HeaderMap::new());
    let request = KeyRequest::new(&Method::GET, &url, &headers, &namespace);
    let refuse = key_fn(|request: &KeyRequest<'_>| {
        let private = request.url.path().starts_with("/private");
        let key = DefaultKey::new().of(request);
        async move { Ok(if private { Keyed::Bypass("private".into()) } else { Keyed::Key(key) }) }
    });
    assert_eq!(refuse.key(&request).await.unwrap(), Keyed::Bypass("private".into()));
    assert!(!format!("{request:?} {refuse:?}").contains("secret"));
}
