//! The examples of one file, run: those of several are gates of CI.

use client_reqwest::Source;

#[allow(dead_code, unreachable_pub, reason = "the example is a program of its own")]
#[path = "../examples/choose_backend.rs"]
mod choose_backend;

#[tokio::test]
async fn choose_backend_answers_out_of_the_store() {
    for url in ["memory://", "sqlite::memory:"] {
        let sources = choose_backend::run(url).await.expect("an answer");
        assert_eq!(sources, [Source::Origin, Source::Store], "{url}");
    }
}
