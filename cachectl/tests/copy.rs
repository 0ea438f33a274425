//! Copying from one storage into another.

#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;

use crate::support::{self, cachectl, command, fill, json, listed, origin, storages, succeeds};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_whole_and_run_again_copies_nothing() {
    for (_from, source) in storages() {
        let origin = origin().await;
        fill(&source, &origin, &["/a", "/big", "/expired", "/tagged"]).await;
        for (_to, target) in storages() {
            let dry = cachectl(&["copy", &source, &target, "--dry-run"]);
            assert_eq!(dry.code, Some(3), "a dry run creates no target: {dry:?}");

            let said = succeeds(&["copy", &source, &target, "--tag", "news"]);
            assert!(said.starts_with("1 entry copied, "), "{said}");
            let would = &json(&["copy", &source, &target, "--dry-run", "--json"])[0];
            assert_eq!((&would["done"], &would["passed_over"]), (&3.into(), &1.into()));
            assert_eq!(listed(&target, &[]), ["/tagged"]);

            let copied = &json(&["copy", &source, &target, "--json"])[0];
            assert_eq!((&copied["done"], &copied["passed_over"]), (&3.into(), &1.into()));
            assert_eq!(json(&["copy", &source, &target, "--json"])[0]["passed_over"], 4);
            assert_eq!(listed(&target, &[]), listed(&source, &[]));
            let body = command(&["-s", &target, "get", &format!("{origin}/big")]).output().unwrap().stdout;
            assert!(body == support::big());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_into_another_namespace_tells_what_stays_behind() {
    let (_directory, source) = storages().remove(0);
    fill(&source, &origin().await, &["/a", "/vary"]).await;
    let target = format!("{source}?namespace=other");
    let ran = cachectl(&["copy", &source, &target]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("1 entry copied") && ran.stdout.contains("1 stayed behind"), "{ran:?}");
    assert_eq!(listed(&target, &[]), ["/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_killed_is_run_again() {
    let paths: Vec<_> = (0..40).map(|number| format!("/big/{number}")).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let (_from, source) = storages().remove(0);
    let (_to, target) = storages().pop().unwrap();
    fill(&source, &origin().await, &paths).await;
    let mut child =
        command(&["copy", &source, &target, "--at-once", "2"]).stdout(Stdio::null()).spawn().unwrap();
    // Killed as soon as anything is there; the rest holds however far it was.
    while child.try_wait().unwrap().is_none() && cachectl(&["-s", &target, "ls", "--json"]).stdout.is_empty()
    {
    }
    let _ = child.kill();
    child.wait().unwrap();
    let there = listed(&target, &[]).len();
    assert_eq!(cachectl(&["-s", &target, "verify"]).code, Some(0), "half an entry is never seen");

    let copied = &json(&["copy", &source, &target, "--json"])[0];
    assert_eq!(
        (copied["done"].as_u64().unwrap() + there as u64, &copied["passed_over"]),
        (40, &there.into())
    );
    assert_eq!(listed(&target, &[]), listed(&source, &[]));
    assert_eq!(cachectl(&["-s", &target, "verify"]).code, Some(0));
}

#[cfg(all(unix, feature = "object-store"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_interrupted_says_so_and_goes_on() {
    let paths: Vec<_> = (0..60).map(|number| format!("/big/{number}")).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let (_from, source) = storages().remove(0);
    fill(&source, &origin().await, &paths).await;
    // On a machine that is busy elsewhere a copy may be done before it is interrupted: then again, into another target.
    for _ in 0..10 {
        let (directory, target) = storages().pop().unwrap();
        let mut copy = command(&["copy", &source, &target, "--at-once", "1"]);
        let mut child = copy.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let bodies = directory.path().join("cache/http-cache-1/default/b");
        while child.try_wait().unwrap().is_none() && bodies.read_dir().map_or(0, Iterator::count) < 2 {
            std::thread::yield_now();
        }
        let pid = child.id().to_string();
        // It may be gone by now.
        let _ = Command::new("kill").args(["-INT", &pid]).stderr(Stdio::null()).status();
        let output = child.wait_with_output().unwrap();
        if output.status.code() == Some(0) {
            continue;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*output.stdout), (Some(130), &b""[..]), "{said}");
        assert!(said.contains("interrupted after") && said.contains("run the same command"), "{said}");

        assert_eq!(cachectl(&["-s", &target, "verify"]).code, Some(0), "half an entry is never seen");
        let copied = &json(&["copy", &source, &target, "--json"])[0];
        assert!(copied["passed_over"].as_u64() < Some(60), "{copied}");
        assert_eq!(copied["done"].as_u64().unwrap() + copied["passed_over"].as_u64().unwrap(), 60);
        assert_eq!(listed(&target, &[]), listed(&source, &[]));
        return;
    }
    panic!("no copy could be interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_may_change_how_entries_are_encoded() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        keys.path(),
        "# ours\n7 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
    )
    .unwrap();
    let keys = keys.path().to_str().unwrap();
    for (_from, source) in storages() {
        fill(&source, &origin().await, &["/a", "/big"]).await;
        let (_to, target) = storages().pop().unwrap();
        let copied = &json(
            &[
                &["copy", &source, &target, "--to-serializer", "json,zstd,encrypted", "--key-file", keys][..],
                &["--json"],
            ]
            .concat(),
        )[0];
        assert_eq!(copied["done"], 2);

        let encoding = ["--serializer", "json,zstd,encrypted", "--key-file", keys];
        assert_eq!(listed(&target, &encoding), listed(&source, &[]));
        assert_eq!(cachectl(&[&["-s", &target, "verify"][..], &encoding].concat()).code, Some(0));
        let stats = cachectl(&["-s", &target, "stats"]);
        assert!(stats.stdout.contains("invalid        2"), "{stats:?}");
        assert!(stats.stdout.contains("not what --serializer and its keys read"), "{stats:?}");
    }
}
