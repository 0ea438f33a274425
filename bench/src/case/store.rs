//! A miss that is stored: the time to the first byte, and to the end; also from origins that drip.

use std::time::{Duration, Instant, SystemTime};

use super::round;
use crate::cli::Common;
use crate::measure::{Measured, turn};
use crate::origin::{Origin, check};
use crate::report::{Report, Setting};
use crate::subject::copies::Copies;
use crate::subject::get::Get;
use crate::subject::store::Store;
use crate::subject::{ours, plain, store};
use crate::{Error, Result};

/// The origins: how long each waits before every tenth of a body, in milliseconds.
const ORIGINS: [(u64, &str, &str); 3] = [
    (0, "store, first byte", "store, total"),
    (2, "store, drip, first byte", "store, drip, total"),
    (20, "store, far, first byte", "store, far, total"),
];

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for store in &store::chosen(&common.storage)? {
        for body in common.bodies(1024) {
            for named in ORIGINS {
                compared(common, &origin, store, body, named, report).await?;
            }
        }
    }
    Ok(())
}

async fn compared(
    common: &Common,
    origin: &Origin,
    store: &Store,
    body: usize,
    (drip, first, total): (u64, &'static str, &'static str),
    report: &mut Report,
) -> Result<()> {
    eprintln!("{total}, {store}, {body} bytes");
    let client = ours::client(store).await?;
    let plain = plain::client()?;
    // What one request after the other takes: the origin, and the store's own write.
    let floor = Floor {
        plain: plain.clone(),
        copies: Copies::of(&client, &origin.url("copied", &format!("body={body}")), body).await?,
    };
    let mut firsts = [Measured::new("ours"), Measured::new("plain"), Measured::new("floor")];
    let mut totals = firsts.clone();
    // What an earlier run stored would be a hit.
    let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let mut misses = Misses { origin: origin.clone(), body, drip, begun, count: 0 };
    for number in 0..common.rounds() {
        let mut turns = [0, 1, 2];
        turn(&mut turns, number);
        for subject in turns {
            let before = origin.asked();
            let (first, total) = match subject {
                0 => misses.sample(&client, round(common)).await?,
                1 => misses.sample(&plain, round(common)).await?,
                _ => misses.sample(&floor, round(common)).await?,
            };
            if origin.asked() - before != first.len() as u64 {
                return Err("a miss was none".into());
            }
            if let (Some(firsts), Some(totals)) = (firsts.get_mut(subject), totals.get_mut(subject)) {
                firsts.add(&first)?;
                totals.add(&total)?;
            }
        }
    }
    report.add(&Setting::new(first, store, body, 1), &firsts)?;
    report.add(&Setting::new(total, store, body, 1), &totals)?;
    client.close().await;
    Ok(())
}

/// URLs that nobody asked for before.
#[derive(Clone)]
struct Misses {
    origin: Origin,
    body: usize,
    drip: u64,
    begun: u128,
    count: u64,
}

impl Misses {
    /// Asks for so long, in a task, as callers are; returns what the first byte and the end took, each time.
    async fn sample<C: Miss>(
        &mut self,
        client: &C,
        length: Duration,
    ) -> Result<(Vec<Duration>, Vec<Duration>)> {
        let (client, mut misses) = (client.clone(), self.clone());
        let sampled = tokio::spawn(async move {
            let until = Instant::now() + length;
            let (mut firsts, mut totals) = (Vec::new(), Vec::new());
            while Instant::now() < until || firsts.is_empty() {
                let (first, total) = misses.one(&client).await?;
                firsts.push(first);
                totals.push(total);
            }
            Ok::<_, Error>((firsts, totals))
        });
        let (firsts, totals) = sampled.await??;
        self.count += firsts.len() as u64;
        Ok((firsts, totals))
    }

    async fn one<C: Miss>(&mut self, client: &C) -> Result<(Duration, Duration)> {
        self.count += 1;
        let path = format!("items/{}-{}", self.begun, self.count);
        let url = self.origin.url(&path, &format!("body={}&drip={}", self.body, self.drip));
        client.miss(&url, self.body).await
    }
}

/// Who asks for what is not stored.
trait Miss: Clone + Send + Sync + 'static {
    /// What the first byte and the end took.
    fn miss(&self, url: &str, body: usize) -> impl Future<Output = Result<(Duration, Duration)>> + Send;
}

impl<C: Get> Miss for C {
    async fn miss(&self, url: &str, body: usize) -> Result<(Duration, Duration)> {
        let began = Instant::now();
        let (first, len) = self.stream(url).await?;
        let total = began.elapsed();
        check(len, body)?;
        Ok((first, total))
    }
}

/// No cache, and a write of the same into the store thereafter. What the write needs to know is looked up before.
#[derive(Clone)]
struct Floor {
    plain: reqwest::Client,
    copies: Copies,
}

impl Miss for Floor {
    async fn miss(&self, url: &str, body: usize) -> Result<(Duration, Duration)> {
        let copy = self.copies.under(url).await?;
        let (first, total) = self.plain.miss(url, body).await?;
        let began = Instant::now();
        self.copies.store(copy).await?;
        Ok((first, total + began.elapsed()))
    }
}
