//! `Vary`: a request selects what was stored for it, and credentials are compared byte by byte.

use cache_api::Head;
use cache_engine::policy::{Decision, Options, RequestView, StoredView, before, selectors, variant_id};
use http::{HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::message::{messages, start};

/// Reads a response and two requests.
pub fn run(data: &[u8]) {
    let mut messages = messages(data);
    let (Some(response), Some(one), Some(other)) = (messages.next(), messages.next(), messages.next()) else {
        return;
    };
    let (options, url) = (Options::new(), Url::parse("https://a.example/").expect("a URL"));
    let (one, other) = (one.fields, other.fields);
    let of = |fields| {
        selectors(&response.fields, &RequestView::new(&Method::GET, &url, fields, &[7; 32]), &options)
    };
    let (Some(mine), Some(theirs)) = (of(&one), of(&other)) else { return };

    let mut headers = response.fields.clone();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    let mut head = Head::new(Method::GET, url.as_str(), StatusCode::OK, headers, start(), start());
    head.selectors = mine.clone();
    // What would keep it from being served for other reasons is not in question here.
    let bare = |fields: &http::HeaderMap| {
        let mut fields = fields.clone();
        for name in [header::CACHE_CONTROL, header::PRAGMA, header::IF_MATCH, header::IF_UNMODIFIED_SINCE] {
            if !mine.iter().any(|selector| selector.name == name) {
                fields.remove(name);
            }
        }
        fields
    };
    let serves = |fields: &http::HeaderMap| {
        let (fields, stored) = (bare(fields), [StoredView::new(&head)]);
        let view = RequestView::new(&Method::GET, &url, &fields, &[7; 32]);
        matches!(before(&options, &view, &stored, start()).decision, Decision::Serve { .. })
    };
    assert!(!serves(&other) || mine == theirs);
    let mut again = head.clone();
    again.selectors = theirs.clone();
    assert_eq!(variant_id(&head) == variant_id(&again), mine == theirs);
    again.selectors.reverse();
    assert!(mine != theirs || variant_id(&head) == variant_id(&again));
    for name in [header::AUTHORIZATION, header::COOKIE] {
        if mine.iter().any(|selector| selector.name == name) {
            let differ = !one.get_all(&name).iter().eq(other.get_all(&name));
            assert!(!differ || mine != theirs, "{name}");
        }
    }
}
