//! TLS: an authority of our own, and what does not trust it.

use cache_api::Storage as _;
use cache_backend_redis::RedisStorage;
use cache_conformance::sample::{is_stored, key, put, start};
use cache_conformance::services::{Service, Trials, own, redis::Kind};

pub(crate) fn trials() -> Trials {
    let service = own(&Kind::Tls);
    Trials::new("redis-tls", service.presence()).case("own_authority", move || own_authority(service))
}

async fn own_authority(service: Service) {
    let url = service.url().unwrap();
    let storage = RedisStorage::from_url(url).await.unwrap();
    assert!(is_stored(&put(&storage, key(1), vec![1; 60_000], &[], start()).await.unwrap()));
    assert_eq!(storage.lookup(&key(1), start()).await.unwrap().variants().len(), 1);
    let without = url.split('?').next().unwrap();
    let error = RedisStorage::from_url(without).await.unwrap_err();
    assert!(error.to_string().starts_with("redis: connect: "), "{error}");
    let plain = without.replace("rediss://", "redis://");
    let error = RedisStorage::from_url(&format!("{plain}?timeout=1s")).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let error = RedisStorage::from_url(&format!("{plain}?ca=/nowhere.pem")).await.unwrap_err();
    assert!(error.to_string().contains("rediss://"), "{error}");
    let error = RedisStorage::from_url(&format!("{without}?ca=/nowhere.pem")).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere.pem"), "{error}");
}
