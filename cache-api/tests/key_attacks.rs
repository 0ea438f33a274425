//! What an attacker writes into a URL to have two resources taken for one, or one for two.

use cache_api::{CacheKey, DefaultKey, KeyRequest, Namespace};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use url::Url;

fn key_in(namespace: &str, tenant: Option<&str>, url: &str) -> CacheKey {
    let (namespace, url) = (Namespace::new(namespace).unwrap(), Url::parse(url).unwrap());
    let headers = HeaderMap::new();
    let mut request = KeyRequest::new(&Method::GET, &url, &headers, &namespace);
    request.tenant = tenant;
    DefaultKey::new().of(&request)
}

fn key(url: &str) -> CacheKey {
    key_in("default", None, url)
}

/// Each line is of URLs that every server takes for the same.
#[test]
fn what_is_one_resource() {
    for urls in [
        &["https://a.example/", "https://a.example", "HTTPS://A.EXAMPLE:443/", "https://a.example:/#f"][..],
        &[
            "https://a.example/b",
            "https://a.example/./b",
            "https://a.example/x/../b",
            "https://a.example/%2e/%62",
        ],
        &["https://a.example/c/../../../b", "https://a.example/%2E%2e/b", "https://a.example\\b"],
        &["https://a.example/%7Eu", "https://a.example/~u", "https://a.example/%7eu"],
        &["https://a.example/%c3%a9", "https://a.example/%C3%A9", "https://a.example/é"],
        &["https://bücher.example/", "https://xn--bcher-kva.example/", "https://B%C3%9CCHER.example/"],
        &["http://127.0.0.1/", "http://0x7f.1/", "http://2130706433/"],
        &["https://[::1]/", "https://[0:0::0:1]/"],
    ] {
        for url in urls {
            assert_eq!(key(url), key(urls[0]), "{url} and {}", urls[0]);
        }
    }
}

/// No two of these are the same to every server.
#[test]
fn what_is_not() {
    let urls = [
        // The authority.
        "https://a.example/",
        "http://a.example/",
        "https://a.example:444/",
        "https://u@a.example/",
        "https://u:p@a.example/",
        "https://a.example@b.example/",
        "https://b.example/a.example@",
        "https://a.example.:443/",
        "https://\u{430}.example/",
        // Slashes, encoded or not, doubled or not; dots that are no segments.
        "https://a.example/b/c",
        "https://a.example/b%2Fc",
        "https://a.example/b%252Fc",
        "https://a.example/b%2%46c",
        "https://a.example/b%%32Fc",
        "https://a.example/b//c",
        "https://a.example//b/c",
        "https://a.example/b/c/",
        "https://a.example/B/c",
        "https://a.example/b/..%2Fc",
        "https://a.example/b/...",
        "https://a.example/b;x=1/c",
        "https://a.example/b%3Bx=1/c",
        // Where the path ends and the query begins.
        "https://a.example/b?c",
        "https://a.example/b%3Fc",
        "https://a.example/b?",
        "https://a.example/b",
        "https://a.example/b%23c",
        "https://a.example/b%00",
        "https://a.example/b%0A",
        "https://a.example/b%20",
        "https://a.example/b+",
        // Names, doubled, in another order, joined otherwise.
        "https://a.example/b?x=1&x=2",
        "https://a.example/b?x=2&x=1",
        "https://a.example/b?x=1",
        "https://a.example/b?x=1&",
        "https://a.example/b?x=1;x=2",
        "https://a.example/b?x=1%26x=2",
        "https://a.example/b?x=1&x%3D2",
        "https://a.example/b?X=1&x=2",
        "https://a.example/b?x[]=1&x=2",
        "https://a.example/b?x=+",
        "https://a.example/b?x=%20",
        "https://a.example/b?x=%2B",
    ];
    for (at, url) in urls.iter().enumerate() {
        for other in urls.iter().skip(at + 1) {
            assert_ne!(key(url), key(other), "{url} and {other}");
        }
    }
}

/// What stands in one part cannot be moved into another.
#[test]
fn parts_do_not_run_into_each_other() {
    let url = "https://a.example/";
    let keys = [
        key_in("default", None, url),
        key_in("default", Some(""), url),
        key_in("default", Some("a"), url),
        key_in("defaulta", None, url),
        key_in("default", Some("a\0"), url),
        key_in("default", Some("\u{2}\u{1}\0\0\0a"), url),
        key_in("default", Some("default"), url),
        key_in("default", Some("a\u{4}\u{3}\0\0\0GET"), url),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(keys.iter().skip(at + 1).all(|other| other != key), "key {at} stands twice");
    }
}

proptest! {
    /// Whatever is percent-encoded: one key means that a server which decodes once reads the same.
    #[test]
    fn one_key_is_one_decoded_path(a in "[%234aAfF/.]{0,8}", b in "[%234aAfF/.]{0,8}") {
        let path = |text: &str| Url::parse(&format!("https://a.example/{text}")).unwrap();
        let (a, b) = (path(&a), path(&b));
        let decoded = |url: &Url| percent_encoding::percent_decode_str(url.path()).collect::<Vec<_>>();
        if key(a.as_str()) == key(b.as_str()) {
            prop_assert_eq!(decoded(&a), decoded(&b));
            // And one in which all is well-formed is never another one's in which something is not.
            let stray = |url: &Url| url.path().split('%').skip(1).any(|piece| {
                !piece.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            });
            prop_assert_eq!(stray(&a), stray(&b));
        }
    }
}
