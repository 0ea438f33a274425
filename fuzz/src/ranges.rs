//! `Range`, `If-Range` and `Content-Range`: no byte is served that is not there.

use cache_api::Head;
use cache_engine::policy::{Decision, Form, Options, RequestView, StoredView, before, part_len, serve};
use http::{HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::message::{Message, messages, start};

/// Reads a line of body lengths and a request, and a stored response, in which a `Content-Range` makes a part.
pub fn run(data: &[u8]) {
    let mut messages = messages(data);
    let (Some(request), Some(stored)) = (messages.next(), messages.next()) else { return };
    let len = std::str::from_utf8(request.first).ok().and_then(|len| len.trim().parse::<u64>().ok());
    let Message { fields: mut headers, .. } = stored;
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    let url = Url::parse("https://a.example/").expect("a URL");
    let view = RequestView::new(&Method::GET, &url, &request.fields, &[7; 32]);
    for status in [StatusCode::OK, StatusCode::PARTIAL_CONTENT] {
        let head = Head::new(Method::GET, url.as_str(), status, headers.clone(), start(), start());
        let stored = StoredView::new(&head).with_body_len(len);
        let _ = part_len(&head);
        let Decision::Serve { form, .. } = before(&Options::new(), &view, &[stored], start()).decision else {
            continue;
        };
        let served = serve(&head, form, None);
        if let (Form::Range(part), Some(len)) = (form, len) {
            assert!(part.first <= part.last && part.last < part.complete, "{part:?}");
            assert!(part.at.checked_add(part.count()).is_some_and(|end| end <= len), "{part:?} of {len}");
            let content_length = served.headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
            assert_eq!(content_length, Some(part.count().to_string().as_bytes()));
        } else {
            assert!(!matches!(form, Form::Range(_)), "a range of nobody knows how many bytes");
        }
    }
}
