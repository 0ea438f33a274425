//! Many callers at once for one resource: how often the origin is asked, and when the last of them has its answer.

use std::time::{Duration, Instant, SystemTime};

use crate::Result;
use crate::cli;
use crate::measure::{Measured, turn};
use crate::origin::{Origin, check};
use crate::report::{Report, Setting};
use crate::subject::get::Get;
use crate::subject::store::Store;
use crate::subject::{ours, plain, store};

/// How long an answer is fresh that is to be stale, in seconds.
const FRESH: u64 = 1;

/// How many callers there may be without a cache: each has a connection of its own, and the origin resets what is too many.
const PLAIN_MOST: u32 = 2000;

pub(crate) async fn run(stampede: &cli::Stampede, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for store in &store::chosen(&stampede.common.storage)? {
        for body in stampede.common.bodies(1024) {
            for callers in stampede.common.callers(1000) {
                for stale in [false, true] {
                    let crowd = Crowd { origin: &origin, stampede, store, body, callers, stale };
                    crowd.compared(report).await?;
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Crowd<'a> {
    origin: &'a Origin,
    stampede: &'a cli::Stampede,
    store: &'a Store,
    body: usize,
    callers: u32,
    stale: bool,
}

impl Crowd<'_> {
    async fn compared(self, report: &mut Report) -> Result<()> {
        let case = if self.stale { "stampede, stale" } else { "stampede, cold" };
        eprintln!("{case}, {}, {} bytes, {} at once", self.store, self.body, self.callers);
        let client = ours::client(self.store).await?;
        let plain = plain::client()?;
        // The floor is what one caller waits for the origin, without a cache.
        let mut all = vec![Measured::new("ours"), Measured::new("floor")];
        if self.callers <= PLAIN_MOST {
            all.push(Measured::new("plain"));
        }
        let mut asked: [Vec<u64>; 3] = Default::default();
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
        for round in 0..self.stampede.common.rounds() {
            let fresh = if self.stale { FRESH } else { 3600 };
            let query = format!("body={}&delay={}&max_age={fresh}", self.body, self.stampede.delay);
            let url = self.origin.url(&format!("items/{began}-{round}"), &query);
            if self.stale {
                check(Get::get(&client, &url).await?, self.body)?;
                // The age of an answer is in whole seconds.
                tokio::time::sleep(Duration::from_millis(1000 * FRESH + 1100)).await;
            }
            let mut turns: Vec<_> = (0..all.len()).collect();
            turn(&mut turns, round);
            for subject in turns {
                let before = self.origin.asked();
                let last = match subject {
                    0 => self.rush(&client, &url, self.callers).await?,
                    1 => self.rush(&plain, &url, 1).await?,
                    _ => self.rush(&plain, &url, self.callers).await?,
                };
                if let (Some(one), Some(asked)) = (all.get_mut(subject), asked.get_mut(subject)) {
                    one.add(&[last])?;
                    asked.push(self.origin.asked() - before);
                }
            }
        }
        for (one, asked) in all.iter_mut().zip(asked) {
            one.extra.insert("origin_requests_most", asked.iter().max().map_or(0.0, |most| *most as f64));
            one.extra.insert("origin_ms", self.stampede.delay as f64);
        }
        report.add(&Setting::new(case, self.store, self.body, self.callers), &all)?;
        client.close().await;
        Ok(())
    }

    /// The time at which the last of so many callers has the whole answer.
    async fn rush<C: Get>(self, client: &C, url: &str, callers: u32) -> Result<Duration> {
        let began = Instant::now();
        let callers: Vec<_> = (0..callers)
            .map(|_| {
                let (client, url) = (client.clone(), url.to_owned());
                tokio::spawn(async move { client.get(&url).await })
            })
            .collect();
        for caller in callers {
            check(caller.await??, self.body)?;
        }
        Ok(began.elapsed())
    }
}
