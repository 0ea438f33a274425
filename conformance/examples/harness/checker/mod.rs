//! Random requests, purges and crashes of several processes, and the judgement of what comes back.

pub(crate) mod origin;
pub(crate) mod purge;
pub(crate) mod told;
pub(crate) mod worker;
mod workers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};

use self::{
    origin::{Origin, TAGS, tag_of},
    told::Told,
    workers::{Answer, Worker},
};
use super::{Result, Store, now};

/// How many requests are under way at once.
const AT_ONCE: usize = 32;

/// How many resources there are, and of which variants.
const RESOURCES: u64 = 48;
const VARIANTS: [&str; 3] = ["de", "en", "fr"];

/// Within that time what a process fetched is found by all.
const STORED_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Run {
    pub(crate) storage: String,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) processes: usize,
    pub(crate) bound: Duration,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    storage: String,
    seed: u64,
    seconds: u64,
    processes: usize,
    requests: u64,
    hits: u64,
    revalidated: u64,
    origin_requests: u64,
    purges: u64,
    /// Processes that were killed, and answers that went with them.
    restarts: u64,
    cut_off: u64,
    variants_counted: u64,
    /// Of these there may be none.
    failed: u64,
    torn: u64,
    foreign: u64,
    served_after_purge: u64,
    lost_variants: u64,
}

impl Totals {
    pub(crate) fn is_broken(&self) -> bool {
        self.failed + self.torn + self.foreign + self.served_after_purge + self.lost_variants > 0
    }
}

/// Up to which of the origin's answers what has a tag was purged.
type Floors = Arc<[AtomicU64]>;

/// What came back for one request.
enum Came {
    /// The process ended before.
    CutOff,
    Purged,
    Answer {
        answer: String,
        /// The floor of the resource's tag when it was asked for.
        floor: u64,
    },
}

impl Run {
    pub(crate) async fn run(&self) -> Result<Totals> {
        let store = Store::open(&self.storage, "checker").await?;
        let (origin, address) = Origin::start().await?;
        let address = format!("http://{address}");
        let mut workers = Vec::new();
        for _ in 0..self.processes {
            workers.push(Worker::start(&store.url, &address).await?);
        }
        let mut totals = Totals {
            storage: store.to_string(),
            seed: self.seed,
            processes: self.processes,
            ..Totals::default()
        };
        let (began, mut chance) = (now(), fastrand::Rng::with_seed(self.seed));
        let mut flow = Flow::new();
        let mut rounds = 0;
        while began.elapsed() < self.time {
            self.round(&mut flow, &mut workers, &mut chance, &origin, &mut totals).await?;
            // One dies with what it was asked for.
            let number = chance.usize(..workers.len());
            let started = Worker::start(&store.url, &address).await?;
            std::mem::replace(workers.get_mut(number).ok_or("no such worker")?, started).kill().await?;
            totals.restarts += 1;
            flow.ebb(&mut totals).await?;
            count(&mut workers, rounds, &mut totals).await?;
            rounds += 1;
        }
        totals.seconds = began.elapsed().as_secs();
        totals.origin_requests = origin.answers();
        store.close().await?;
        Ok(totals)
    }

    /// Some seconds of requests and purges. The last of them are still under way when it ends.
    async fn round(
        &self,
        flow: &mut Flow,
        workers: &mut [Worker],
        chance: &mut fastrand::Rng,
        origin: &Origin,
        totals: &mut Totals,
    ) -> Result<()> {
        let (began, lasts) = (now(), Duration::from_millis(chance.u64(1_000..6_000)));
        while began.elapsed() < lasts {
            let permit = Arc::clone(&flow.permits).acquire_owned().await?;
            let worker = workers.get_mut(chance.usize(..workers.len())).ok_or("no such worker")?;
            let sender = flow.sender.clone();
            if chance.u8(..100) == 0 {
                let tag = chance.u64(..TAGS);
                let purged_up_to = origin.answers();
                let answer = worker.ask(&format!("purge tag-{tag}")).await?;
                let (floors, bound) = (Arc::clone(&flow.floors), self.bound);
                tokio::spawn(async move {
                    let came = purged(answer, &floors, tag, purged_up_to, bound).await;
                    drop((sender.send(came), permit));
                });
            } else {
                // Some are asked for more often than others.
                let below = chance.u64(1..=RESOURCES);
                let resource = format!("r{}", chance.u64(..below));
                let variant = VARIANTS.get(chance.usize(..VARIANTS.len())).copied().unwrap_or_default();
                let floor = floor(&flow.floors, &resource);
                let answer = worker.ask(&format!("get {resource} {variant}")).await?;
                tokio::spawn(async move {
                    let came = answer.await.map_or(Came::CutOff, |answer| Came::Answer { answer, floor });
                    drop((sender.send(came), permit));
                });
            }
            flow.judge(totals);
        }
        Ok(())
    }
}

