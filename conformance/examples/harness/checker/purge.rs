//! One process purges what all of them have.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{origin::Origin, told::Told, workers::Worker};
use crate::harness::{Result, Store};

/// Purges of a tag by each process in turn. What is served after one was acknowledged, and after the bound, is new.
pub(crate) struct Purge {
    pub(crate) storage: String,
    pub(crate) processes: usize,
    pub(crate) bound: Duration,
}

impl Purge {
    /// The promises that did not hold.
    pub(crate) async fn run(&self) -> Result<Vec<String>> {
        let store = Store::open(&self.storage, "purge").await?;
        let (origin, address) = Origin::start().await?;
        let address = format!("http://{address}");
        let starting = (0..self.processes).map(|_| Worker::start(&store.url, &address));
        let mut workers = try_join_all(starting).await?;
        let mut broken = Vec::new();
        let mut floor = 0;
        for purger in 0..self.processes {
            for (number, worker) in workers.iter_mut().enumerate() {
                let answer = get(worker).await?;
                if serial(&answer).is_none_or(|serial| serial <= floor) {
                    broken
                        .push(format!("{number} got {answer:?} after a purge of the first {floor} answers"));
                }
            }
            for (number, worker) in workers.iter_mut().enumerate() {
                let answer = get(worker).await?;
                if !answer.starts_with("store ") {
                    broken.push(format!("{number} has nothing to be purged: {answer:?}"));
                }
            }
            floor = origin.answers();
            let worker = workers.get_mut(purger).ok_or("no such worker")?;
            let answer = worker.ask("purge census").await?.await?;
            if answer != "purged" {
                broken.push(format!("{purger} did not purge: {answer:?}"));
            }
            tokio::time::sleep(self.bound).await;
        }
        store.close().await?;
        Ok(broken)
    }
}

async fn get(worker: &mut Worker) -> Result<String> {
    Ok(worker.ask("get census-purge en").await?.await?)
}

fn serial(answer: &str) -> Option<u64> {
    let (_, told) = answer.split_once(' ')?;
    Some(told.parse::<Told>().ok()?.serial)
}
