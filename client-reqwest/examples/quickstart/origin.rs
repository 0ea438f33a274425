//! A small real origin, with one resource for each way in which a cache can treat it.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;

/// The name by which the client knows the origin.
pub(crate) const HOST: &str = "quickstart.test";

/// What is fetched: a URL, and an `Accept-Language`.
pub(crate) fn requests() -> Vec<(String, Option<&'static str>)> {
    [
        ("/fresh", None),
        ("/validated", None),
        ("/greeting", Some("de")),
        ("/greeting", Some("fr")),
        ("/says-nothing", None),
        ("/moved", None),
        ("/secret", None),
    ]
    .map(|(path, language)| (format!("http://{HOST}{path}"), language))
    .into()
}

/// Starts the origin on a free port of loopback.
pub(crate) async fn start() -> std::io::Result<SocketAddr> {
    let app = Router::new()
        .route("/fresh", get(async || answer(200, &[("cache-control", "max-age=86400")], "fresh for a day")))
        .route("/validated", get(validated))
        .route("/greeting", get(greeting))
        .route("/says-nothing", get(async || answer(200, &[], "no word on freshness")))
        .route(
            "/moved",
            get(async || answer(301, &[("cache-control", "max-age=86400"), ("location", "/fresh")], "")),
        )
        .route("/secret", get(async || answer(200, &[("cache-control", "no-store")], "not to be kept")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(addr)
}

/// Stale at once, and cheap to validate.
async fn validated(request: Request) -> Response {
    let fields = [("cache-control", "max-age=0"), ("etag", "\"v1\"")];
    match request.headers().get("if-none-match") {
        Some(etag) if etag == "\"v1\"" => answer(304, &fields, ""),
        _ => answer(200, &fields, "version 1"),
    }
}

/// Differs by language, and says so.
async fn greeting(request: Request) -> Response {
    let german = request.headers().get("accept-language").is_some_and(|language| language == "de");
    let fields = [("cache-control", "max-age=86400"), ("vary", "accept-language")];
    answer(200, &fields, if german { "Guten Tag" } else { "Bonjour" })
}

fn answer(status: u16, fields: &[(&str, &str)], body: &'static str) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body)).unwrap_or_default()
}
