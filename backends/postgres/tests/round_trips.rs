//! How often each operation waits for the server, counted by a proxy on the way. Of commits others are told
//! some milliseconds later, for all at once: that is not counted.

use std::time::Duration;

use crate::server::{Server, present};
use cache_api::{
    Body, Change, Committed, FRAME_SIZE, Filter, Namespace, Outcome, Storage, TagDigest, Use, VariantId,
};
use cache_conformance::{
    proxy::Proxy,
    sample::{entry, inline, key, start, stored},
};
use futures_util::TryStreamExt;

/// No other statement has two arrays of text: channels and payloads.
fn tells_of_commits(message: &[u8]) -> bool {
    const ARRAY_OF_TEXT: [u8; 12] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25];
    let sql = b"unnest($1::text[], $2::text[])";
    message.windows(sql.len()).any(|part| part == sql)
        || message.windows(12).filter(|part| *part == ARRAY_OF_TEXT).count() == 2
}

#[tokio::test]
async fn each_operation_is_one() {
    let postgres = cache_conformance::services::postgres::single();
    if !present(&postgres) {
        return;
    }
    let target = url::Url::parse(postgres.url().unwrap()).unwrap();
    let address = format!("{}:{}", target.host_str().unwrap(), target.port().unwrap_or(5432));
    let proxy = Proxy::to(address).await.unwrap();
    // What is told of commits waits for nobody, and nobody waits for it.
    proxy.pass_over(tells_of_commits);
    let mut through = target.clone();
    through.set_host(Some("127.0.0.1")).unwrap();
    through.set_port(Some(proxy.address().port())).unwrap();
    let namespace = cache_api::BodyId::random().unwrap().to_string();
    let builder = Server::at(Some(through.as_str())).builder().namespace(Namespace::new(&namespace).unwrap());
    // The first time on a connection, a statement is prepared besides: what is told of commits may not make them two.
    let storage = builder.max_connections(1).build().await.unwrap();
    for round in 0..2 {
        let counted = all(&storage, &proxy, round).await;
        if round == 1 {
            for (operation, trips, expected) in counted {
                assert_eq!(trips, expected, "{operation}");
            }
        }
    }
}

async fn all(storage: &dyn Storage, proxy: &Proxy, round: u64) -> Vec<(&'static str, u64, u64)> {
    let now = start() + Duration::from_secs(round);
    let mut counted = Vec::new();
    let mut count = |operation, expected| counted.push((operation, proxy.trips(), expected));
    let tag = TagDigest::of("t");
    let abilities = storage.abilities();
    let _ = proxy.trips();

    let miss = storage.lookup(&key(1), now).await.unwrap();
    count("a lookup of nothing", 1);
    let small = entry(key(1), "head", now).with_tags([tag]);
    let put = Change::Put(inline(vec![1; 1024]).unwrap());
    let committed = storage.commit(miss.ticket(), small.clone(), put, now).await.unwrap();
    count("a small store", 1);
    let hit = storage.lookup(&key(1), now).await.unwrap();
    assert!(matches!(hit.variants()[0].body, Body::Inline(_)));
    count("a small hit", 1);
    let Committed::Stored { version, .. } = committed else { panic!("{committed:?}") };
    storage.commit(hit.ticket(), small, Change::Keep(version), now).await.unwrap();
    count("a head replacement", 1);

    let miss = storage.lookup(&key(2), now).await.unwrap();
    let _ = proxy.trips();
    let body = stored(storage, miss.ticket(), 1, 3 * FRAME_SIZE, now).await.unwrap();
    let id = body.id;
    storage
        .commit(miss.ticket(), entry(key(2), "head", now), Change::Put(Body::Stored(body)), now)
        .await
        .unwrap();
    count("a store of three frames", 4);
    storage.read(&key(2), id, 0..3).await.unwrap();
    count("three frames", 1);

    let used = Use { key: key(1), variant: VariantId::ONLY, at: now };
    abilities.touch.unwrap().touch(&[used, Use { key: key(2), ..used }], now).await.unwrap();
    count("two uses", 1);
    abilities.listing.unwrap().list(&Filter::all(), now).try_collect::<Vec<_>>().await.unwrap();
    count("a page of a listing", 1);
    let leases = abilities.leases.unwrap();
    let acquired = leases.acquire(&key(1), Duration::from_secs(9), now).await.unwrap();
    count("a lease", 1);
    let cache_api::Acquired::Held(lease) = acquired else { panic!("{acquired:?}") };
    leases.release(&lease, Outcome::Done, now).await.unwrap();
    count("a lease given back", 1);
    assert_eq!(abilities.tags.unwrap().purge(&[tag], now).await.unwrap(), 1);
    count("a purge", 1);
    storage.remove(&key(2), None, now).await.unwrap();
    count("a removal", 1);
    counted
}
