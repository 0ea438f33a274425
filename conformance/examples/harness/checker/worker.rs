//! One of the processes: it does what its input says, all at once, and tells what came of it.
//!
//! | asked | answered |
//! |---|---|
//! | `ID get RESOURCE VARIANT` | `ID SOURCE TOLD`, or `ID torn …`, `ID foreign …`, `ID failed …` |
//! | `ID cached RESOURCE VARIANT` | the same, or `ID absent` |
//! | `ID purge TAG` | `ID purged`, or `ID failed …` |

use client_reqwest::{CachedClient, ResponseExt as _, Source};
use http::{StatusCode, header};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::told::{FIELD, Told};
use crate::harness::{READY, Result, chain, client};

pub(crate) async fn work(storage: &str, origin: &str) -> Result<()> {
    let client = client(storage).await?;
    println!("{READY}");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (client, origin) = (client.clone(), origin.to_owned());
        tokio::spawn(async move {
            let (id, asked) = line.split_once(' ').unwrap_or_default();
            let answer = answer(&client, &origin, asked).await;
            println!("{id} {}", answer.unwrap_or_else(|error| format!("failed {}", chain(&*error))));
        });
    }
    client.close().await;
    Ok(())
}

async fn answer(client: &CachedClient, origin: &str, asked: &str) -> Result<String> {
    let words: Vec<_> = asked.split(' ').collect();
    match words[..] {
        ["purge", tag] => {
            client.purge_tags([tag]).await?;
            Ok("purged".to_owned())
        }
        [what, resource, variant] => {
            let request = client.get(format!("{origin}/{resource}")).header(header::ACCEPT_LANGUAGE, variant);
            let request = if what == "cached" { request.only_if_cached() } else { request };
            let response = request.send().await?;
            if response.status() == StatusCode::GATEWAY_TIMEOUT {
                return Ok("absent".to_owned());
            }
            judge(response.error_for_status()?, resource, variant).await
        }
        _ => Err(format!("{asked:?} is not understood").into()),
    }
}

/// Whether head and body belong together, and to what was asked for.
pub(crate) async fn judge(response: reqwest::Response, resource: &str, variant: &str) -> Result<String> {
    let source = match response.cache_info().map(|info| info.source) {
        Some(Source::Origin) => "origin",
        Some(Source::Store) => "store",
        Some(Source::Revalidated) => "revalidated",
        Some(Source::Stale) => "stale",
        _ => "elsewhere",
    };
    let told =
        response.headers().get(FIELD).ok_or("nothing is told of the body")?.to_str()?.parse::<Told>()?;
    let etag = response.headers().get(header::ETAG).ok_or("no entity tag")?.to_str()?.to_owned();
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return Ok(format!("broken {told}: {}", chain(&error))),
    };
    Ok(if told.resource != resource || told.variant != variant {
        format!("foreign {told}, asked for {resource} {variant}")
    } else if etag != format!("\"{resource}-{variant}-{}\"", told.version) {
        format!("foreign {told}, under {etag}")
    } else if body != told.body() {
        format!("torn {told}, of {} bytes", body.len())
    } else {
        format!("{source} {told}")
    })
}
