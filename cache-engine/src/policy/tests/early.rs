//! Early refresh, and lifetimes that differ.

use super::*;

/// Fresh for 100 seconds, and it took 2 to fetch.
fn slow(response: &str) -> Head {
    let mut head = stored(response);
    head.requested_at = at(-2);
    head
}

#[test]
fn a_response_is_refreshed_early_by_chance() {
    let fresh = "200 | Cache-Control: max-age=102 | ETag: \"a\"";
    let (plain, early) = ("Serve 0 Full Fresh", "ServeEarly 0 Full Fresh inm=\"a\"");
    let e = std::f64::consts::E;
    let table = [
        // Early by the duration of the fetch, times beta, times -ln(chance): 2 seconds at 1/e.
        (Some(1.0), Some(1.0 / e), "GET", 97, plain),
        (Some(1.0), Some(1.0 / e), "GET", 99, early),
        (Some(1.0), Some(1.0 / e.powi(10)), "GET", 79, plain),
        (Some(1.0), Some(1.0 / e.powi(10)), "GET", 81, early),
        (Some(5.0), Some(1.0 / e), "GET", 89, plain),
        (Some(5.0), Some(1.0 / e), "GET", 91, early),
        (Some(1.0), Some(1.0), "GET", 99, plain),
        (Some(0.0), Some(0.0), "GET", 99, plain),
        (Some(-1.0), Some(0.0), "GET", 99, plain),
        (Some(1.0), Some(0.0), "GET", 99, early),
        (Some(1.0), None, "GET", 99, plain),
        (None, Some(0.0), "GET", 99, plain),
        // Not where the caller forbids asking; whatever of it the caller wants, the whole is refreshed.
        (Some(1.0), Some(0.0), "GET | Cache-Control: only-if-cached", 99, plain),
        (Some(1.0), Some(0.0), "GET | Range: bytes=0-1", 99, "ServeEarly 0 0-1 Fresh inm=\"a\""),
    ];
    for (beta, chance, request, now, expected) in table {
        let mut asked = req(request);
        asked.chance = chance;
        let options = private().early_refresh(beta);
        assert_eq!(
            decide(&options, &asked, &[slow(fresh)], now),
            expected,
            "{request} {beta:?} {chance:?} at {now}"
        );
    }
    // What is stale, or a part, is what it was without.
    let mut asked = req("GET | Cache-Control: max-stale");
    asked.chance = Some(0.0);
    let options = private().early_refresh(1.0);
    assert_eq!(decide(&options, &asked, &[slow(fresh)], 200), "Serve 0 Full StaleAccepted");
    let part = "206 | Cache-Control: max-age=102 | ETag: \"a\" | Content-Range: bytes 0-9/20";
    let mut asked = req("GET | Range: bytes=0-1");
    asked.chance = Some(0.0);
    assert_eq!(decide(&options, &asked, &[slow(part)], 50), "Serve 0 0-1 Fresh");
}

#[test]
fn jitter_shortens_lifetimes_and_differs_from_entry_to_entry() {
    let lifetimes = |most: f32| -> Vec<u64> {
        let options = private().ttl_jitter(most);
        let of = |n: u64| {
            let mut head = stored("200 | Cache-Control: max-age=1000");
            head.url = format!("https://a.example/{n}").into();
            let freshness = Freshness::of(&head, &options);
            assert_eq!(freshness, Freshness::of(&head.clone(), &options), "the same for all who read it");
            freshness.lifetime.as_secs()
        };
        (0..200).map(of).collect()
    };
    assert!(lifetimes(0.0).iter().all(|lifetime| *lifetime == 1000));
    for (most, least) in [(0.2, 800), (1.0, 0)] {
        let mut lifetimes = lifetimes(most);
        assert!(lifetimes.iter().all(|lifetime| (least..=1000).contains(lifetime)), "{lifetimes:?}");
        lifetimes.sort_unstable();
        lifetimes.dedup();
        assert!(lifetimes.len() > 50, "{lifetimes:?}");
    }
    for nonsense in [f32::NAN, -1.0, f32::NEG_INFINITY] {
        assert!(lifetimes(nonsense).iter().all(|lifetime| *lifetime == 1000));
    }
    let mut options = private();
    options.ttl_jitter = f32::NAN;
    let head = stored("200 | Cache-Control: max-age=1000");
    assert_eq!(Freshness::of(&head, &options).lifetime, secs(1000));
}
