//! Content codings end to end.

#![cfg(feature = "decompression")]

use crate::support::{Origin, builder, client, response};
use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::AsyncReadExt;

/// Large enough for several chunks, and not trivially compressible.
fn text() -> String {
    (0u64..40_000).map(|i| format!("{:x} ", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

async fn encode(coding: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "gzip" => GzipEncoder::new(data).read_to_end(&mut out).await,
        "br" => {
            BrotliEncoder::with_quality(data, async_compression::Level::Fastest).read_to_end(&mut out).await
        }
        "zstd" => ZstdEncoder::new(data).read_to_end(&mut out).await,
        "deflate" => ZlibEncoder::new(data).read_to_end(&mut out).await,
        other => panic!("{other}"),
    }
    .unwrap();
    out
}

async fn encode_all(codings: &str, data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for coding in codings.split(", ") {
        data = encode(coding, &data).await;
    }
    data
}

/// Serves `body` under `codings` at `/`, without its last bytes at `/cut`, with more at `/more`, and as a 206 at
/// `/part`; `/empty` says that nothing is coded.
async fn serving(codings: &'static str, body: Vec<u8>) -> Origin {
    Origin::with(move |seen| {
        let headers = [("content-encoding", codings), ("etag", "\"1\"")];
        match seen.path.as_str() {
            "/cut" => response(200, &headers, body[..body.len() - 9].to_vec()),
            "/empty" => response(200, &headers, ""),
            "/none" => response(204, &headers, ""),
            "/part" => response(206, &headers, body[..9].to_vec()),
            _ => response(200, &headers, body.clone()),
        }
    })
    .await
}

#[tokio::test]
async fn each_coding_and_several_at_once() {
    let text = text();
    for codings in ["gzip", "br", "zstd", "deflate", "gzip, br", "zstd, deflate, gzip"] {
        let coded = encode_all(codings, text.as_bytes()).await;
        let origin = serving(codings, coded.clone()).await;
        let client = client().await;
        let response = client.get(origin.url("/")).send().await.unwrap();
        assert_eq!(origin.last().header("accept-encoding"), Some("gzip, br, zstd, deflate"));
        assert!(!response.headers().contains_key("content-encoding"), "{codings}");
        assert!(!response.headers().contains_key("content-length"), "{codings}");
        assert_eq!(response.headers()["etag"], "\"1\"");
        assert!(response.remote_addr().is_some());
        assert_eq!(response.url().as_str(), origin.url("/"));
        assert!(response.text().await.unwrap() == text, "{codings}");

        let cut = client.get(origin.url("/cut")).send().await.unwrap().bytes().await;
        assert!(cut.unwrap_err().is_decode(), "{codings}");
        let empty = client.get(origin.url("/empty")).send().await.unwrap();
        assert_eq!(empty.bytes().await.unwrap().len(), 0, "{codings}");

        for (path, method, length) in [("/part", "GET", 9), ("/none", "GET", 0), ("/", "HEAD", 0)] {
            let request = client.request(method.parse().unwrap(), origin.url(path));
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["content-encoding"], codings, "{method} {path}");
            assert_eq!(response.bytes().await.unwrap().len(), length, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn members_and_what_follows_them() {
    let client = client().await;
    for coding in ["gzip", "zstd"] {
        let twice = [encode(coding, b"one ").await, encode(coding, b"two").await].concat();
        let origin = serving(coding, twice).await;
        assert_eq!(
            client.get(origin.url("/")).send().await.unwrap().text().await.unwrap(),
            "one two",
            "{coding}"
        );
    }
    for coding in ["br", "deflate"] {
        let followed = [encode(coding, b"one").await, vec![0; 100_000]].concat();
        let origin = serving(coding, followed).await;
        assert_eq!(
            client.get(origin.url("/")).send().await.unwrap().text().await.unwrap(),
            "one",
            "{coding}"
        );
    }
    let origin = serving("gzip", b"not gzip at all".to_vec()).await;
    assert!(client.get(origin.url("/")).send().await.unwrap().bytes().await.unwrap_err().is_decode());
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_decoded() {
    let coded = encode("gzip", b"text").await;
    let origin = serving("gzip", coded.clone()).await;
    let client = builder().no_gzip().zstd(false).build().await.unwrap();
    let response = client.get(origin.url("/")).send().await.unwrap();
    assert_eq!(origin.last().header("accept-encoding"), Some("br, deflate"));
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap(), coded);

    let none = builder().no_gzip().no_brotli().no_zstd().no_deflate().build().await.unwrap();
    none.get(origin.url("/")).send().await.unwrap();
    assert_eq!(origin.last().header("accept-encoding"), None);
}

#[tokio::test]
async fn ranges_are_asked_for_as_they_are() {
    let origin = Origin::ok().await;
    let client = client().await;
    client.get(origin.url("/")).header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!(origin.last().header("accept-encoding"), None);
    client.get(origin.url("/")).header("accept-encoding", "identity").send().await.unwrap();
    assert_eq!(origin.last().header("accept-encoding"), Some("identity"));
}
