//! A storage that keeps its bodies in this process is found out by the memory it takes.

use std::sync::Arc;

use cache_api::{Limits, Namespace};
use cache_backend_memory::MemoryStorage;
use cache_conformance::{Opened, Subject, Suite};
use libtest_mimic::{Arguments, Trial};

struct Held;

#[async_trait::async_trait]
impl Subject for Held {
    async fn open(&self, namespace: &Namespace, limits: Limits) -> Opened {
        Ok(Arc::new(MemoryStorage::builder().namespace(namespace.clone()).limits(limits).build()?))
    }
}

fn main() -> std::process::ExitCode {
    let suite = || Suite::new("held", Held).bodies_outside();
    // The case runs this program once more, to measure it.
    if std::env::var_os("CONFORMANCE_MEASURES").is_some() {
        return suite().run();
    }
    let found_out = move || {
        let report = suite().run_quiet(|case| case == "memory::fifty_mib");
        match report.failed.as_slice() {
            [(_, failure)] if failure.message().contains("expected memory to grow by less") => Ok(()),
            _ if !report.left_out.is_empty() => Ok(()),
            _ => Err(report.to_string().into()),
        }
    };
    libtest_mimic::run(&Arguments::from_args(), vec![Trial::test("bodies_in_this_process_fail", found_out)])
        .exit_code()
}
