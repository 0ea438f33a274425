//! A large body, stored as it comes and read back. Each pass is a process of its own, whose memory tells of it alone.

use std::time::{Duration, Instant, SystemTime};

use client_reqwest::cache_api::Body;
use client_reqwest::{CachedClient, ResponseExt, Source};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::cli::{Common, Pass, StreamChild};
use crate::measure::{Measured, median, turn};
use crate::origin::{Origin, check};
use crate::report::{Report, Setting, rounded};
use crate::subject::get::Get;
use crate::subject::store::Store;
use crate::subject::{floor, ours, plain, store};
use crate::{Error, Result};

/// What a child says of a pass.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Passed {
    first_us: f64,
    total_us: f64,
    /// How far the process grew beyond what it had at its beginning, connected and idle.
    peak_kib: u64,
}

pub(crate) async fn run(common: &Common, report: &mut Report) -> Result<()> {
    let origin = Origin::start().await?;
    for body in common.bodies(1 << 30) {
        if common.storage.is_empty() {
            compared(common, &origin, body, None, report).await?;
        }
        for store in &common.storage {
            compared(common, &origin, body, Some(Store::at(store)), report).await?;
        }
    }
    Ok(())
}

async fn compared(
    common: &Common,
    origin: &Origin,
    body: usize,
    given: Option<Store>,
    report: &mut Report,
) -> Result<()> {
    let mut all: Vec<(Pass, Vec<Passed>)> =
        [Pass::Plain, Pass::Cold, Pass::Hit, Pass::Floor].map(|pass| (pass, Vec::new())).into();
    let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    let mut shown = None;
    for round in 0..common.few_rounds() {
        // A new file each time, which is gone afterwards.
        let own = if given.is_none() { Some(store::sqlite("?max_size=none")?) } else { None };
        let store = given.as_ref().or(own.as_ref()).ok_or("no store")?;
        let url = origin.url(&format!("items/{began}-{round}"), &format!("body={body}"));
        eprintln!("stream, {store}, {body} bytes, round {}", round + 1);
        // What is in memory is gone with its process; elsewhere a hit follows what stored it.
        let mut turns: Vec<&[Pass]> = if store.is_memory() {
            vec![&[Pass::Plain], &[Pass::Cold, Pass::Hit]]
        } else {
            vec![&[Pass::Plain], &[Pass::Cold], &[Pass::Hit], &[Pass::Floor]]
        };
        if store.is_memory() {
            turn(&mut turns, round);
        } else if round % 2 == 1 {
            turns.swap(2, 3);
        }
        for passes in turns {
            for (pass, passed) in passes.iter().zip(spawn(store, &url, body, passes).await?) {
                let kept = all.iter_mut().find(|(known, _)| known == pass);
                if let (Some((_, kept)), Some(passed)) = (kept, passed) {
                    kept.push(passed);
                }
            }
        }
        shown = Some(Setting::new("", store, body, 1));
    }
    let setting = shown.ok_or("no round")?;
    for (case, own, other, name) in [
        ("stream, stored", Pass::Cold, Pass::Plain, "plain"),
        ("stream, hit", Pass::Hit, Pass::Floor, "floor"),
    ] {
        let of = |pass| all.iter().find(|(known, _)| *known == pass).map_or(&[][..], |(_, passed)| passed);
        let measured = [measured("ours", of(own), body)?, measured(name, of(other), body)?];
        let measured: Vec<_> = measured.into_iter().filter(|one| one.ops > 0).collect();
        report.add(&Setting { case, ..setting.clone() }, &measured)?;
    }
    Ok(())
}

fn measured(name: &str, passed: &[Passed], body: usize) -> Result<Measured> {
    let mut measured = Measured::new(name);
    for one in passed {
        measured.add(&[Duration::from_secs_f64(one.total_us / 1e6)])?;
    }
    if !passed.is_empty() {
        let of = |value: fn(&Passed) -> f64| median(passed.iter().map(value));
        let mib_per_s = body as f64 / f64::from(1 << 20) / (of(|one| one.total_us) / 1e6);
        measured.extra.insert("mib_per_s", rounded(mib_per_s));
        measured.extra.insert("first_byte_us", rounded(of(|one| one.first_us)));
        measured.extra.insert("peak_mib", rounded(of(|one| one.peak_kib as f64 / 1024.0)));
    }
    Ok(measured)
}