/// What is under way.
struct Flow {
    permits: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<Came>,
    came: mpsc::UnboundedReceiver<Came>,
    floors: Floors,
}

impl Flow {
    fn new() -> Self {
        let (sender, came) = mpsc::unbounded_channel();
        let floors = (0..TAGS).map(|_| AtomicU64::new(0)).collect();
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), sender, came, floors }
    }

    fn judge(&mut self, totals: &mut Totals) {
        while let Ok(came) = self.came.try_recv() {
            totals.judge(came);
        }
    }

    /// Waits until nothing is under way.
    async fn ebb(&mut self, totals: &mut Totals) -> Result<()> {
        let all = u32::try_from(AT_ONCE)?;
        drop(self.permits.acquire_many(all).await?);
        self.judge(totals);
        Ok(())
    }
}

/// Waits for a purge; what is asked for thereafter, and after the bound, is no older than it.
async fn purged(answer: Answer, floors: &Floors, tag: u64, up_to: u64, bound: Duration) -> Came {
    match answer.await {
        Ok(answer) if answer == "purged" => {
            tokio::time::sleep(bound).await;
            if let Some(floor) = usize::try_from(tag).ok().and_then(|tag| floors.get(tag)) {
                floor.fetch_max(up_to, Ordering::SeqCst);
            }
            Came::Purged
        }
        Ok(answer) => Came::Answer { answer, floor: 0 },
        Err(_) => Came::CutOff,
    }
}

fn floor(floors: &Floors, resource: &str) -> u64 {
    let tag = tag_of(resource);
    let tag = tag.rsplit('-').next().and_then(|tag| tag.parse::<usize>().ok());
    tag.and_then(|tag| floors.get(tag)).map_or(0, |floor| floor.load(Ordering::SeqCst))
}

impl Totals {
    fn judge(&mut self, came: Came) {
        let (answer, floor) = match came {
            Came::CutOff => return self.cut_off += 1,
            Came::Purged => return self.purges += 1,
            Came::Answer { answer, floor } => (answer, floor),
        };
        self.requests += 1;
        let (what, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        let broken = match what {
            "torn" => Some(&mut self.torn),
            "foreign" => Some(&mut self.foreign),
            "failed" | "broken" | "absent" => Some(&mut self.failed),
            _ => {
                match what {
                    "store" | "stale" => self.hits += 1,
                    "revalidated" => self.revalidated += 1,
                    _ => {}
                }
                let old = rest.parse::<Told>().is_ok_and(|told| told.serial <= floor);
                old.then_some(&mut self.served_after_purge)
            }
        };
        if let Some(broken) = broken {
            *broken += 1;
            eprintln!("{answer} (purged up to {floor})");
        }
    }
}

/// All variants of some resources are fetched at once, each by another process: then all of them are there for all.
async fn count(workers: &mut [Worker], round: u64, totals: &mut Totals) -> Result<()> {
    let resources: Vec<_> = (0..4).map(|number| format!("census-{round}-{number}")).collect();
    let mut fetched = Vec::new();
    for resource in &resources {
        for (number, variant) in VARIANTS.into_iter().enumerate() {
            let number = number % workers.len();
            let worker = workers.get_mut(number).ok_or("no such worker")?;
            fetched.push(worker.ask(&format!("get {resource} {variant}")).await?);
        }
    }
    for answer in join_all(fetched).await {
        totals.judge(Came::Answer { answer: answer?, floor: 0 });
    }
    for resource in &resources {
        for variant in VARIANTS {
            for worker in workers.iter_mut() {
                totals.variants_counted += 1;
                let end = now() + STORED_WITHIN;
                loop {
                    let answer = worker.ask(&format!("cached {resource} {variant}")).await?.await?;
                    if answer != "absent" {
                        totals.judge(Came::Answer { answer, floor: 0 });
                        break;
                    }
                    if now() > end {
                        totals.lost_variants += 1;
                        eprintln!("{resource} {variant} is not there");
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
    Ok(())
}
