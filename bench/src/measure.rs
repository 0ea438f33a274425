//! Rounds in which all subjects take turns, so that a machine that slows down slows all of them down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hdrhistogram::Histogram;

use crate::Result;

/// One operation, which is repeated.
pub(crate) trait Op: Send + Sync + 'static {
    /// Does it once.
    fn once(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What is compared with others.
pub(crate) struct Subject {
    pub(crate) name: String,
    runner: Box<dyn Runner>,
}

impl Subject {
    pub(crate) fn new(name: impl Into<String>, op: impl Op) -> Self {
        Self { name: name.into(), runner: Box::new(Operations(Arc::new(op))) }
    }
}

/// How long, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) concurrency: u32,
    pub(crate) round: Duration,
    pub(crate) rounds: u32,
    /// Whether the clock is read at each operation, however short: where they are of several kinds.
    pub(crate) one_by_one: bool,
}

/// What was measured of one subject.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Operations a second, by round.
    pub(crate) rates: Vec<f64>,
    /// What an operation typically took, in nanoseconds, by round.
    pub(crate) typical: Vec<f64>,
    pub(crate) ops: u64,
    /// In nanoseconds, of all rounds.
    pub(crate) latencies: Histogram<u64>,
    /// What else is to be said of it.
    pub(crate) extra: BTreeMap<&'static str, f64>,
}

impl Measured {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rates: Vec::new(),
            typical: Vec::new(),
            ops: 0,
            latencies: histogram(),
            extra: BTreeMap::new(),
        }
    }

    /// Adds a round of operations that were timed one by one, one after the other.
    pub(crate) fn add(&mut self, times: &[Duration]) -> Result<()> {
        let mut round = Round { ops: 0, elapsed: times.iter().sum(), latencies: histogram() };
        for time in times {
            round.latencies.record(nanos(*time))?;
        }
        round.ops = round.latencies.len();
        self.note(&round);
        self.ops += round.ops;
        self.latencies.add(&round.latencies)?;
        Ok(())
    }

    fn note(&mut self, round: &Round) {
        self.rates.push(round.rate());
        self.typical.push(round.latencies.value_at_quantile(0.5) as f64);
    }

    pub(crate) fn ops_per_s(&self) -> f64 {
        median(self.rates.iter().copied())
    }

    /// How many times as long as an operation of the other one of `self` typically takes: the median over the
    /// rounds, each of which compares what was measured within a few seconds.
    pub(crate) fn time_over(&self, other: &Self) -> f64 {
        median(self.typical.iter().zip(&other.typical).map(|(own, others)| own / others))
    }

    /// How many times as many operations a second as the other one `self` does.
    pub(crate) fn rate_over(&self, other: &Self) -> f64 {
        median(self.rates.iter().zip(&other.rates).map(|(own, others)| own / others))
    }
}

/// Measures these subjects in turns; the order moves on by one each round.
pub(crate) async fn compare(subjects: &[Subject], plan: Plan) -> Result<Vec<Measured>> {
    let mut paces = Vec::new();
    for subject in subjects {
        let warm = subject.runner.run(Load { plan, length: plan.round / 2, pace: Pace::Each }).await?;
        paces.push(if plan.one_by_one { Pace::Each } else { Pace::of(&warm, plan.concurrency) });
    }
    let mut measured: Vec<_> = subjects.iter().map(|subject| Measured::new(&subject.name)).collect();
    for round in 0..plan.rounds {
        let mut turns: Vec<_> = subjects.iter().zip(&paces).zip(&mut measured).collect();
        turn(&mut turns, round);
        for ((subject, pace), measured) in turns {
            let run = |length, pace| subject.runner.run(Load { plan, length, pace });
            let timed = match pace {
                Pace::Each => {
                    let timed = run(plan.round, Pace::Each).await?;
                    measured.note(&timed);
                    timed
                }
                // Reading the clock would be a part of what is measured: rate and latencies are taken apart.
                Pace::Batches(_) => {
                    measured.note(&run(plan.round * 2 / 3, *pace).await?);
                    run(plan.round / 3, Pace::Each).await?
                }
            };
            measured.ops += timed.ops;
            measured.latencies.add(timed.latencies)?;
        }
        eprint!("\rround {}/{}", round + 1, plan.rounds);
    }
    eprintln!();
    Ok(measured)
}

