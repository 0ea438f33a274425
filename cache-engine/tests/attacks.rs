//! What hostile callers and origins do to a cache that others share.

use std::sync::Arc;

use crate::support::{Bench, Origin, Reply, get, memory, with_field};
use cache_api::{DefaultKey, MAX_VARIANTS};
use cache_engine::{
    Source,
    policy::{Mode, Options},
};
use http::HeaderName;

/// An origin that reflects a field which it does not name in `Vary`.
fn reflecting() -> Origin {
    Origin::new(|_, request| async move {
        let host = request.headers.get("x-forwarded-host").map_or("own", |host| host.to_str().unwrap());
        Ok(Reply::new(200, &[("cache-control", "max-age=60")], host.to_owned()))
    })
}

fn shared(builder: cache_engine::EngineBuilder) -> cache_engine::EngineBuilder {
    builder.options(Options::new().mode(Mode::Shared))
}

#[tokio::test]
async fn a_field_in_the_key_poisons_nobody_elses_answer() {
    let field = HeaderName::from_static("x-forwarded-host");
    let key = Arc::new(DefaultKey::new().with_headers([field]));
    let bench = Bench::with(reflecting(), memory(), |builder| shared(builder).key(key));
    for (host, expected) in [(Some("evil"), "evil"), (None, "own"), (Some("evil"), "evil"), (Some(""), "")] {
        let request = match host {
            Some(host) => with_field(get(), "x-forwarded-host", host),
            None => get(),
        };
        assert_eq!(bench.send(request).await.text(), expected, "{host:?}");
    }
    assert_eq!(bench.origin.requests(), 3);
}

#[tokio::test]
async fn variants_of_one_resource_are_bounded() {
    let origin = Origin::new(|nth, _| async move {
        Ok(Reply::new(200, &[("cache-control", "max-age=60"), ("vary", "x-a")], nth.to_string()))
    });
    let storage = memory();
    let bench = Bench::with(origin, Arc::clone(&storage), shared);
    let of = |number: usize| with_field(get(), "x-a", &number.to_string());
    let mut key = None;
    for number in 0..3 * MAX_VARIANTS {
        key = bench.send(of(number)).await.info.key;
    }
    let found = storage.lookup(&key.unwrap(), bench.now()).await.unwrap();
    assert_eq!(found.variants().len(), MAX_VARIANTS);
    // The newest are there, and the oldest gave way.
    assert_eq!(bench.send(of(3 * MAX_VARIANTS - 1)).await.info.source, Source::Store);
    assert_eq!(bench.send(of(0)).await.info.source, Source::Origin);
}

/// Names and values that mean something to a log, a header line or a store are values like others.
#[tokio::test]
async fn hostile_values_come_back_as_they_were() {
    let hostile = "'; DROP TABLE entry;-- ${jndi:ldap://x} ../../etc/passwd %0d%0aX: 1 {} \"\\ *";
    let origin = Origin::new(move |_, _| async move {
        let fields =
            [("cache-control", "max-age=60"), ("x-a", hostile), ("cache-tag", hostile), ("etag", hostile)];
        Ok(Reply::new(200, &fields, hostile))
    });
    let bench = Bench::with(origin, memory(), shared);
    for source in [Source::Origin, Source::Store] {
        let got = bench.send(with_field(get(), "x-b", hostile)).await;
        assert_eq!((got.info.source, got.text()), (source, hostile));
        assert_eq!(
            (&got.headers["x-a"], &got.headers["etag"]),
            (&hostile.parse().unwrap(), &hostile.parse().unwrap())
        );
    }
}
