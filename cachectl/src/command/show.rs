use std::{
    io::{self, Write},
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use cache_admin::{Admin, EntryFilter, EntryInfo, State, Target};
use cache_api::{Head, Redactor, SetBy};
use cache_engine::{
    Explanation,
    policy::{Freshness, Source},
};
use clap::Args;
use client_reqwest::CachedClient;
use futures_util::TryStreamExt as _;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use url::Url;

use crate::{
    args::{Global, Users},
    failure::{Failure, Outcome, Result},
    open,
    output::{
        human, json,
        json::EntryLine,
        style::{self, BOLD, DIM},
    },
    selection::url,
};

/// The fields whose values are not for everyone's eyes.
static SECRETS: LazyLock<Redactor> = LazyLock::new(Redactor::default);

#[derive(Args)]
pub(crate) struct Show {
    /// The URL; its fragment and credentials do not count
    #[arg(value_parser = url)]
    url: Url,
    /// A field of the request that is explained, as 'Accept-Language: de'
    #[arg(long, short = 'H', value_name = "FIELD")]
    header: Vec<String>,
    /// Show the values of fields that hold secrets, such as Set-Cookie
    #[arg(long)]
    show_secrets: bool,
    /// JSON, one object
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(crate) async fn run(self, global: &Global) -> Result {
        let admin = open::existing(global).await?;
        let entries = stored_of(&admin, &self.url).await?;
        let explanation = self.explain(&admin, global).await?;
        let mut out = anstream::stdout().lock();
        if self.json {
            json::line(&mut out, &self.object(&entries, explanation.as_ref()))?;
        } else {
            self.write(&entries, explanation.as_ref(), &mut out)?;
        }
        admin.storage().close().await?;
        Ok(Outcome::problems_if(entries.is_empty()))
    }

    /// What a GET of a client with these options would meet.
    async fn explain(&self, admin: &Admin, global: &Global) -> Result<Option<Explanation>> {
        let client = CachedClient::builder().options(global.options(Users::Private));
        let client = client.serializer(global.encoding.serializer()?);
        let client = client.storage(Arc::clone(admin.storage())).build().await?;
        let mut request = client.get(self.url.clone());
        for text in &self.header {
            let (name, value) = field(text)?;
            request = request.header(name, value);
        }
        Ok(request.explain().await?)
    }

    fn write(
        &self,
        entries: &[EntryInfo],
        explanation: Option<&Explanation>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if entries.is_empty() {
            writeln!(out, "nothing is stored of this URL")?;
        }
        for (index, entry) in entries.iter().enumerate() {
            self.entry(index.saturating_add(1), entry, out)?;
        }
        if let Some(explanation) = explanation {
            writeln!(out, "{BOLD}a GET of it now{BOLD:#}")?;
            for line in explanation.to_string().lines() {
                writeln!(out, "   {}", human::text(line))?;
            }
        }
        Ok(())
    }

    fn entry(&self, number: usize, entry: &EntryInfo, out: &mut impl Write) -> io::Result<()> {
        let (now, style) = (open::now(), style::of(entry.state));
        let state = human::state(entry.state);
        write!(out, "{BOLD}{number:>2}{BOLD:#} ")?;
        if let Some(head) = entry.head() {
            write!(out, "{} {} ", head.method, head.status.as_u16())?;
        }
        writeln!(out, "{style}{state}{style:#}, {}", human::size(entry.len))?;
        writeln!(out, "   {DIM}key {}, variant {}{DIM:#}", entry.key, entry.variant)?;
        let since = |time: SystemTime| human::duration(now.duration_since(time).unwrap_or_default());
        writeln!(out, "   stored {} ({} ago)", human::time(entry.stored_at), since(entry.stored_at))?;
        let left = human::duration(entry.dead_at.duration_since(now).unwrap_or_default());
        writeln!(out, "   the store drops it {} (in {left})", human::time(entry.dead_at))?;
        if let Some(used) = entry.used_at {
            writeln!(out, "   last used {} ({} ago)", human::time(used), since(used))?;
        }
        match entry.hits() {
            Some(hits) => writeln!(out, "   served from the cache {}", human::times(hits))?,
            None => writeln!(out, "   how often it was served is unknown: the storage does not count")?,
        }
        for tag in &*entry.tags {
            writeln!(out, "   tag {tag}")?;
        }
        if let Some(damage) = entry.damage() {
            writeln!(out, "   {style}{damage}{style:#}")?;
        }
        if let (Some(head), Some(freshness)) = (entry.head(), entry.freshness()) {
            for line in terms(freshness, now) {
                writeln!(out, "   {line}")?;
            }
            self.head(head, out)?;
        }
        writeln!(out)
    }

    fn head(&self, head: &Head, out: &mut impl Write) -> io::Result<()> {
        if !head.selectors.is_empty() {
            let names: Vec<_> = head.selectors.iter().map(|selector| selector.name.as_str()).collect();
            writeln!(out, "   selected by {}", names.join(", "))?;
        }
        for (name, value) in &head.headers {
            writeln!(out, "   {DIM}{name}:{DIM:#} {}", self.shown(name, value))?;
        }
        Ok(())
    }

    fn shown(&self, name: &HeaderName, value: &HeaderValue) -> String {
        match SECRETS.hides_header(name) && !self.show_secrets {
            true => "redacted".to_owned(),
            false => human::text(&String::from_utf8_lossy(value.as_bytes())).into_owned(),
        }
    }

    fn object<'a>(&self, entries: &'a [EntryInfo], explanation: Option<&Explanation>) -> Object<'a> {
        let now = open::now();
        let fields = |head: &Head| {
            let pair = |(name, value): (&HeaderName, _)| (name.to_string(), self.shown(name, value));
            head.headers.iter().map(pair).collect()
        };
        let entries = entries.iter().map(|entry| Variant {
            entry: EntryLine::of(entry, now),
            freshness: entry.freshness().map(|freshness| terms(freshness, now)).unwrap_or_default(),
            selected_by: entry
                .head()
                .map(|head| head.selectors.iter().map(|selector| selector.name.to_string()).collect())
                .unwrap_or_default(),
            headers: entry.head().map(fields).unwrap_or_default(),
        });
        Object {
            entries: entries.collect(),
            explanation: explanation.map(|e| e.to_string().lines().map(str::to_owned).collect()),
        }
    }
}

