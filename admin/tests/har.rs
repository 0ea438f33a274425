//! A cache as an HTTP Archive.

use std::sync::Arc;

use crate::support::{Draft, Shelf, TestClock, memory, on_each};
use bytes::Bytes;
use cache_admin::{EntryFilter, HarOptions, Progress, Run};
use cache_api::{CacheKey, ErrorKind};
use cache_conformance::fault::{Fault, FaultyStorage, Operation, Rule};
use futures_util::TryStreamExt;
use serde_json::Value;

/// The archive, as another reader of the format sees it and as it is; and what was told at the end.
async fn export(shelf: &Shelf, options: &HarOptions) -> (har::v1_2::Log, Value, Progress) {
    let (mut told, filter) = (Progress::default(), EntryFilter::all());
    let bytes = {
        let run = Run::new().on_progress(|so_far| told = *so_far);
        let archive = shelf.admin.har(&filter, options, run).await.unwrap();
        let pieces: Vec<Bytes> = archive.try_collect().await.unwrap();
        pieces.concat()
    };
    let har::Spec::V1_2(mut log) = har::from_slice(&bytes).unwrap().log else { panic!("not HAR 1.2") };
    log.entries.sort_by(|a, b| a.request.url.cmp(&b.request.url));
    (log, serde_json::from_slice(&bytes).unwrap(), told)
}

fn html(url: &str, body: &'static str) -> Draft {
    let draft = Draft { body: Bytes::from_static(body.as_bytes()), ..Draft::new(url) };
    draft.field("content-type", "text/html; charset=UTF-8")
}

#[tokio::test]
async fn it_is_what_the_format_says() {
    on_each(|shelf| async move {
        let (log, json, told) = export(&shelf, &HarOptions::new()).await;
        assert_eq!((log.entries.len(), told.seen), (0, 0));
        assert_eq!(
            (&json["log"]["version"], &json["log"]["creator"]["name"]),
            (&"1.2".into(), &"cache-admin".into())
        );

        shelf.put(&html("https://a.test/x?page=2&q=%20b", "<p>é</p>")).await;
        shelf.put(&Draft::new("https://b.test/").len(300_000)).await;
        shelf.put(&html("https://c.test/", "\u{1f}").field("content-encoding", "gzip")).await;
        let garbage = CacheKey::from_bytes([7; 32]);
        shelf.put_garbage(garbage, &Draft::new("https://d.test/"), Bytes::from_static(b"?")).await;
        let (log, json, told) = export(&shelf, &HarOptions::new()).await;
        assert_eq!((told.done, told.invalid, told.bytes), (3, 1, 300_010));

        let [a, b, c] = &log.entries[..] else { panic!("{log:?}") };
        assert_eq!((&*a.request.method, &*a.request.url), ("GET", "https://a.test/x?page=2&q=%20b"));
        assert_eq!((&*a.request.query_string[1].name, &*a.request.query_string[1].value), ("q", " b"));
        assert_eq!(a.started_date_time, "2027-01-15T08:00:00Z");
        assert_eq!(
            (a.response.status, &*a.response.status_text, &*a.response.http_version),
            (200, "OK", "HTTP/1.1")
        );
        assert_eq!(
            (a.response.content.text.as_deref(), &a.response.content.encoding),
            (Some("<p>é</p>"), &None)
        );
        assert_eq!((a.response.content.size, a.response.body_size), (9, 9));
        let encoded = b.response.content.text.as_deref().unwrap();
        assert_eq!((encoded.len(), b.response.content.encoding.as_deref()), (400_000, Some("base64")));
        assert_eq!(c.response.content.text.as_deref(), Some("Hw=="));
        assert!(c.response.content.comment.as_deref().unwrap().contains("gzip"));
        // Fields that a reader may count on.
        for entry in json["log"]["entries"].as_array().unwrap() {
            assert!(entry["cache"].is_object() && entry["response"]["redirectURL"].is_string(), "{entry}");
            assert!(
                entry["response"]["content"]["mimeType"].is_string() && entry["timings"]["wait"].is_f64()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn secrets_are_shown_when_asked_for_alone() {
    let shelf = Shelf::new(memory("default"), &TestClock::new());
    let draft = Draft::new("https://a.test/x?token=hunter2&page=2")
        .field("set-cookie", "sid=hunter2; Path=/; HttpOnly")
        .field("authorization", "hunter2")
        .field("x-own", "hunter2")
        .field("location", "https://b.test/?sig=hunter2#access_token=hunter2");
    shelf.put(&draft).await;
    let own = http::HeaderName::from_static("x-own");
    let (log, json, _) = export(&shelf, &HarOptions::new().secret_headers([own])).await;
    assert!(!json.to_string().contains("hunter2"), "{json}");
    let entry = &log.entries[0];
    assert_eq!(entry.request.url, "https://a.test/x?token=REDACTED&page=2");
    let cookie = &entry.response.cookies[0];
    assert_eq!((&*cookie.name, &*cookie.value, cookie.http_only), ("sid", "REDACTED", Some(true)));
    assert_eq!(
        entry.response.redirect_url.as_deref(),
        Some("https://b.test/?sig=REDACTED#access_token=REDACTED")
    );

    let (log, json, _) = export(&shelf, &HarOptions::new().show_secrets(true)).await;
    assert_eq!(json.to_string().matches("hunter2").count(), 10);
    assert_eq!(log.entries[0].response.cookies[0].value, "hunter2");
}

#[tokio::test]
async fn a_large_body_is_left_out_and_one_that_is_gone_counted() {
    let faulty = FaultyStorage::new(memory("default"));
    let shelf = Shelf::new(Arc::new(faulty.clone()), &TestClock::new());
    shelf.put(&Draft::new("https://a.test/").len(300_000)).await;
    let (log, _, _) = export(&shelf, &HarOptions::new().max_body(299_999)).await;
    let content = &log.entries[0].response.content;
    assert_eq!((content.size, &content.text, faulty.calls(Operation::Read)), (300_000, &None, 0));
    faulty.inject(Rule::on(Operation::Read, Fault::CutBody).once());
    let (log, _, told) = export(&shelf, &HarOptions::new()).await;
    assert_eq!((log.entries.len(), told.done, told.invalid), (0, 0, 1));
    // A store that fails is an error, and no shorter archive.
    faulty.inject(Rule::on(Operation::Read, Fault::Error(ErrorKind::Unavailable)).once());
    let (filter, options) = (EntryFilter::all(), HarOptions::new());
    let archive = shelf.admin.har(&filter, &options, Run::new()).await.unwrap();
    assert!(archive.try_collect::<Vec<_>>().await.unwrap_err().is_transient());
}
