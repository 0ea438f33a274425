use std::io::Write as _;

use cache_admin::{Admin, EntryFilter, Progress, Run};
use cache_api::TagDigest;
use clap::Args;
use url::Url;

use crate::{
    args::Global,
    failure::{Failure, Outcome, Result},
    open,
    output::{bar::Bar, confirm, human, json, json::ProgressLine},
    selection::{Selection, url},
};

#[derive(Args)]
pub(crate) struct Rm {
    /// URLs: all that is stored of each, within what is selected below
    #[arg(value_parser = url)]
    url: Vec<Url>,
    #[command(flatten)]
    selection: Selection,
    /// Every entry of the namespace
    #[arg(long, conflicts_with_all = ["url", "state", "older_than", "pattern", "tag"])]
    all: bool,
    /// Tell what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// JSON, one object
    #[arg(long)]
    json: bool,
}

impl Rm {
    pub(crate) async fn run(self, global: &Global) -> Result {
        if !self.all && self.url.is_empty() && self.selection.is_everything() {
            return Err(Failure::usage(
                "say what to remove: URLs, --pattern, --tag, --state, --older-than, or --all",
            ));
        }
        let admin = open::existing(global).await?;
        if self.dry_run || !self.yes {
            let would = self.matching(&admin, true).await?;
            if self.dry_run || would.done == 0 {
                return told(&would, true, self.json);
            }
            let (entries, size) = (human::entries(would.done), human::size(would.bytes));
            confirm::ask(&format!("Remove {entries} ({size}) from {}?", admin.storage()))?;
        }
        let removed = self.remove(&admin).await?;
        admin.storage().close().await?;
        told(&removed, false, self.json)
    }

    async fn remove(&self, admin: &Admin) -> Result<Progress> {
        let mut removed = Progress::default();
        // These two also refuse what is being stored meanwhile.
        if self.all {
            removed.done = admin.clear().await?;
        } else if let (Some(tag), []) = (self.selection.only_tag(), &*self.url) {
            removed.done = admin.remove_tagged(&[TagDigest::of(tag)]).await?;
        } else {
            removed = self.matching(admin, false).await?;
        }
        Ok(removed)
    }

    /// Removes by looking at entries one by one, or tells what that would remove.
    async fn matching(&self, admin: &Admin, dry_run: bool) -> Result<Progress> {
        let filter = self.selection.filter();
        let urls = self.url.iter().map(|url| filter.clone().url(url));
        let filters: Vec<EntryFilter> = if self.url.is_empty() { vec![filter] } else { urls.collect() };
        let bar = Bar::new();
        let mut sum = Progress::default();
        for filter in filters {
            let run = Run::new().dry_run(dry_run).on_progress(|so_far| bar.show(so_far));
            let one = admin.remove_matching(&filter, run).await?;
            sum.done += one.done;
            sum.bytes = sum.bytes.saturating_add(one.bytes);
            sum.passed_over += one.passed_over;
            sum.seen += one.seen;
        }
        Ok(sum)
    }
}

/// Says what came of a removal.
pub(super) fn told(progress: &Progress, dry_run: bool, as_json: bool) -> Result {
    let mut out = anstream::stdout().lock();
    if as_json {
        json::line(&mut out, &ProgressLine::of(progress, dry_run))?;
        return Ok(Outcome::Done);
    }
    let entries = human::entries(progress.done);
    write!(out, "{entries} {}", if dry_run { "would be removed" } else { "removed" })?;
    if progress.bytes > 0 {
        write!(out, ", {}", human::size(progress.bytes))?;
    }
    if progress.passed_over > 0 {
        write!(out, "; {} changed meanwhile and stayed", progress.passed_over)?;
    }
    if progress.swept > 0 {
        write!(out, "; the store deleted {} dead ones", progress.swept)?;
    }
    writeln!(out)?;
    Ok(Outcome::Done)
}