#[derive(Serialize)]
struct Object<'a> {
    entries: Vec<Variant<'a>>,
    explanation: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Variant<'a> {
    #[serde(flatten)]
    entry: EntryLine<'a>,
    freshness: Vec<String>,
    selected_by: Vec<String>,
    headers: Vec<(String, String)>,
}

/// All that is stored of a URL, in an order that stays: GET first.
pub(super) async fn stored_of(admin: &Admin, url: &Url) -> Result<Vec<EntryInfo>> {
    let mut entries: Vec<_> = admin.entries(&EntryFilter::all().url(url))?.try_collect().await?;
    // An entry without a readable head has no URL; that of a plain GET is known by its key.
    let plain = admin.get(&Target::get(url)).await?;
    entries.extend(plain.into_iter().filter(|entry| entry.state == State::Invalid));
    entries.sort_by_cached_key(|entry| {
        let method = entry.method().map(ToString::to_string);
        (method.is_none(), method, entry.key.to_string(), entry.variant.to_string())
    });
    Ok(entries)
}

/// What time does to an entry, in words.
fn terms(freshness: &Freshness, now: SystemTime) -> Vec<String> {
    let mut lines = vec![match freshness.source {
        Source::Nothing => "no lifetime is stated: fresh at no time".to_owned(),
        source => format!("lifetime {} by {}", human::duration(freshness.lifetime), by(source)),
    }];
    lines.push(format!("age {}", human::duration(freshness.age(now))));
    let change = match (freshness.no_cache, freshness.is_fresh(now)) {
        (true, _) => "used after validation only (no-cache)".to_owned(),
        (false, true) => format!("fresh for another {}", human::duration(freshness.remaining(now))),
        (false, false) => format!("stale for {}", human::duration(freshness.stale_for(now))),
    };
    lines.push(change);
    let windows = [
        ("stale-while-revalidate", freshness.stale_while_revalidate),
        ("stale-if-error", freshness.stale_if_error),
    ];
    for (name, window) in windows {
        if let Some(window) = window {
            lines.push(format!("{name} {}", human::duration(window)));
        }
    }
    if let Some(directive) = freshness.never_stale {
        lines.push(format!("never served stale: {directive}"));
    }
    if freshness.immutable {
        lines.push("immutable".to_owned());
    }
    lines.push(if freshness.has_validator { "has a validator" } else { "has no validator" }.to_owned());
    if let Some(setting) = freshness.overridden {
        lines.push(format!("its header fields forbid to keep it; overridden by {}", set_by(setting)));
    }
    lines
}

fn by(source: Source) -> &'static str {
    match source {
        Source::SMaxAge => "s-maxage",
        Source::MaxAge => "max-age",
        Source::Expires => "Expires",
        Source::Heuristic => "a heuristic from Last-Modified",
        Source::Fallback => "the fallback",
        Source::Setting(setting) => set_by(setting),
        _ => "nothing",
    }
}

fn set_by(setting: SetBy) -> &'static str {
    match setting {
        SetBy::Request => "a setting of the request",
        SetBy::Rule => "a rule for its URL",
        _ => "a setting of the client",
    }
}

/// Reads `Name: value`. What is wrong is said without the value, which may be a secret.
fn field(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let pair = text.split_once(':').and_then(|(name, value)| {
        let name: HeaderName = name.trim().parse().ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    });
    pair.ok_or_else(|| Failure::usage("--header takes a field as 'Name: value'"))
}

/// One of them; where none is asked for, the only one.
pub(super) fn chosen(entries: Vec<EntryInfo>, number: Option<usize>) -> Result<Option<EntryInfo>> {
    let count = entries.len();
    match number {
        _ if count == 0 => Ok(None),
        None if count > 1 => Err(Failure::usage(format!(
            "{count} variants are stored of this URL: choose one by --variant 1 to {count}, as `cachectl show` numbers them"
        ))),
        number => {
            let index = number.unwrap_or(1).checked_sub(1);
            let entry = index.and_then(|index| entries.into_iter().nth(index));
            let entry = entry
                .ok_or_else(|| Failure::usage(format!("there is no such variant: there are {count}")))?;
            Ok(Some(entry))
        }
    }
}
