use std::{future::Future, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

use crate::{Presence, REQUIRE, presence::is_required};

/// Tests of one backend beside the suite, that need its service: where that is absent they are ignored, or
/// fail where `CONFORMANCE_REQUIRE` names the backend.
#[derive(Debug)]
#[must_use]
pub struct Trials {
    backend: String,
    presence: Presence,
    trials: Vec<Trial>,
}

impl Trials {
    /// None yet.
    pub fn new(backend: impl Into<String>, presence: Presence) -> Self {
        Self { backend: backend.into(), presence, trials: Vec::new() }
    }

    /// One more, in a runtime of its own. It fails by panicking.
    pub fn case<F, Fut>(mut self, name: &str, run: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()>,
    {
        let name = format!("{}::{name}", self.backend);
        self.trials.push(match &self.presence {
            Presence::Absent { reason, remedy } => {
                let required = is_required(std::env::var(REQUIRE).ok().as_deref(), &self.backend);
                let message = format!("{reason}; {remedy}");
                Trial::test(name, move || Err(message.into())).with_ignored_flag(!required)
            }
            Presence::Here => Trial::test(name, move || {
                let mut runtime = tokio::runtime::Builder::new_multi_thread();
                runtime.worker_threads(2).enable_all().build()?.block_on(run());
                Ok(())
            }),
        });
        self
    }

    /// These, and those of another backend.
    pub fn and(mut self, other: Self) -> Self {
        self.trials.extend(other.trials);
        self
    }

    /// Runs them as this process's test harness, whose arguments are libtest's.
    #[must_use]
    pub fn run(self) -> ExitCode {
        libtest_mimic::run(&Arguments::from_args(), self.trials).exit_code()
    }
}
