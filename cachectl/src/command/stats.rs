use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::SystemTime,
};

use cache_admin::{EntryInfo, Progress, State, Summary};
use cache_api::Totals;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use futures_util::TryStreamExt as _;
use serde::{Serialize, Serializer};
use url::Url;

use crate::{
    args::Global,
    failure::{Outcome, Result},
    open,
    output::{
        bar::Bar,
        histogram::Histogram,
        human, json,
        style::{self, BOLD},
    },
    selection::Selection,
};

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;
const SIZES: [(i64, &str); 10] = [
    (1, "empty"),
    (KIB, "to 1 KiB"),
    (4 * KIB, "1 to 4 KiB"),
    (16 * KIB, "4 to 16 KiB"),
    (64 * KIB, "16 to 64 KiB"),
    (256 * KIB, "64 to 256 KiB"),
    (MIB, "256 KiB to 1 MiB"),
    (16 * MIB, "1 to 16 MiB"),
    (256 * MIB, "16 to 256 MiB"),
    (i64::MAX, "256 MiB and more"),
];

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const AGES: [(i64, &str); 8] = [
    (MINUTE, "to 1 minute"),
    (10 * MINUTE, "1 to 10 minutes"),
    (HOUR, "10 to 60 minutes"),
    (6 * HOUR, "1 to 6 hours"),
    (DAY, "6 to 24 hours"),
    (7 * DAY, "1 to 7 days"),
    (30 * DAY, "7 to 30 days"),
    (i64::MAX, "30 days and more"),
];
const FRESHNESS: [(i64, &str); 12] = [
    (-7 * DAY, "stale over 7 days"),
    (-DAY, "stale 1 to 7 days"),
    (-HOUR, "stale 1 to 24 hours"),
    (-MINUTE, "stale 1 to 60 minutes"),
    (1, "stale to 1 minute"),
    (MINUTE, "to 1 minute"),
    (10 * MINUTE, "1 to 10 minutes"),
    (HOUR, "10 to 60 minutes"),
    (6 * HOUR, "1 to 6 hours"),
    (DAY, "6 to 24 hours"),
    (7 * DAY, "1 to 7 days"),
    (i64::MAX, "7 days and more"),
];

#[derive(Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    selection: Selection,
    /// How many hosts to list
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    top: usize,
    /// JSON, one object
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(crate) async fn run(self, global: &Global) -> Result {
        let admin = open::existing(global).await?;
        let mut figures = Figures::new(admin.storage().to_string());
        let bar = Bar::new();
        let mut so_far = Progress::default();
        let mut entries = admin.entries(&self.selection.filter())?;
        while let Some(entry) = entries.try_next().await? {
            figures.add(&entry, open::now());
            (so_far.seen, so_far.bytes) = (so_far.seen + 1, so_far.bytes.saturating_add(entry.len));
            bar.show(&so_far);
        }
        drop((bar, entries));
        figures.keep_hosts(self.top);
        let mut out = anstream::stdout().lock();
        if self.json {
            json::line(&mut out, &figures)?;
        } else {
            figures.write(&mut out)?;
        }
        admin.storage().close().await?;
        Ok(Outcome::Done)
    }
}

/// What is counted, in one pass over the heads.
#[derive(Serialize)]
struct Figures {
    storage: String,
    #[serde(serialize_with = "states")]
    states: Summary,
    largest_bytes: u64,
    /// `None` where no entry says.
    hits: Option<u64>,
    hosts: Vec<Host>,
    sizes: Histogram,
    ages: Histogram,
    freshness: Histogram,
    #[serde(skip)]
    by_host: BTreeMap<String, Totals>,
}

#[derive(Serialize)]
struct Host {
    host: String,
    entries: u64,
    bytes: u64,
}

impl Figures {
    fn new(storage: String) -> Self {
        Self {
            storage,
            states: Summary::default(),
            largest_bytes: 0,
            hits: None,
            hosts: Vec::new(),
            sizes: Histogram::new(&SIZES),
            ages: Histogram::new(&AGES),
            freshness: Histogram::new(&FRESHNESS),
            by_host: BTreeMap::new(),
        }
    }

