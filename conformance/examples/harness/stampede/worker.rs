//! One of the processes.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::origin::WORKER;
use crate::harness::{READY, Result, chain, client};

/// Opens the store, says so, waits for a line, makes its requests at once and tells how many failed.
pub(crate) async fn work(number: u32, storage: &str, resource: &str, requests: u32) -> Result<()> {
    let client = client(storage).await?;
    println!("{READY}");
    let mut line = String::new();
    BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
    let resource: Arc<str> = resource.into();
    let requests = (0..requests).map(|_| {
        let (client, resource) = (client.clone(), Arc::clone(&resource));
        tokio::spawn(async move {
            let response = client.get(&*resource).header(WORKER, number).send().await?;
            client_reqwest::Result::Ok(response.error_for_status()?.text().await?)
        })
    });
    let mut failed = 0;
    for answer in join_all(requests).await {
        match answer {
            Ok(Ok(text)) if text.starts_with("answer ") => {}
            Ok(Ok(_)) => failed += 1,
            Ok(Err(error)) => {
                failed += 1;
                eprintln!("worker {number}: {}", chain(&error));
            }
            Err(error) => {
                failed += 1;
                eprintln!("worker {number}: {error}");
            }
        }
    }
    client.close().await;
    println!("{failed}");
    Ok(())
}
