//! Mixed load for long, over a store that fails by chance: is each answer right, and does memory stay as it is?

use std::{sync::Arc, time::Duration};

use cache_conformance::fault::{Fault, FaultyStorage, Seeded};
use client_reqwest::{CachedClient, storage_from_url};
use http::header;
use serde::Serialize;
use tokio::{runtime::Handle, task::JoinSet};

use super::{
    Result, Store, builder, chain,
    checker::{
        origin::{Origin, TAGS},
        told::Told,
        worker::judge,
    },
    now,
};

/// How many requests are under way at once.
const AT_ONCE: usize = 32;

const RESOURCES: u64 = 200;
const VARIANTS: [&str; 3] = ["de", "en", "fr"];

/// What memory may grow by after the first quarter of the run, by its slope.
const GROWTH: f64 = 32.0 * 1024.0;

/// How long the storage makes one wait by chance, beside what else goes wrong.
const SLOW: Fault = Fault::Delay(Duration::from_millis(20));

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(500);

/// How long what was started may take to end, once the client is closed.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Soak {
    pub(crate) storage: String,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    /// How many operations of the storage in 1,000 fail.
    pub(crate) faults: u16,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    storage: String,
    seed: u64,
    seconds: u64,
    requests: u64,
    hits: u64,
    revalidated: u64,
    origin_requests: u64,
    purges: u64,
    faults: usize,
    /// Bodies that a fault broke off when the origin had another by then.
    broken_off: u64,
    memory_kib: u64,
    memory_kib_per_minute: f64,
    memory_growth_kib: f64,
    /// Of these there may be none.
    failed: u64,
    torn: u64,
    foreign: u64,
    never_issued: u64,
    tasks_left: usize,
}

impl Totals {
    /// The promises that did not hold.
    pub(crate) fn broken(&self) -> Vec<String> {
        let counts = [
            (self.failed, "requests failed"),
            (self.torn, "bodies were torn"),
            (self.foreign, "bodies were another's"),
            (self.never_issued, "bodies were never the origin's"),
            (self.tasks_left as u64, "tasks did not end"),
        ];
        let mut broken: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if self.memory_growth_kib > GROWTH {
            broken.push(format!("memory grew by {:.0} KiB", self.memory_growth_kib));
        }
        broken
    }

    fn count(&mut self, answer: &str, origin: &Origin) {
        self.requests += 1;
        let (what, told) = answer.split_once(' ').unwrap_or((answer, ""));
        let wrong = match what {
            "torn" => &mut self.torn,
            "foreign" => &mut self.foreign,
            "failed" => &mut self.failed,
            "broken" => return self.broken_off += 1,
            _ => {
                match what {
                    "store" | "stale" => self.hits += 1,
                    "revalidated" => self.revalidated += 1,
                    _ => {}
                }
                if told.parse::<Told>().is_ok_and(|told| origin.has_issued(&told)) {
                    return;
                }
                &mut self.never_issued
            }
        };
        *wrong += 1;
        eprintln!("{answer}");
    }
}

impl Soak {
    pub(crate) async fn run(&self) -> Result<Totals> {
        let (origin, address) = Origin::start().await?;
        let store = Store::open(&self.storage, "soak").await?;
        let tasks = Handle::current().metrics().num_alive_tasks();
        let storage = FaultyStorage::new(storage_from_url(&store.url).await?);
        storage.by_chance(Seeded::new(self.seed).per_mille(self.faults).and(SLOW));
        let client = builder().storage(Arc::new(storage.clone())).build().await?;
        let mut totals = Totals { storage: store.to_string(), seed: self.seed, ..Totals::default() };

        let (began, mut memory) = (now(), Vec::new());
        let mut chance = fastrand::Rng::with_seed(self.seed);
        let (mut requests, mut purges) = (JoinSet::<String>::new(), JoinSet::new());
        while began.elapsed() < self.time {
            if memory.last().is_none_or(|(at, _)| began.elapsed() - *at > SAMPLE) {
                totals.faults += storage.take_injected().len();
                memory.extend(resident().map(|kib| (began.elapsed(), kib)));
            }
            if chance.u16(..200) == 0 {
                let (client, tag) = (client.clone(), chance.u64(..TAGS));
                // A purge that a fault meets is the caller's to repeat.
                purges.spawn(async move { client.purge_tags([format!("tag-{tag}")]).await.is_ok() });
            }
            while requests.len() >= AT_ONCE {
                let Some(answer) = requests.join_next().await else { break };
                totals.count(&answer?, &origin);
            }
            // Some are asked for more often than others.
            let below = chance.u64(1..=RESOURCES);
            let resource = format!("r{}", chance.u64(..below));
            let variant = VARIANTS.get(chance.usize(..VARIANTS.len())).copied().unwrap_or_default();
            requests.spawn(ask(client.clone(), format!("http://{address}/{resource}"), resource, variant));
        }
        while let Some(answer) = requests.join_next().await {
            totals.count(&answer?, &origin);
        }
        totals.purges = purges.join_all().await.into_iter().filter(|purged| *purged).count() as u64;
        totals.seconds = began.elapsed().as_secs();
        totals.origin_requests = origin.answers();
        totals.faults += storage.take_injected().len();
        totals.judge_memory(&memory);
        client.close().await;
        drop((client, storage));
        totals.tasks_left = left(tasks).await;
        store.close().await?;
        Ok(totals)
    }
}

async fn ask(client: CachedClient, url: String, resource: String, variant: &'static str) -> String {
    let response = match client.get(url).header(header::ACCEPT_LANGUAGE, variant).send().await {
        Ok(response) => response,
        Err(error) => return format!("failed {}", chain(&error)),
    };
    judge(response, &resource, variant).await.unwrap_or_else(|error| format!("failed {}", chain(&*error)))
}

/// How many tasks more there are than there were, once those that end have ended.
async fn left(before: usize) -> usize {
    let end = now() + ENDS_WITHIN;
    loop {
        let left = Handle::current().metrics().num_alive_tasks().saturating_sub(before);
        if left == 0 || now() > end {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Totals {
    /// The slope of what is resident, by least squares, when the first quarter is over.
    fn judge_memory(&mut self, samples: &[(Duration, u64)]) {
        let settled = samples.get(samples.len() / 4..).unwrap_or_default();
        let points: Vec<(f64, f64)> =
            settled.iter().map(|(at, kib)| (at.as_secs_f64() / 60.0, *kib as f64)).collect();
        let count = points.len() as f64;
        let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return };
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let together: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        self.memory_kib = settled.last().map_or(0, |(_, kib)| *kib);
        self.memory_kib_per_minute = if spread > 0.0 { together / spread } else { 0.0 };
        self.memory_growth_kib = self.memory_kib_per_minute * (last - first);
    }
}

/// What is resident of this process, in KiB, where the system says it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix("kB")?.trim().parse().ok()
}
