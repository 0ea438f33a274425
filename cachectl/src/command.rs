//! The commands, one file each.

mod completions;
mod copy;
mod get;
mod ls;
mod purge_expired;
mod rm;
mod serve;
mod show;
mod stats;
mod verify;

use clap::Subcommand;

use crate::{args::Global, failure::Result};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List entries
    Ls(ls::Ls),
    /// Show what is stored of a URL, and what a request for it would meet
    Show(show::Show),
    /// Write a stored body to stdout
    Get(get::Get),
    /// Remove entries by URL, pattern, tag, state or age
    Rm(rm::Rm),
    /// Remove what is used after validation only, and let the store delete what is dead
    PurgeExpired(purge_expired::PurgeExpired),
    /// Count and measure what is stored
    Stats(stats::Stats),
    /// Copy entries into another storage; run it again to go on
    Copy(copy::Copy),
    /// Read all entries with their bodies, and tell which are damaged
    Verify(verify::Verify),
    /// Run a caching reverse proxy over the storage
    Serve(serve::Serve),
    /// Write a shell's completions to stdout
    Completions(completions::Completions),
}

impl Command {
    pub(crate) async fn run(self, global: &Global) -> Result {
        match self {
            Self::Ls(ls) => ls.run(global).await,
            Self::Show(show) => show.run(global).await,
            Self::Get(get) => get.run(global).await,
            Self::Rm(rm) => rm.run(global).await,
            Self::PurgeExpired(purge) => purge.run(global).await,
            Self::Stats(stats) => stats.run(global).await,
            Self::Copy(copy) => copy.run(global).await,
            Self::Verify(verify) => verify.run(global).await,
            Self::Serve(serve) => serve.run(global).await,
            Self::Completions(completions) => completions.run(),
        }
    }
}