/// Whose turn is first moves on by one each round.
pub(crate) fn turn<T>(turns: &mut [T], round: u32) {
    let shift = usize::try_from(round).unwrap_or(0) % turns.len().max(1);
    turns.rotate_left(shift);
}

/// The middle one, or the mean of the middle two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(value)) => *value,
        _ => f64::NAN,
    }
}

fn histogram() -> Histogram<u64> {
    // These bounds are among those that are allowed.
    let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 3).unwrap_or_else(|_| unreachable!());
    histogram.auto(true);
    histogram
}

/// Whether the clock is read at each operation.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Each,
    /// After so many operations.
    Batches(u32),
}

impl Pace {
    /// Below 20 µs, reading the clock would show.
    fn of(warm: &Round, concurrency: u32) -> Self {
        let each = f64::from(concurrency) / warm.rate();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 10 and 10,000")]
        if each < 20e-6 { Self::Batches((200e-6 / each).clamp(10.0, 10_000.0) as u32) } else { Self::Each }
    }
}

#[derive(Clone, Copy, Debug)]
struct Load {
    plan: Plan,
    length: Duration,
    pace: Pace,
}

#[derive(Debug)]
struct Round {
    ops: u64,
    elapsed: Duration,
    /// Of each operation, or of each batch the mean: its median does not see what the machine did meanwhile.
    latencies: Histogram<u64>,
}

impl Round {
    fn rate(&self) -> f64 {
        self.ops as f64 / self.elapsed.as_secs_f64()
    }
}

#[async_trait]
trait Runner: Send + Sync {
    async fn run(&self, load: Load) -> Result<Round>;
}

/// The loop is compiled for each operation: no call through a pointer is a part of what is measured.
struct Operations<O>(Arc<O>);

#[async_trait]
impl<O: Op> Runner for Operations<O> {
    async fn run(&self, load: Load) -> Result<Round> {
        let began = Instant::now();
        let until = began + load.length;
        let callers: Vec<_> = (0..load.plan.concurrency)
            .map(|_| {
                let op = Arc::clone(&self.0);
                tokio::spawn(async move {
                    match load.pace {
                        Pace::Each => each(&*op, until).await,
                        Pace::Batches(size) => batches(&*op, until, size).await,
                    }
                })
            })
            .collect();
        let mut round = Round { ops: 0, elapsed: Duration::ZERO, latencies: histogram() };
        for caller in callers {
            let latencies = caller.await??;
            round.ops += latencies.0;
            round.latencies.add(latencies.1)?;
        }
        round.elapsed = began.elapsed();
        Ok(round)
    }
}

async fn each(op: &impl Op, until: Instant) -> Result<(u64, Histogram<u64>)> {
    let mut latencies = histogram();
    loop {
        let began = Instant::now();
        op.once().await?;
        let ended = Instant::now();
        latencies.record(nanos(ended - began))?;
        if ended >= until {
            return Ok((latencies.len(), latencies));
        }
    }
}

async fn batches(op: &impl Op, until: Instant, size: u32) -> Result<(u64, Histogram<u64>)> {
    let mut latencies = histogram();
    loop {
        let began = Instant::now();
        for _ in 0..size {
            op.once().await?;
        }
        let ended = Instant::now();
        latencies.record(nanos((ended - began) / size))?;
        if ended >= until {
            return Ok((latencies.len() * u64::from(size), latencies));
        }
        // An operation that never waits would keep the others of its thread out.
        tokio::task::yield_now().await;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
