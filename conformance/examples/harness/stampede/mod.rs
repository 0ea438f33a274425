//! Many requests of several processes for one cold resource.

mod origin;
pub(crate) mod worker;

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use origin::Origin;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use super::{Process, Result, Role, SLACK, Store, now};

/// How long the lease of a process that was killed may keep the others waiting.
const LEASE: Duration = Duration::from_secs(5);

/// What is to be done.
pub(crate) struct Stampede {
    pub(crate) storage: String,
    pub(crate) processes: u32,
    /// Of each of them, all at once.
    pub(crate) requests: u32,
    /// What the origin takes.
    pub(crate) delay: Duration,
    /// Kills the process that asks the origin first, with its request under way.
    pub(crate) kill_leader: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    storage: String,
    processes: u32,
    /// Of all processes that were not killed.
    requests: u64,
    failed: u64,
    origin_requests: u64,
    killed: u32,
    wall_ms: u128,
    /// What it may take at most, where a process was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_ms: Option<u128>,
}

impl Stampede {
    pub(crate) async fn run(&self) -> Result<Report> {
        let store = Store::open(&self.storage, "stampede").await?;
        let (origin, address) = Origin::start(self.delay).await?;
        let resource = format!("http://{address}/cold");
        let starting =
            (0..self.processes).map(|number| Worker::start(number, &store.url, &resource, self.requests));
        let mut workers = try_join_all(starting).await?;
        let began = now();
        for worker in &mut workers {
            worker.go().await?;
        }
        let mut killed = 0;
        if self.kill_leader
            && let Some(leader) = origin.leader().await
            && let Some(at) = workers.iter().position(|worker| worker.number == leader)
        {
            workers.remove(at).kill().await?;
            killed = 1;
        }
        let outcomes = join_all(workers.iter_mut().map(Worker::failed)).await;
        let wall = now() - began;
        let report = Report {
            storage: store.to_string(),
            processes: self.processes,
            requests: u64::from(self.processes - killed) * u64::from(self.requests),
            failed: outcomes.into_iter().sum::<Result<u64>>()?,
            origin_requests: origin.asked(),
            killed,
            wall_ms: wall.as_millis(),
            allowed_ms: self.kill_leader.then(|| (LEASE + self.delay + SLACK).as_millis()),
        };
        store.close().await?;
        Ok(report)
    }
}

impl Report {
    /// The promises that did not hold.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.failed > 0 {
            broken.push(format!("{} requests failed", self.failed));
        }
        let allowed = u64::from(self.killed) + 1;
        if self.origin_requests > allowed {
            broken.push(format!("the origin was asked {} times, not {allowed}", self.origin_requests));
        }
        if let Some(allowed) = self.allowed_ms.filter(|allowed| self.wall_ms > *allowed) {
            broken.push(format!("it took {} ms, more than {allowed}", self.wall_ms));
        }
        broken
    }
}

struct Worker {
    number: u32,
    process: Process,
}

impl Worker {
    async fn start(number: u32, storage: &str, resource: &str, requests: u32) -> Result<Self> {
        let (storage, resource) = (storage.to_owned(), resource.to_owned());
        let process = Process::start(&Role::Stampede { number, storage, resource, requests }).await?;
        Ok(Self { number, process })
    }

    async fn go(&mut self) -> Result<()> {
        Ok(self.process.input.write_all(b"go\n").await?)
    }

    /// How many of its requests failed.
    async fn failed(&mut self) -> Result<u64> {
        let line = self.process.output.next_line().await?;
        let line = line.ok_or_else(|| format!("worker {} ended before its requests did", self.number))?;
        Ok(line.parse()?)
    }

    /// Ends it as a crash does.
    async fn kill(mut self) -> Result<()> {
        Ok(self.process.child.kill().await?)
    }
}
