//! What a redactor names leaves no trace in the store, whatever the engine stores of requests and answers.

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use bytes::Bytes;
use cache_api::{FRAME_SIZE, Redactor, RequestPart, Storage};
use cache_engine::{
    Answer, Engine, EngineBuilder, Network, Request, WireBody, WireHead,
    policy::{Mode, Options},
};
use futures_util::{StreamExt, stream};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use url::Url;

use super::secrecy::Trace;
use crate::{
    bench::Bench,
    case::cases,
    clock::Clock,
    failure::{Failure, Outcome, ensure, ensure_eq},
};

cases!["redaction"; no_trace_is_left [Dumped]];

/// The field by which the origin is told what to answer; it does not count.
const SAY: HeaderName = HeaderName::from_static("x-say");
const TOKEN: HeaderName = HeaderName::from_static("x-token");

async fn no_trace_is_left(bench: Bench) -> Outcome {
    let secrets = run(&bench, "", Redactor::new()).await?;
    let dump = bench.dump("").await?;
    for trace in secrets.iter().filter(|trace| trace.kept) {
        let what = trace.what;
        ensure!(
            trace.lies_in(&dump),
            "{what} is not in the dump of a store without redaction: it proves nothing"
        );
    }
    let redactor = Redactor::one_account().hide(RequestPart::Headers, ["x-token", "x-say"]);
    let secrets = run(&bench, "-redacted", redactor).await?;
    let dump = bench.dump("-redacted").await?;
    for trace in secrets {
        ensure!(!trace.lies_in(&dump), "{} lies in the store", trace.what);
    }
    Ok(())
}

/// Asks with secrets in each part of a request, of an origin that says them again in each part of an answer; returns what
/// was secret.
async fn run(bench: &Bench, suffix: &str, redactor: Redactor) -> Outcome<Vec<Trace>> {
    let redacts = !redactor.is_empty();
    let storage = bench.open_with(suffix, cache_api::Limits::default()).await?.storage;
    let here: String = storage.namespace().as_str().chars().filter(char::is_ascii_alphanumeric).collect();
    let secret = |of: &str| format!("{of}Of{here}");
    let engine = engine(bench, storage, redactor);
    let ask = |method: Method, path: &str, say: Say, token: &str| -> Outcome<Request<Bytes>> {
        let url = format!("https://origin.example/{path}");
        let mut request = Request::new(method, Url::parse(&url).map_err(|e| Failure::of(&e))?);
        request.headers.insert(SAY, HeaderValue::from_static(say.name()));
        request.headers.insert(TOKEN, HeaderValue::from_str(token).map_err(|e| Failure::of(&e))?);
        Ok(request)
    };
    let mut traces = Vec::new();

    // Stored with and without redaction, and served again: what is named is left out of URL and fields.
    let [query, field] = ["query", "field"].map(secret);
    for token in ["one", "other"] {
        let mut request =
            ask(Method::GET, &format!("plain?q=1&token={query}&sig={query}"), Say::Nothing, token)?;
        request.headers.insert(header::AUTHORIZATION, text(&field)?);
        request.tags.push(field.as_str().into());
        answer(&engine, request).await?;
    }
    let request = ask(Method::GET, "plain?q=1", Say::Nothing, "third")?;
    ensure_eq!(
        answer(&engine, request).await?,
        redacts,
        "an answer that is shared where the token does not count"
    );
    traces.push(Trace::kept("a parameter", query));
    traces.push(Trace::gone("a request's field, or a tag", field));

    // Said again by the origin: where nothing is redacted all of it is stored.
    for (what, say) in [
        ("a value said in a field of another name", Say::Field),
        ("a value said in a field of the same name", Say::Named),
        ("a value said in Location", Say::Location),
        ("a value that names a tag", Say::Tag),
        ("a value said in Vary's field", Say::Vary),
        ("a value said in a body", Say::Body),
        ("a value said at the end of a large body", Say::LargeBody),
    ] {
        let value = secret(say.name());
        answer(&engine, ask(Method::GET, &format!("{}?q=1", say.name()), say, &value)?).await?;
        traces.push(Trace::kept(what, value));
    }
    for (what, content_type, body) in [
        ("a field of a form", "application/x-www-form-urlencoded", "a=b&password={}"),
        ("a member of a JSON body", "application/json", r#"{"a":[{"client_secret":"{}"}]}"#),
    ] {
        let value = secret(if content_type.ends_with("json") { "json" } else { "form" });
        let mut request = ask(Method::POST, "echo", Say::RequestBody, "any")?;
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        answer(&engine, request.with_body(body.replace("{}", &value).into())).await?;
        traces.push(Trace::kept(what, value));
    }
    Ok(traces)
}

fn text(value: &str) -> Outcome<HeaderValue> {
    HeaderValue::from_str(value).map_err(|e| Failure::of(&e))
}

fn engine(bench: &Bench, storage: Arc<dyn Storage>, redactor: Redactor) -> Engine<Origin> {
    let methods = [Method::GET, Method::POST];
    let options = Options::new().mode(Mode::Private).methods(methods).redactor(redactor);
    let clock = Arc::new(BenchClock(bench.clock().clone()));
    EngineBuilder::new().storage(storage).clock(clock).options(options).build(Origin)
}

/// Reads an answer to its end, and says whether it came out of the store.
async fn answer(engine: &Engine<Origin>, request: Request<Bytes>) -> Outcome<bool> {
    let url = request.url.clone();
    let answered = engine.handle(request).await.map_err(|e| Failure::of(&e).while_doing(&url))?;
    let hit = answered.info.is_hit();
    match answered.answer {
        Answer::Wire(_) => {}
        Answer::Cached(response) => {
            let mut body = response.into_body();
            while let Some(frame) =
                std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx))
                    .await
            {
                frame.map_err(|e| Failure::of(&e).while_doing(&url))?;
            }
        }
    }
    Ok(hit)
}

