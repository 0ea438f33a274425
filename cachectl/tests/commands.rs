//! Each command, over each kind of storage that is built in.

use crate::support::{self, big, cachectl, command, fill, json, listed, origin, storages, succeeds};

const PATHS: [&str; 7] = ["/a/1", "/a/2", "/big", "/expired", "/stale", "/tagged", "/vary"];

async fn each(test: impl Fn(&str, &str)) {
    for (_directory, storage) in storages() {
        let origin = origin().await;
        fill(&storage, &origin, &PATHS).await;
        tokio::task::block_in_place(|| test(&storage, &origin));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ls_filters_and_limits() {
    each(|storage, origin| {
        assert_eq!(listed(storage, &[]), PATHS);
        assert_eq!(listed(storage, &["--state", "expired"]), ["/expired"]);
        assert_eq!(listed(storage, &["--state", "expired,stale"]), ["/expired", "/stale"]);
        assert_eq!(listed(storage, &["--pattern", "127.0.0.1/a/*"]), ["/a/1", "/a/2"]);
        assert_eq!(listed(storage, &["--tag", "news"]), ["/tagged"]);
        assert_eq!(listed(storage, &["--tag", "news", "--state", "stale"]), [""; 0]);
        assert_eq!(listed(storage, &["--older-than", "1h"]), [""; 0]);
        assert_eq!(listed(storage, &["--older-than", "0s"]), PATHS);
        assert_eq!(listed(storage, &["--limit", "3"]).len(), 3);

        let rows = succeeds(&["-s", storage, "ls"]);
        assert_eq!(rows.lines().count(), PATHS.len() + 1, "{rows}");
        assert!(
            rows.starts_with("STATE")
                && rows.contains("683.59 KiB")
                && rows.contains(&format!("{origin}/big")),
            "{rows}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_of_an_entry() {
    each(|storage, origin| {
        let entry = &json(&["-s", storage, "ls", "--json", "--pattern", "*/big"])[0];
        assert_eq!(entry["url"], format!("{origin}/big"));
        assert_eq!(
            (&entry["method"], &entry["status"], &entry["state"]),
            (&"GET".into(), &200.into(), &"fresh".into())
        );
        assert_eq!((&entry["bytes"], &entry["damage"]), (&700_000.into(), &serde_json::Value::Null));
        assert!((3500..=3600).contains(&entry["ttl_seconds"].as_i64().unwrap()), "{entry}");
        for time in ["stored_at", "confirmed_at", "fresh_until", "dead_at"] {
            let text = entry[time].as_str().unwrap();
            assert!(text.ends_with('Z') && text.contains('T'), "{time}: {text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_what_is_stored_and_what_a_request_would_meet() {
    each(|storage, origin| {
        let shown = succeeds(&["-s", storage, "show", &format!("{origin}/a/1#fragment")]);
        for part in [
            "GET 200 fresh, 12 B",
            "lifetime 1h by max-age",
            "cache-control: public, max-age=3600",
            "served from the store",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let shown =
            succeeds(&["-s", storage, "show", &format!("{origin}/vary"), "-H", "accept-language: de"]);
        assert!(
            shown.contains("selected by accept-language") && shown.contains("asked of the origin"),
            "{shown}"
        );

        let object = &json(&["-s", storage, "show", "--json", &format!("{origin}/expired")])[0];
        assert_eq!(object["entries"][0]["state"], "expired");
        assert_eq!(object["explanation"][0], "asked of the origin, with conditions");

        let ran = cachectl(&["-s", storage, "show", &format!("{origin}/nothing")]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stdout.starts_with("nothing is stored of this URL"), "{ran:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_shown_where_the_storage_counts() {
    for (_directory, storage) in storages() {
        let origin = origin().await;
        fill(&storage, &origin, &["/a/1", "/a/1", "/a/1"]).await;
        let counted = storage.starts_with("sqlite:");
        let hits = if counted { serde_json::json!(2) } else { serde_json::Value::Null };
        assert_eq!(json(&["-s", &storage, "ls", "--json"])[0]["hits"], hits);
        assert_eq!(json(&["-s", &storage, "stats", "--json"])[0]["hits"], hits);
        let rows = succeeds(&["-s", &storage, "ls"]);
        let row: Vec<_> = rows.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row[row.len() - 2], if counted { "2" } else { "-" }, "{rows}");
        let shown = succeeds(&["-s", &storage, "show", &format!("{origin}/a/1")]);
        let said =
            if counted { "served from the cache 2 times" } else { "how often it was served is unknown" };
        assert!(shown.contains(said), "{shown}");
        assert_eq!(succeeds(&["-s", &storage, "stats"]).contains("served from the cache 2 times"), counted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_fields_are_shown_only_if_asked_for() {
    for (_directory, storage) in storages() {
        let origin = origin().await;
        fill(&storage, &origin, &["/cookie"]).await;
        let url = format!("{origin}/cookie");
        for (args, visible) in [(vec![], false), (vec!["--json"], false), (vec!["--show-secrets"], true)] {
            let shown = succeeds(&[&["-s", &storage, "show", &url], &*args].concat());
            assert!(shown.contains("set-cookie"), "{shown}");
            assert_eq!(shown.contains("hunter2"), visible, "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_writes_the_body_and_nothing_else() {
    for (_directory, storage) in storages() {
        let origin = origin().await;
        fill(&storage, &origin, &["/big", "/vary de", "/vary fr"]).await;
        let output = command(&["-s", &storage, "get", &format!("{origin}/big")]).output().unwrap();
        assert!(output.status.success() && output.stdout == big());

        let vary = format!("{origin}/vary");
        let ran = cachectl(&["-s", &storage, "get", &vary]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("2 variants are stored") && ran.stdout.is_empty(), "{ran:?}");
        assert_eq!(succeeds(&["-s", &storage, "get", &vary, "--variant", "2"]), "body of /vary");
        assert_eq!(cachectl(&["-s", &storage, "get", &vary, "--variant", "3"]).code, Some(2));
        let whole = succeeds(&["-s", &storage, "get", "--include", &vary, "--variant", "1"]);
        assert!(
            whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\nbody of /vary"),
            "{whole}"
        );

        let ran = cachectl(&["-s", &storage, "get", &format!("{origin}/nothing")]);
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_by_each_condition() {
    let (a, big) = ("127.0.0.1/a/*", "127.0.0.1/big");
    for (args, left) in [
        (vec!["--pattern", a], vec!["/big", "/expired", "/stale", "/tagged", "/vary"]),
        (vec!["--tag", "news"], vec!["/a/1", "/a/2", "/big", "/expired", "/stale", "/vary"]),
        (vec!["--state", "stale", "--state", "expired"], vec!["/a/1", "/a/2", "/big", "/tagged", "/vary"]),
        (vec!["--state", "stale", "--pattern", big], PATHS.to_vec()),
        (vec!["--older-than", "1h"], PATHS.to_vec()),
        (vec!["--all"], vec![]),
    ] {
        each(|storage, _| {
            succeeds(&[&["-s", storage, "rm", "--yes"], &*args].concat());
            assert_eq!(listed(storage, &[]), left, "{args:?}");
        })
        .await;
    }
    each(|storage, origin| {
        let (one, two) = (format!("{origin}/a/1"), format!("{origin}/big"));
        let removed = &json(&["-s", storage, "rm", "--yes", "--json", &one, &two])[0];
        assert_eq!((&removed["done"], &removed["dry_run"]), (&2.into(), &false.into()));
        assert_eq!(succeeds(&["-s", storage, "rm", "--yes", &one]), "0 entries removed\n");
        assert_eq!(listed(storage, &[]), ["/a/2", "/expired", "/stale", "/tagged", "/vary"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_destroys_is_tried_and_asked_for_first() {
    each(|storage, _| {
        for destroys in [
            ["rm", "--all"],
            ["rm", "--tag=news"],
            ["rm", "--state=stale"],
            ["purge-expired", "--color=never"],
        ] {
            let dry = [&["-s", storage, "--mode", "private"], &destroys[..], &["--dry-run"]].concat();
            assert!(succeeds(&dry).contains("would be removed"));
            // Without a terminal there is nobody to ask.
            let ran = cachectl(&[&["-s", storage], &destroys[..]].concat());
            assert_eq!((ran.code, &*ran.stdout), (Some(4), ""), "{ran:?}");
            assert!(ran.stderr.contains("Remove ") && ran.stderr.contains("--yes"), "{ran:?}");
            assert_eq!(listed(storage, &[]), PATHS);
        }
        assert_eq!(
            cachectl(&["-s", storage, "rm", "--yes"]).code,
            Some(2),
            "nothing is said of what to remove"
        );
        assert_eq!(cachectl(&["-s", storage, "rm", "--yes", "--all", "--tag", "x"]).code, Some(2));
        assert_eq!(listed(storage, &[]), PATHS);
        // Where nothing would go, there is nothing to ask.
        assert_eq!(succeeds(&["-s", storage, "rm", "--tag", "nothing"]), "0 entries would be removed\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_expired_leaves_what_is_of_use() {
    each(|storage, _| {
        assert!(succeeds(&["-s", storage, "purge-expired", "--yes"]).starts_with("1 entry removed"));
        assert_eq!(listed(storage, &[]), ["/a/1", "/a/2", "/big", "/stale", "/tagged", "/vary"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_count_and_draw() {
    each(|storage, _| {
        let stats = &json(&["-s", storage, "stats", "--json"])[0];
        assert_eq!(stats["states"]["fresh"]["entries"], 5);
        assert_eq!(stats["states"]["stale"]["entries"], 1);
        assert_eq!(stats["states"]["expired"]["entries"], 1);
        assert_eq!(
            (&stats["largest_bytes"], &stats["hosts"][0]["host"]),
            (&700_000.into(), &"127.0.0.1".into())
        );
        for histogram in ["sizes", "ages", "freshness"] {
            let sum: u64 =
                stats[histogram].as_array().unwrap().iter().map(|b| b["entries"].as_u64().unwrap()).sum();
            assert_eq!(sum, 7, "{histogram}");
        }
        let drawn = succeeds(&["-s", storage, "stats"]);
        for part in ["7 entries, 683", "expired", "Fresh for", "256 KiB to 1 MiB        1  ██████▋"]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        let none = succeeds(&["-s", storage, "stats", "--tag", "nothing"]);
        assert!(none.contains("0 entries") && none.contains("none"), "{none}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_reads_everything() {
    each(|storage, _| {
        let said = succeeds(&["-s", storage, "verify"]);
        assert!(said.starts_with("7 entries sound, 0 damaged; 683"), "{said}");
        assert_eq!(json(&["-s", storage, "verify", "--json", "--tag", "news"])[0]["done"], 1);
    })
    .await;
}

#[cfg(feature = "object-store")]
#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_is_damaged_and_get_says_that_it_is_not_whole() {
    let (directory, storage) = storages().pop().unwrap();
    let origin = origin().await;
    fill(&storage, &origin, &["/big", "/a/1"]).await;
    let bodies = directory.path().join("cache/http-cache-1/default/b");
    let (last, bytes) = support::files(&bodies).pop().unwrap();
    std::fs::write(last, &bytes[..bytes.len() / 2]).unwrap();

    let ran = cachectl(&["-s", &storage, "verify"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains(&format!("damaged  {origin}/big")), "{ran:?}");
    assert!(ran.stdout.contains("1 entry sound, 1 damaged"), "{ran:?}");
    let ran = cachectl(&["-s", &storage, "verify", "--json"]);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["url"], &lines[1]["invalid"]), (&format!("{origin}/big").into(), &1.into()));

    let ran = cachectl(&["-s", &storage, "get", &format!("{origin}/big")]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("not the whole body"), "{ran:?}");
}

#[test]
fn completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(succeeds(&["completions", shell]).contains("purge-expired"), "{shell}");
    }
}

#[test]
fn the_help_has_the_exit_codes() {
    let help = succeeds(&["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("130"), "{help}");
}