    fn add(&mut self, entry: &EntryInfo, now: SystemTime) {
        self.states.add(entry);
        self.largest_bytes = self.largest_bytes.max(entry.len);
        if let Some(hits) = entry.hits() {
            self.hits = Some(self.hits.unwrap_or(0).saturating_add(hits));
        }
        self.sizes.add(signed(entry.len), entry.len);
        if let (Some(age), Some(freshness)) = (entry.age(), entry.freshness()) {
            self.ages.add(signed(age.as_secs()), entry.len);
            // What has less than a second left is fresh for all that.
            let ttl = freshness.ttl(now).max(i64::from(freshness.is_fresh(now)));
            self.freshness.add(if freshness.no_cache { ttl.min(0) } else { ttl }, entry.len);
        }
        let host =
            entry.url().and_then(|url| Url::parse(url).ok()).and_then(|url| Some(url.host_str()?.to_owned()));
        if let Some(host) = host {
            let totals = self.by_host.entry(host).or_default();
            *totals = Totals::new(totals.entries + 1, totals.bytes.saturating_add(entry.len));
        }
    }

    /// The hosts with the most bytes.
    fn keep_hosts(&mut self, count: usize) {
        let hosts = std::mem::take(&mut self.by_host).into_iter();
        self.hosts =
            hosts.map(|(host, Totals { entries, bytes, .. })| Host { host, entries, bytes }).collect();
        self.hosts.sort_by_key(|host| std::cmp::Reverse((host.bytes, host.entries)));
        self.hosts.truncate(count);
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let total = self.states.total();
        writeln!(out, "{BOLD}{}{BOLD:#}", self.storage)?;
        let (entries, size, largest) =
            (human::entries(total.entries), human::size(total.bytes), human::size(self.largest_bytes));
        writeln!(out, "{entries}, {size} of bodies, the largest {largest}")?;
        if let Some(hits) = self.hits {
            writeln!(out, "served from the cache {}", human::times(hits))?;
        }
        writeln!(out)?;
        let mut table = table(["state", "entries", "bytes"]);
        let mut rows = Vec::new();
        for (state, totals) in by_state(&self.states) {
            rows.push(style::of(state));
            let name = human::state(state).to_owned();
            table.add_row([name, totals.entries.to_string(), human::size(totals.bytes)]);
        }
        write_table(&table, &rows, out)?;
        if self.states.invalid.entries > 0 {
            writeln!(
                out,
                "\ninvalid: not what --serializer and its keys read, or damaged; `cachectl show` says which"
            )?;
        }
        self.sizes.draw("Size", out)?;
        self.ages.draw("Age", out)?;
        self.freshness.draw("Fresh for", out)?;
        if !self.hosts.is_empty() {
            writeln!(out)?;
            let mut table = self::table(["host", "entries", "bytes"]);
            for Host { host, entries, bytes } in &self.hosts {
                table.add_row([human::text(host).into_owned(), entries.to_string(), human::size(*bytes)]);
            }
            write_table(&table, &[], out)?;
        }
        Ok(())
    }
}

fn by_state(summary: &Summary) -> [(State, Totals); 4] {
    [
        (State::Fresh, summary.fresh),
        (State::Stale, summary.stale),
        (State::Expired, summary.expired),
        (State::Invalid, summary.invalid),
    ]
}

fn states<S: Serializer>(summary: &Summary, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Count {
        entries: u64,
        bytes: u64,
    }
    let count = |(state, totals): (State, Totals)| {
        (human::state(state), Count { entries: totals.entries, bytes: totals.bytes })
    };
    serializer.collect_map(by_state(summary).map(count))
}

fn table(header: [&str; 3]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The table, its header bold and each row in the style given for it.
fn write_table(table: &Table, rows: &[anstyle::Style], out: &mut impl Write) -> io::Result<()> {
    for (index, line) in table.lines().enumerate() {
        let style = match index.checked_sub(1) {
            None => BOLD,
            Some(row) => rows.get(row).copied().unwrap_or_default(),
        };
        writeln!(out, "{style}{}{style:#}", line.trim_end())?;
    }
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
