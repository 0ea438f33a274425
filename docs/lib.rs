//! Compiles the Rust examples of the guide and of the workspace's README, as doctests of this crate.
//!
//! `tests/pages.rs` sees to it that no page is left out.

#[cfg(doctest)]
macro_rules! pages {
    ($($name:ident: $page:literal,)*) => {
        $(#[doc = include_str!($page)] mod $name {})*
    };
}

#[cfg(doctest)]
pages! {
    workspace: "../README.md",
    concepts: "src/concepts.md",
    backends: "src/backends.md",
    replicas: "src/replicas.md",
    keys: "src/keys.md",
    requests: "src/requests.md",
    storage: "src/storage.md",
    conformance: "src/conformance.md",
    operating: "src/operating/README.md",
    security: "src/security.md",
    troubleshooting: "src/troubleshooting.md",
    ttl_mode: "src/migration/ttl-mode.md",
    requests_cache: "src/migration/requests-cache.md",
    aiohttp_client_cache: "src/migration/aiohttp-client-cache.md",
    niquests_cache: "src/migration/niquests-cache.md",
    httpx_cache: "src/migration/httpx-cache.md",
    cachecontrol: "src/migration/cachecontrol.md",
    hishel: "src/migration/hishel.md",
    http_cache: "src/migration/http-cache.md",
    undici: "src/migration/undici.md",
    keyv: "src/migration/keyv.md",
}
