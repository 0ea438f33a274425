//! The conformance suite over one file, which all cases share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/shared_file.rs"]
mod shared_file;

fn main() -> std::process::ExitCode {
    let suite = cache_conformance::Suite::new("sqlite", shared_file::SharedFile::new());
    suite.shared().persistent().bodies_outside().run()
}
