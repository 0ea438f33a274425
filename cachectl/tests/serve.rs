//! The proxy as the program runs it.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::support::{command, listed, origin, storages};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_once_is_served_from_the_storage() {
    let (_directory, storage) = storages().remove(0);
    let upstream = origin().await.replace("http://", "http://user:hunter2@");
    let args = ["serve", "-s", &storage, "--listen", "127.0.0.1:0", "--upstream", &upstream];
    let mut child = command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.contains("hunter2"), "{line}");
    let proxy = line.split_whitespace().next().unwrap();
    for hit in [false, true] {
        let client = client_reqwest::CachedClient::builder().disabled().build().await.unwrap();
        let response = client.get(format!("{proxy}/a")).send().await.unwrap();
        assert_eq!(response.headers()["cache-status"].to_str().unwrap().contains("hit"), hit);
        assert_eq!(response.text().await.unwrap(), "body of /a");
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert_eq!(listed(&storage, &[]), ["/a"]);
}
