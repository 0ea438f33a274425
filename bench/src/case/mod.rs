//! The cases, a file each.

mod chart;
mod hit;
mod hit_peers;
mod mixed;
mod revalidate;
mod scale;
mod stampede;
mod store;
mod stream;

use std::time::Duration;

use crate::Result;
use crate::cli::{Case, Cli, Common};
use crate::measure::Plan;
use crate::report::Report;
use crate::table;

/// Runs a case and prints what came out.
pub(crate) async fn run(cli: Cli) -> Result<()> {
    let mut report = Report::default();
    match &cli.case {
        Case::Hit(common) => hit::run(common, &mut report).await?,
        Case::HitPeers(common) => hit_peers::run(common, &mut report).await?,
        Case::Store(common) => store::run(common, &mut report).await?,
        Case::Revalidate(common) => revalidate::run(common, &mut report).await?,
        Case::Stampede(stampede) => stampede::run(stampede, &mut report).await?,
        Case::Stream(common) => stream::run(common, &mut report).await?,
        Case::Mixed(common) => mixed::run(common, &mut report).await?,
        Case::Scale(scale) => scale::run(scale, &mut report).await?,
        Case::Chart(chart) => return chart::run(chart),
        Case::StreamChild(child) => return stream::child(child).await,
    }
    println!("{}", table::of(&report.lines));
    Ok(())
}

fn plan(common: &Common, concurrency: u32) -> Plan {
    Plan { concurrency, round: round(common), rounds: common.rounds(), one_by_one: false }
}

/// How long a round of one subject is.
fn round(common: &Common) -> Duration {
    Duration::from_secs_f64(common.seconds / f64::from(common.rounds()))
}