async fn spawn(store: &Store, url: &str, body: usize, passes: &[Pass]) -> Result<Vec<Option<Passed>>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["stream-child", "--storage", &store.url, "--url", url, "--body", &body.to_string()]);
    for pass in passes {
        command.args(["--pass", &format!("{pass:?}").to_lowercase()]);
    }
    let output = command.kill_on_drop(true).output().await?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("a process for {passes:?} failed: {}", why.trim()).into());
    }
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .take(passes.len())
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
}

/// What a child does.
pub(crate) async fn child(told: &StreamChild) -> Result<()> {
    let store = Store::at(&told.storage);
    let plain = plain::client()?;
    let cached = if told.pass == [Pass::Plain] { None } else { Some(ours::client(&store).await?) };
    let idle = memory("VmRSS:")?;
    for pass in &told.pass {
        // The peak begins anew.
        std::fs::write("/proc/self/clear_refs", "5")?;
        let began = Instant::now();
        let first = match (pass, &cached) {
            (Pass::Plain, _) => Some(streamed(&plain, told).await?),
            (Pass::Cold, Some(client)) => Some(streamed(client, told).await?),
            (Pass::Hit, Some(client)) => {
                must_hit(client, told).await?;
                Some(streamed(client, told).await?)
            }
            (Pass::Floor, Some(client)) => floored(client, &store, told).await?,
            (_, None) => return Err("no client".into()),
        };
        let (first, began) = first.map_or((None, began), |(first, began)| (Some(first), began));
        let total = began.elapsed();
        let passed = match first {
            Some(first) => Some(Passed {
                first_us: first.as_secs_f64() * 1e6,
                total_us: total.as_secs_f64() * 1e6,
                peak_kib: memory("VmHWM:")?.saturating_sub(idle),
            }),
            None => None,
        };
        println!("{}", serde_json::to_string(&passed)?);
    }
    if let Some(client) = cached {
        client.close().await;
    }
    Ok(())
}

/// The time until the first piece, and when it began.
async fn streamed<C: Get>(client: &C, told: &StreamChild) -> Result<(Duration, Instant)> {
    let began = Instant::now();
    let (first, len) = client.stream(&told.url).await?;
    check(len, told.body)?;
    Ok((first, began))
}

/// That the answer comes out of the store; its body is left.
async fn must_hit(client: &CachedClient, told: &StreamChild) -> Result<()> {
    let response = client.get(&told.url).only_if_cached().send().await?;
    match response.cache_info().map(|info| info.source) {
        Some(Source::Store) => Ok(()),
        _ => Err(Error::from(
            "the body was not stored: see max_entry_size and the like in the storage's README",
        )),
    }
}

async fn floored(
    client: &CachedClient,
    store: &Store,
    told: &StreamChild,
) -> Result<Option<(Duration, Instant)>> {
    let response = client.get(&told.url).only_if_cached().send().await?;
    let key = response.cache_info().and_then(|info| info.key).ok_or("the answer has no key")?;
    drop(response);
    let storage = client.storage().ok_or("no storage")?;
    let found = storage.lookup(&key, SystemTime::now()).await?;
    let variant = found.variants().first().ok_or("the body is not there")?;
    let Body::Stored(body) = &variant.body else {
        return Err("the body is too small to be in frames".into());
    };
    let stored = floor::Stored { store, namespace: storage.namespace(), key: &key };
    let began = Instant::now();
    let Some((first, len)) = floor::stream(stored, body).await? else { return Ok(None) };
    if len < told.body {
        return Err(format!("{len} bytes instead of at least {}", told.body).into());
    }
    Ok(Some((first, began)))
}

/// A line of `/proc/self/status`, in KiB.
fn memory(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
