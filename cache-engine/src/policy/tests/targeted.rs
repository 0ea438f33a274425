//! RFC 9213.

use super::*;

#[test]
fn targeted_fields() {
    let cdn = shared().targeted([HeaderName::from_static("cdn-cache-control")]);
    let both = shared().targeted(["example-cache-control", "cdn-cache-control"].map(HeaderName::from_static));
    let off = shared();
    // Options, response, lifetime; `None` where it is not stored.
    let table: &[(&Options, &str, Option<u64>)] = &[
        (&cdn, "CDN-Cache-Control: max-age=60", Some(60)),
        (&cdn, "CDN-Cache-Control: max-age=99999999999", Some(1 << 31)),
        (&cdn, "CDN-Cache-Control: foobar, max-age=60", Some(60)),
        (&cdn, "CDN-Cache-Control: max-age=60 | Cache-Control: no-store", Some(60)),
        (&cdn, "CDN-Cache-Control: max-age=60 | Cache-Control: max-age=5", Some(60)),
        (&cdn, "CDN-Cache-Control: max-age=60 | Expires: 0", Some(60)),
        (&cdn, "CDN-Cache-Control: no-store | Cache-Control: max-age=5", None),
        (&cdn, "CDN-Cache-Control: private | Cache-Control: max-age=5", None),
        (&cdn, "CDN-Cache-Control: max-age=60, &&& | Cache-Control: no-store", None),
        (&cdn, "CDN-Cache-Control: max-age=\"60\" | Cache-Control: no-store", None),
        (&cdn, "CDN-Cache-Control: | Cache-Control: max-age=5", Some(5)),
        (&both, "CDN-Cache-Control: max-age=60 | Example-Cache-Control: max-age=7", Some(7)),
        (&off, "CDN-Cache-Control: max-age=60 | Cache-Control: max-age=5", Some(5)),
    ];
    for (options, response, lifetime) in table {
        let after = exchange(options, &req("GET"), &[], 0, &format!("200 | {response}"));
        assert_eq!(
            after.freshness.map(|freshness| freshness.lifetime.as_secs()),
            *lifetime,
            "{response}: {after:?}"
        );
    }
}
