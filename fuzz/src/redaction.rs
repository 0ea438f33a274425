//! [`Redactor`] against readers of URLs, forms and JSON that are not its own: what is hidden is not shown and is found
//! again where it is repeated, and what does not count is left out of a key and nothing else.

use cache_api::{Head, KeyRequest, Namespace, REDACTED, Redactor, RequestPart, Secrets};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::message::start;

/// With letters of both cases: no host has it, whatever is made of one.
const SECRET: &str = "Hunter2~S3cr3t";
const HIDDEN: [&str; 2] = ["token", "skip"];
const IGNORED: &str = "skip";

const RAW: &[u8] = b"serde_json::private";

/// The shortest value that is looked for.
const MIN: usize = 4;

/// Reads the bytes as a URL, and as a request's body; the first byte says where what repeats it is cut in two.
pub fn run(data: &[u8]) {
    let redactor = Redactor::new()
        .hide(RequestPart::Parameters, ["token"])
        .hide(RequestPart::Headers, ["x-token"])
        .ignore(RequestPart::Parameters, [IGNORED]);
    if let Ok(text) = std::str::from_utf8(data) {
        url(&redactor, text);
    }
    let Some((&cut, body)) = data.split_first() else { return };
    form(&redactor, cut, body);
    json(&redactor, cut, body);
}

fn url(redactor: &Redactor, text: &str) {
    let shown = redactor.url(text);
    assert_eq!(redactor.url(&shown), shown, "{text:?}");
    if let Ok(shown) = Url::parse(&shown) {
        assert!(shown.username().is_empty() && shown.password().is_none(), "{text:?}: {shown}");
        for (name, value) in shown.query_pairs() {
            assert!(!is_named(&name, &HIDDEN) || value.is_empty() || value == REDACTED, "{text:?}: {shown}");
        }
    }
    let next = if text.contains(['?', '#']) { '&' } else { '?' };
    // What a reader of URLs passes over may stand in the midst of one that is there already.
    let has_it = text.replace(['\t', '\n', '\r'], "").contains(SECRET);
    for text in [format!("https://a.example/?{text}&Token={SECRET}"), format!("{text}{next}%74oken={SECRET}")]
    {
        assert!(has_it || !redactor.url(&text).contains(SECRET), "{text:?}");
    }
    let Ok(request) = Url::parse(text) else { return };
    let (headers, namespace) = (HeaderMap::new(), Namespace::default());
    let asked = KeyRequest::new(&Method::GET, &request, &headers, &namespace);
    let view = redactor.key_view(&asked);
    let counts = |url: &Url| pairs(url.query().unwrap_or_default().as_bytes(), &[IGNORED]);
    assert_eq!(counts(view.request().url), counts(&request), "{request}");
    assert!(!view.request().url.query_pairs().any(|(name, _)| is_named(&name, &[IGNORED])), "{request}");

    let mut head = Head::new(Method::GET, text, StatusCode::OK, HeaderMap::new(), start(), start());
    head.headers.insert("x-token", HeaderValue::from_static(SECRET));
    redactor.redact(&mut head);
    assert_eq!((&*head.url, head.headers.len()), (&*shown, 0));
}

fn form(redactor: &Redactor, cut: u8, body: &[u8]) {
    let headers = typed("application/x-www-form-urlencoded");
    let secrets = redactor.secrets(&place(), &headers, Some(body));
    for (name, value) in form_urlencoded::parse(body) {
        // What is no UTF-8 is looked for as it is, and not as it is shown.
        if is_named(&name, &HIDDEN) && value.len() >= MIN && !value.contains('\u{fffd}') {
            repeated(redactor, secrets.as_ref(), cut, &value);
        }
    }
    let kept = counted(redactor, &headers, body);
    assert_eq!(pairs(&kept, &[]), pairs(body, &[IGNORED]), "{:?}", body.escape_ascii().to_string());
}

fn json(redactor: &Redactor, cut: u8, body: &[u8]) {
    let headers = typed("application/problem+json");
    let secrets = redactor.secrets(&place(), &headers, Some(body));
    let kept = counted(redactor, &headers, body);
    // A name of its own by which the other reader takes a text for what the text says.
    if body.windows(RAW.len()).any(|part| part == RAW) {
        return;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return };
    hidden(&value, false, &mut |text| {
        if text.len() >= MIN {
            repeated(redactor, secrets.as_ref(), cut, text);
        }
    });
    without_ignored(&mut value);
    assert_eq!(serde_json::from_slice::<Value>(&kept).ok(), Some(value), "{}", body.escape_ascii());
}

/// The value comes back in an answer: as it is, in pieces, and in a field.
fn repeated(redactor: &Redactor, secrets: Option<&Secrets>, cut: u8, value: &str) {
    let secrets = secrets.expect("something is hidden");
    let answer = format!("<p>{value}</p>");
    let (start, end) = answer.as_bytes().split_at(usize::from(cut).min(answer.len()));
    let mut scan = secrets.scan();
    assert!(scan.finds(start) | scan.finds(end), "{value:?}");
    let Ok(field) = HeaderValue::from_str(value) else { return };
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-echo"), field)]);
    assert!(redactor.is_repeated_in(&headers, Some(secrets)), "{value:?}");
}

/// The body as it counts in a key.
fn counted(redactor: &Redactor, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let (url, namespace) = (place(), Namespace::default());
    let request = KeyRequest::new(&Method::POST, &url, headers, &namespace).with_body(body);
    redactor.key_view(&request).request().body.expect("there is one").to_vec()
}

fn place() -> Url {
    Url::parse("https://a.example/").expect("a URL")
}

fn typed(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
}

fn is_named(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn pairs(text: &[u8], without: &[&str]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().filter(|(name, _)| !is_named(name, without)).collect()
}

/// The strings in what is hidden. Of a name that is there twice the last one counts here.
fn hidden(value: &Value, inside: bool, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if inside => found(text),
        Value::Array(items) => items.iter().for_each(|item| hidden(item, inside, found)),
        Value::Object(members) => {
            for (name, value) in members {
                hidden(value, inside || is_named(name, &HIDDEN), found);
            }
        }
        _ => {}
    }
}

fn without_ignored(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_ignored),
        Value::Object(members) => {
            members.retain(|name, _| !is_named(name, &[IGNORED]));
            members.values_mut().for_each(without_ignored);
        }
        _ => {}
    }
}
