//! An absent service is a visible ignore, and a failure where it is required.

use std::process::Command;

use cache_api::{Limits, Namespace};
use cache_conformance::{Opened, Presence, REQUIRE, Subject, Suite};
use libtest_mimic::{Arguments, Trial};

struct Nowhere;

#[async_trait::async_trait]
impl Subject for Nowhere {
    async fn open(&self, _: &Namespace, _: Limits) -> Opened {
        Err("nothing listens on 127.0.0.1:6379".into())
    }
}

fn absent() -> Suite {
    let presence = Presence::absent("no server at 127.0.0.1:6379", "apt-get install redis-server");
    Suite::new("nowhere", Nowhere).presence(presence)
}

fn quiet() -> Arguments {
    Arguments { quiet: true, logfile: Some("/dev/null".to_owned()), ..Arguments::default() }
}

/// Runs one of the tests below in a process of its own, with that list of required backends.
fn passes(test: &str, required: Option<&str>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored"]).env_remove(REQUIRE);
    let output = command.envs(required.map(|list| (REQUIRE, list))).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("running 1 test"), "{test} did not run");
    output.status.success()
}

#[test]
fn absence_is_ignored_unless_required() {
    for (list, required) in [
        (None, false),
        (Some("redis"), false),
        (Some("nowhere"), true),
        (Some("redis,nowhere"), true),
        (Some("all"), true),
    ] {
        assert_eq!(passes("presence::inner_is_ignored", list), !required, "{REQUIRE}={list:?}");
        assert_eq!(passes("presence::inner_fails", list), required, "{REQUIRE}={list:?}");
    }
}

#[test]
#[ignore = "run by `absence_is_ignored_unless_required`"]
fn inner_is_ignored() {
    let trials = absent().trials();
    assert!(trials.len() > 100, "{} trials", trials.len());
    assert!(trials.iter().all(Trial::has_ignored_flag));
    let conclusion = libtest_mimic::run(&quiet(), trials);
    assert_eq!((conclusion.num_passed, conclusion.num_failed), (0, 0));
}

#[test]
#[ignore = "run by `absence_is_ignored_unless_required`"]
fn inner_fails() {
    let trials = absent().trials();
    let count = trials.len() as u64;
    assert_eq!(libtest_mimic::run(&quiet(), trials).num_failed, count);
}

/// Whoever runs the ignored ones hears why they cannot.
#[test]
fn an_ignored_trial_fails_if_run() {
    let arguments = Arguments { include_ignored: true, ..quiet() };
    assert_eq!(libtest_mimic::run(&arguments, absent().trials()).num_passed, 0);
}

/// A service that was there when the trials were listed and then does not open fails them.
#[test]
fn one_that_does_not_open_fails() {
    let report = Suite::new("nowhere", Nowhere).run_quiet(|case| case.starts_with("contract::"));
    assert!(report.passed.is_empty(), "{report}");
    assert!(report.failed.iter().all(|(_, why)| why.message().contains("127.0.0.1:6379")), "{report}");
}

#[test]
fn names_are_backend_group_and_case() {
    let names: Vec<_> = absent().trials().iter().map(|trial| trial.name().to_owned()).collect();
    for name in [
        "nowhere::round_trip::empty",
        "nowhere::races::removal_during_commit",
        "nowhere::expiry::parts_apart",
    ] {
        assert!(names.iter().any(|known| known == name), "no trial {name}");
    }
    // What the subject was not said to offer is not listed.
    assert!(!names.iter().any(|name| name.contains("two_handles") || name.contains("garbage")));
}
