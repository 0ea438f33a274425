//! The cases, a file each.

mod hit;

use std::time::Duration;

use crate::Result;
use crate::cli::{Case, Cli, Common};
use crate::measure::Plan;
use crate::report::Report;
use crate::table;

/// Runs a case and prints what came out.
pub(crate) async fn run(cli: Cli) -> Result<()> {
    let mut report = Report::default();
    match cli.case {
        Case::Hit(common) => hit::run(&common, &mut report).await?,
    }
    println!("{}", table::of(&report.lines));
    Ok(())
}

fn plan(common: &Common, concurrency: usize) -> Plan {
    let round = Duration::from_secs_f64(common.seconds / f64::from(common.rounds));
    Plan { concurrency, round, rounds: common.rounds }
}