#[derive(Debug)]
struct BenchClock(Clock);

impl cache_engine::Clock for BenchClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

/// What the origin says of what it was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    Nothing,
    Field,
    Named,
    Location,
    Tag,
    Vary,
    Body,
    LargeBody,
    RequestBody,
}

impl Say {
    const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Field,
        Self::Named,
        Self::Location,
        Self::Tag,
        Self::Vary,
        Self::Body,
        Self::LargeBody,
        Self::RequestBody,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Field => "field",
            Self::Named => "named",
            Self::Location => "location",
            Self::Tag => "tag",
            Self::Vary => "vary",
            Self::Body => "body",
            Self::LargeBody => "large-body",
            Self::RequestBody => "request-body",
        }
    }
}

/// An origin that repeats what it is told.
struct Origin;

struct Reply {
    headers: HeaderMap,
    body: Vec<Bytes>,
}

impl Network for Origin {
    type Body = Bytes;
    type Response = Reply;
    type Error = Infallible;

    async fn send(&self, request: Request<Bytes>) -> Result<Reply, Infallible> {
        let told = request.headers.get(TOKEN).cloned().unwrap_or_else(|| HeaderValue::from_static(""));
        let said = request.headers.get(SAY);
        let say = Say::ALL.into_iter().find(|say| said.is_some_and(|said| said == say.name()));
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
        let mut body = vec![Bytes::from_static(b"an answer")];
        let name = match say {
            Some(Say::Field) => Some(HeaderName::from_static("x-echo")),
            Some(Say::Named) => Some(TOKEN),
            Some(Say::Location) => Some(header::LOCATION),
            Some(Say::Tag) => Some(HeaderName::from_static("cache-tag")),
            _ => None,
        };
        if let Some(name) = name {
            headers.insert(name, told.clone());
        }
        match say {
            Some(Say::Vary) => {
                headers.insert(header::VARY, HeaderValue::from(TOKEN));
                body.push(Bytes::copy_from_slice(told.as_bytes()));
            }
            Some(Say::Body) => body.push(Bytes::copy_from_slice(told.as_bytes())),
            Some(Say::LargeBody) => {
                body.extend((0..3).map(|_| Bytes::from(vec![b'.'; FRAME_SIZE])));
                let (first, last) = told.as_bytes().split_at(told.len() / 2);
                body.extend([first, last].map(Bytes::copy_from_slice));
            }
            Some(Say::RequestBody) => body.extend(request.body),
            _ => {}
        }
        Ok(Reply { headers, body })
    }

    fn body_bytes(body: &Bytes) -> Option<&[u8]> {
        Some(body)
    }

    fn clone_body(body: &Bytes) -> Option<Bytes> {
        Some(body.clone())
    }

    fn head(response: &Reply) -> WireHead<'_> {
        WireHead { status: StatusCode::OK, version: Version::HTTP_11, headers: &response.headers }
    }

    fn into_parts(response: Reply) -> (Extensions, WireBody<Infallible>) {
        (Extensions::new(), stream::iter(response.body.into_iter().map(Ok)).boxed())
    }
}
