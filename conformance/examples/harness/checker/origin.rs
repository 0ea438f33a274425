//! An origin whose resources change by chance, and that tells of each body which it is.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};

use super::told::{FIELD, Told};
use crate::harness::serve;

/// How many tags there are; each resource has one.
pub(crate) const TAGS: u64 = 8;

#[derive(Clone)]
pub(crate) struct Origin(Arc<Inner>);

struct Inner {
    answers: AtomicU64,
    /// The version of each variant.
    versions: Mutex<HashMap<(String, String), u64>>,
}

impl Origin {
    pub(crate) async fn start() -> std::io::Result<(Self, SocketAddr)> {
        let origin = Self(Arc::new(Inner { answers: AtomicU64::new(0), versions: Mutex::default() }));
        let app = Router::new().fallback(answer).with_state(origin.clone());
        Ok((origin, serve(app).await?))
    }

    /// How many answers were given, or are being given.
    pub(crate) fn answers(&self) -> u64 {
        self.0.answers.load(Ordering::SeqCst)
    }

    /// Whether it ever gave that version of that variant.
    pub(crate) fn has_issued(&self, told: &Told) -> bool {
        let versions = self.0.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = versions.get(&(told.resource.clone(), told.variant.clone()));
        latest.is_some_and(|latest| told.version <= *latest) && told.serial <= self.answers()
    }

    /// The version of a variant, which one request in four finds changed.
    fn version(&self, resource: &str, variant: &str) -> u64 {
        let mut versions = self.0.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let version = versions.entry((resource.to_owned(), variant.to_owned())).or_insert(0);
        if fastrand::u8(..4) == 0 {
            *version += 1;
        }
        *version
    }
}

/// The tag of a resource. What is counted is never purged.
pub(crate) fn tag_of(resource: &str) -> String {
    if resource.starts_with("census") {
        return "census".to_owned();
    }
    format!("tag-{}", resource.bytes().map(u64::from).sum::<u64>() % TAGS)
}

/// How long the body under an entity tag is, which is strong: the same bytes each time.
fn length(etag: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    etag.hash(&mut hasher);
    let mut chance = fastrand::Rng::with_seed(hasher.finish());
    if chance.u8(..4) == 0 { chance.usize(..900_000) } else { chance.usize(..20_000) }
}

async fn answer(State(origin): State<Origin>, request: Request) -> Response {
    let resource = request.uri().path().trim_start_matches('/').to_owned();
    let field = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let variant = field(request.headers(), header::ACCEPT_LANGUAGE);
    let version = origin.version(&resource, &variant);
    let etag = format!("\"{resource}-{variant}-{version}\"");
    let serial = origin.0.answers.fetch_add(1, Ordering::SeqCst) + 1;
    // What is counted is read again by all; the rest goes stale all the time.
    let fresh = if resource.starts_with("census") { 600 } else { 1 };
    let response = Response::builder()
        .header(header::CACHE_CONTROL, format!("public, max-age={fresh}, stale-while-revalidate=1"))
        .header(header::VARY, "accept-language")
        .header("cache-tag", tag_of(&resource))
        .header(header::ETAG, &etag);
    if field(request.headers(), header::IF_NONE_MATCH).contains(&etag) {
        // It says nothing of when the body was made: that stays as it was told with it.
        return response.status(StatusCode::NOT_MODIFIED).body(Body::empty()).unwrap_or_default();
    }
    // One body in four does not fit into its entry, and some take several frames.
    let len = length(&etag);
    let told = Told { resource, variant, version, len, serial };
    response.header(FIELD, told.to_string()).body(Body::from(told.body())).unwrap_or_default()
}
