//! What the program says to what it cannot use, and that it destroys nothing.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::support::{cachectl, command, files, fill, origin, storages};

/// What only looks; each is given what it needs beside the storage.
const LOOKS: [&[&str]; 7] = [
    &["ls"],
    &["stats"],
    &["verify"],
    &["show", "http://a.test/"],
    &["get", "http://a.test/"],
    &["rm", "--all", "--yes"],
    &["purge-expired", "--yes"],
];

#[track_caller]
fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let ran = cachectl(args);
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    assert_eq!(ran.stdout, "", "{args:?}");
    for part in parts {
        assert!(ran.stderr.contains(part), "{args:?}: {part} is not in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn wrong_urls_are_usage() {
    for (url, parts) in [
        ("cache.sqlite", &["begins with its scheme"][..]),
        ("mysql://user:hunter2@host", &["unknown storage scheme `mysql`", "`redis`"]),
        ("sqlite://", &["names no file"]),
        ("sqlite://x?ttl=1", &["\"ttl\"", "known are"]),
        ("sqlite://x?max_size=much", &["max_size is no size"]),
        ("file://relative", &["names no directory"]),
    ] {
        if url.starts_with("sqlite") && cfg!(not(feature = "sqlite"))
            || url.starts_with("file") && cfg!(not(feature = "object-store"))
        {
            continue;
        }
        refused(&["ls", "--storage", url], 2, parts);
        refused(&["copy", url, "memory://"], 2, parts);
    }
    refused(&["ls"], 2, &["no storage is named", "CACHECTL_STORAGE"]);
    refused(&["ls", "--storage", ""], 2, &["no storage is named"]);
}

#[cfg(not(feature = "redis"))]
#[test]
#[ignore = "tests of the workspace turn the library's feature on: `scripts/gate without` runs it by itself"]
fn a_scheme_whose_feature_is_off_names_it() {
    refused(&["ls", "-s", "redis://user:hunter2@host"], 2, &["the Cargo feature `redis`", "is off"]);
}

#[test]
fn the_variable_names_the_storage_and_is_not_shown() {
    let output = command(&["ls"]).env("CACHECTL_STORAGE", "mysql://user:hunter2@host").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
    let output = command(&["--help"]).env("CACHECTL_STORAGE", "mysql://user:hunter2@host").output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[test]
fn keys_that_cannot_be_used_are_usage_and_are_not_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let keyed = ["-s", "sqlite://x", "ls", "--serializer", "encrypted"];
    refused(&keyed, 2, &["no keys", "--key-file", "CACHECTL_KEYS"]);
    for (text, part) in [
        ("", "there is no key in"),
        ("hunter2", "line 1 of"),
        ("\n1 hunter2", "line 2 of"),
        ("1 00112233445566778899aabbccddeeff00112233445566778899aabbcchunter2", "line 1 of"),
    ] {
        fs::write(path, text).unwrap();
        refused(&[&keyed[..], &["--key-file", path]].concat(), 2, &[part, path]);
        let output = command(&keyed).env("CACHECTL_KEYS", text).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part) && said.contains("CACHECTL_KEYS") && !said.contains("hunter2"), "{said}");
    }
    refused(&[&keyed[..], &["--key-file", "/nowhere/keys"]].concat(), 2, &["/nowhere/keys cannot be read"]);
    refused(&["-s", "sqlite://x", "ls", "--serializer", "zstd,json"], 2, &["comes first"]);
    refused(&["-s", "sqlite://x", "ls", "--serializer", "pickle"], 2, &["pickle", "cbor"]);
}

#[test]
fn wrong_arguments_are_usage() {
    for args in [
        &["nonsense"][..],
        &["ls", "--state", "rotten"],
        &["ls", "--older-than", "soon"],
        &["ls", "--pattern", "a["],
        &["ls", "--limit", "-1"],
        &["show", "no-url"],
        &["show", "data:text/plain,a"],
        &["copy", "memory://", "memory://"],
        &["serve"],
    ] {
        assert_eq!(cachectl(&[&["-s", "sqlite://x"], args].concat()).code, Some(2), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_none_is_not_shown() {
    let (_directory, storage) = storages().remove(0);
    fill(&storage, &origin().await, &["/a"]).await;
    for field in ["authorization hunter2", "authorization: \u{1}hunter2", "a b: hunter2"] {
        refused(&["-s", &storage, "show", "http://a.test/", "-H", field], 2, &["--header"]);
    }
}

#[test]
fn looking_creates_nothing() {
    for (directory, storage) in storages() {
        for look in LOOKS {
            refused(&[&["-s", &storage], look].concat(), 3, &["is not there"]);
        }
        refused(&["copy", &storage, "memory://"], 3, &["is not there"]);
        assert_eq!(files(directory.path()), []);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_not_there_is_not_created() {
    for (_directory, storage) in storages() {
        fill(&storage, &origin().await, &["/a"]).await;
        refused(&["-s", &format!("{storage}?namespace=other"), "ls"], 3, &["other"]);
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_program_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs");
    let storage = format!("sqlite://{}", path.display());

    // A database with tables that is marked as nobody's.
    fill(&storage, &origin().await, &["/a"]).await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[68..72].fill(0);
    let notes = b"Dear diary, today I wrote no database. ".repeat(100);
    let source = format!("sqlite://{}", directory.path().join("ours").display());
    fill(&source, &origin().await, &["/a"]).await;
    let contents: [(&[u8], &str); 3] = [
        (&bytes, "another application"),
        (&notes, "not an SQLite database"),
        (b"", "there is no cache in it"),
    ];
    for (bytes, part) in contents {
        fs::write(&path, bytes).unwrap();
        for look in LOOKS {
            refused(&[&["-s", &storage], look].concat(), 3, &["theirs", part]);
        }
        if !bytes.is_empty() {
            refused(&["copy", &source, &storage], 3, &[part]);
            refused(
                &["serve", "-s", &storage, "--listen", "127.0.0.1:0", "--upstream", "http://a.test"],
                3,
                &[part],
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");
    }
}

#[cfg(feature = "object-store")]
#[test]
fn a_directory_of_other_files_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letter.txt"), "Dear").unwrap();
    let storage = format!("file://{}", directory.path().display());
    for look in LOOKS {
        refused(&[&["-s", &storage], look].concat(), 3, &["there is no cache of namespace default"]);
    }
    assert_eq!(files(directory.path()), [(directory.path().join("letter.txt"), b"Dear".to_vec())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_the_program_quietly() {
    let paths: Vec<_> = (0..200).map(|number| format!("/{number}")).collect();
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let (_directory, storage) = storages().remove(0);
    fill(&storage, &origin().await, &paths).await;
    for args in [&["ls"][..], &["ls", "--json"], &["completions", "bash"]] {
        let args = [&["-s", &storage], args].concat();
        let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), &*String::from_utf8_lossy(&output.stderr)),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn an_address_that_is_taken() {
    let (_directory, storage) = storages().remove(0);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(
        &["serve", "-s", &storage, "--listen", &address, "--upstream", "http://a.test"],
        5,
        &["cannot listen"],
    );
}
