use std::io::{self, Write as _};

use cache_admin::{EntryInfo, Run};
use cache_api::Error;
use clap::Args;
use serde::Serialize;

use crate::{
    args::Global,
    failure::{Outcome, Result},
    open,
    output::{
        bar::Bar,
        human, json,
        json::{EntryLine, ProgressLine},
        style::BAD,
    },
    selection::Selection,
};

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    selection: Selection,
    /// JSON: one object for each damaged entry, and at the end one with the counts
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Damaged<'a> {
    #[serde(flatten)]
    entry: EntryLine<'a>,
    error: String,
}

impl Verify {
    pub(crate) async fn run(self, global: &Global) -> Result {
        let admin = open::existing(global).await?;
        let bar = Bar::new();
        let mut written = Ok(());
        let damaged = |entry: &EntryInfo, error: &Error| {
            if written.is_ok() {
                written = bar.aside(|| self.damaged(entry, error));
            }
        };
        let run = Run::new().with_total(true).on_progress(|so_far| bar.show(so_far));
        let verified = admin.verify(&self.selection.filter(), run, damaged).await?;
        drop(bar);
        written?;
        let mut out = anstream::stdout().lock();
        if self.json {
            json::line(&mut out, &ProgressLine::of(&verified, false))?;
        } else {
            let (entries, size) = (human::entries(verified.done), human::size(verified.bytes));
            writeln!(out, "{entries} sound, {} damaged; {size} of bodies read", verified.invalid)?;
        }
        admin.storage().close().await?;
        Ok(Outcome::problems_if(verified.invalid > 0))
    }

    fn damaged(&self, entry: &EntryInfo, error: &Error) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.json {
            let error = error.to_string();
            return json::line(&mut out, &Damaged { entry: EntryLine::of(entry, open::now()), error });
        }
        writeln!(out, "{BAD}damaged{BAD:#}  {}  {error}", human::url(entry))
    }
}
