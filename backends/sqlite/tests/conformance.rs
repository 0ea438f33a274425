//! The conformance suite over one file, which all cases share.

#[path = "support/shared_file.rs"]
mod shared_file;

fn main() -> std::process::ExitCode {
    cache_conformance::Suite::new("sqlite", shared_file::SharedFile::new()).shared().persistent().run()
}
