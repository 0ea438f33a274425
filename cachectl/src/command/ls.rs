use std::{io::Write as _, time::SystemTime};

use cache_admin::EntryInfo;
use clap::Args;
use futures_util::TryStreamExt as _;

use crate::{
    args::Global,
    failure::{Outcome, Result},
    open,
    output::{
        human, json,
        json::EntryLine,
        style::{self, BOLD},
    },
    selection::Selection,
};

#[derive(Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    selection: Selection,
    /// Not more than that many
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl Ls {
    /// Row by row, as the store lists them: neither bodies nor all heads are held.
    pub(crate) async fn run(self, global: &Global) -> Result {
        let admin = open::existing(global).await?;
        let filter = self.selection.filter();
        let mut out = anstream::stdout().lock();
        if !self.json {
            writeln!(
                out,
                "{BOLD}{}{BOLD:#}",
                row(["STATE", "STATUS", "METHOD", "SIZE", "AGE", "FRESH", "HITS"], "URL")
            )?;
        }
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut entries = admin.entries(&filter)?;
        while left > 0
            && let Some(entry) = entries.try_next().await?
        {
            left -= 1;
            let now = open::now();
            if self.json {
                json::line(&mut out, &EntryLine::of(&entry, now))?;
            } else {
                let style = style::of(entry.state);
                writeln!(out, "{style}{}{style:#}", entry_row(&entry, now))?;
            }
        }
        drop(entries);
        admin.storage().close().await?;
        Ok(Outcome::Done)
    }
}

fn entry_row(entry: &EntryInfo, now: SystemTime) -> String {
    let status = entry.status().map_or_else(|| "-".to_owned(), |status| status.as_u16().to_string());
    let method = entry.method().map_or("-", http::Method::as_str);
    let age = entry.age().map_or_else(|| "-".to_owned(), human::brief);
    let hits = entry.hits().map_or_else(|| "-".to_owned(), |hits| hits.to_string());
    let (size, fresh) = (human::size(entry.len), human::freshness(entry, now));
    row([human::state(entry.state), &status, method, &size, &age, &fresh, &hits], &human::url(entry))
}

fn row([state, status, method, size, age, fresh, hits]: [&str; 7], url: &str) -> String {
    format!("{state:<7}  {status:>6}  {method:<6}  {size:>10}  {age:>4}  {fresh:>8}  {hits:>6}  {url}")
}
