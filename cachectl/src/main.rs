//! `cachectl`: looks into an HTTP cache and keeps it in order, from the command line. Its README says how.

mod args;
mod command;
mod encoding;
mod failure;
mod open;
mod output;
mod selection;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{args::Cli, failure::Outcome};

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.global.color.write_global();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::other("no threads can be started", error).report(),
    };
    match runtime.block_on(cli.command.run(&cli.global)) {
        Ok(outcome) => outcome.into(),
        // Whoever reads the output has all they want.
        Err(failure) if failure.is_closed_pipe() => Outcome::Done.into(),
        Err(failure) => failure.report(),
    }
}
