//! The examples, run.

#![allow(dead_code, reason = "an example's own `main` is not called")]

#[path = "../examples/hyper_client.rs"]
mod hyper_client;
#[path = "../examples/tenants.rs"]
mod tenants;

#[tokio::test]
async fn a_client_without_reqwest() {
    let lines = hyper_client::run().await.unwrap();
    let starts = [
        "/fresh: 200 \"answer 1\" from Origin:",
        "/fresh: 200 \"answer 1\" from Store:",
        "/fresh: 200 \"answer 1\" from Revalidated:",
        "/private: 200 \"for you alone\" from Origin:",
        "/never-asked-for: 504 \"\" from Nowhere:",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line} is not {start}");
    }
}

#[tokio::test]
async fn a_cache_for_each_tenant() {
    let lines = tenants::run().await.unwrap();
    let expected = [
        ("GET acme: report for Bearer key-of-acme", "fwd=uri-miss"),
        ("GET umbrella: report for Bearer key-of-umbrella", "fwd=uri-miss"),
        ("GET acme: report for Bearer key-of-acme", "hit"),
        ("DELETE acme: 1 removed", "[-]"),
        ("GET acme: report for Bearer key-of-acme", "fwd=uri-miss"),
        ("GET umbrella: report for Bearer key-of-umbrella", "hit"),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (start, status)) in lines.iter().zip(expected) {
        assert!(line.starts_with(start) && line.contains(status), "{line} is not {start} [{status}]");
    }
}
