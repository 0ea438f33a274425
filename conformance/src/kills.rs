//! Writers that are killed in the middle of their work, and what is found of it afterwards.

use std::{
    collections::HashMap,
    ffi::OsString,
    future::Future,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use cache_api::{Body, Change, FRAME_SIZE, Storage};

use crate::{
    Opened, Presence,
    clock::later,
    sample::{entry, inline, is_stored, key, start, stored},
    services::Trials,
};

/// Makes a process of this program a writer in that directory.
const WRITER: &str = "CACHE_CONFORMANCE_WRITER";
/// The number of its first change.
const FIRST: &str = "CACHE_CONFORMANCE_FIRST";
/// How many writers are killed; [`FEW`] where it is not set.
const KILLS: &str = "CONFORMANCE_KILLS";
const FEW: u64 = 25;
const KEYS: u64 = 8;
/// No writer makes as many changes before it is killed.
const CHANGES: u64 = 1_000_000;

/// A storage in a directory, whose writers are killed (SIGKILL) at random moments: 25 of them, or as many as
/// `CONFORMANCE_KILLS` says.
///
/// A writer replaces, removes and freshens eight resources, with bodies of up to three frames, and says what it begins
/// and what is done. After each kill the storage must open; hold of each resource what was done last or what was under
/// way, whole; and take further writers. In the end a sweep must leave nothing of what was never committed.
#[derive(Clone, Copy, Debug)]
pub struct Kills<O, L> {
    backend: &'static str,
    open: O,
    left: L,
}

impl<O, OpenFut, L, LeftFut> Kills<O, L>
where
    O: Fn(PathBuf) -> OpenFut + Copy + Send + Sync + 'static,
    OpenFut: Future<Output = Opened>,
    L: Fn(PathBuf) -> LeftFut + Copy + Send + Sync + 'static,
    LeftFut: Future<Output = u64>,
{
    /// Of the storage that `open` opens in a directory; `left` counts the frames of bodies that lie there.
    pub fn new(backend: &'static str, open: O, left: L) -> Self {
        Self { backend, open, left }
    }

    /// Runs as this process's test harness, whose arguments are libtest's; or writes, where another one began it.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let Some(directory) = std::env::var_os(WRITER) else {
            let case = move || self.kill_all();
            return Trials::new(self.backend, Presence::Here).case("nothing_is_torn_by_kills", case).run();
        };
        let written = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(self.write(directory)));
        match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "a writer failed: {error}");
                ExitCode::FAILURE
            }
        }
    }

    #[expect(clippy::panic, clippy::expect_used, reason = "a trial fails by panicking")]
    async fn kill_all(self) {
        let kills = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(FEW);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut told = HashMap::new();
        let (mut changes, mut under_way) = (0, 0);
        for kill in 0..kills {
            let lines = written(directory.path(), kill * CHANGES + 1).expect("a writer");
            changes += lines.iter().filter(|line| line.starts_with("done")).count();
            let open =
                keep(&mut told, &lines).unwrap_or_else(|| panic!("kill {kill}: a writer said {lines:?}"));
            under_way += u64::from(open);
            let storage = (self.open)(directory.path().to_owned()).await;
            let storage = storage.unwrap_or_else(|e| panic!("kill {kill}: it does not open: {e}"));
            for number in 0..KEYS {
                if let Err(why) = check(&*storage, number, told.get_mut(&number)).await {
                    panic!("kill {kill}, resource {number}: {why}");
                }
            }
            storage.close().await.unwrap_or_else(|e| panic!("kill {kill}: it does not close: {e}"));
        }
        let before = (self.left)(directory.path().to_owned()).await;
        let storage = (self.open)(directory.path().to_owned()).await.expect("a storage");
        for days in [3, 6, 9] {
            let listing = storage.abilities().listing.expect("a storage that sweeps");
            listing.sweep(later(start(), Duration::from_secs(days * 24 * 3600))).await.expect("a sweep");
        }
        storage.close().await.expect("a storage that closes");
        let left = (self.left)(directory.path().to_owned()).await;
        assert_eq!(left, 0, "frames are left of {before}");
        let _ = writeln!(
            std::io::stdout(),
            "{}: {kills} kills, {under_way} of them within a change; {changes} changes done; {before} frames, all swept",
            self.backend
        );
    }

    async fn write(self, directory: OsString) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let storage = (self.open)(directory.into()).await?;
        let first: u64 = std::env::var(FIRST)?.parse()?;
        for change in first.. {
            say("begun", change)?;
            let done = apply(&*storage, change).await?;
            say(if done { "done" } else { "void" }, change)?;
        }
        Ok(())
    }
}

fn say(what: &str, change: u64) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{what} {change}")?;
    output.flush()
}

/// What a change does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Small,
    Large,
    Head,
    Remove,
}

fn kind(change: u64) -> Kind {
    match (change / KEYS) % 8 {
        0 | 3 | 5 => Kind::Large,
        2 => Kind::Remove,
        4 | 6 => Kind::Head,
        _ => Kind::Small,
    }
}

/// The bytes of a change's body, all alike, and their number.
fn body(change: u64) -> (u8, usize) {
    let byte = u8::try_from(change % 251).unwrap_or_default();
    let frames = usize::try_from(change % 3).unwrap_or_default();
    (byte, if kind(change) == Kind::Large { frames * FRAME_SIZE + 1000 } else { 5000 })
}

/// Makes one change; whether it came through.
async fn apply(storage: &dyn Storage, change: u64) -> cache_api::Result<bool> {
    let (now, key, (byte, len)) = (start(), key(change % KEYS), body(change));
    let found = storage.lookup(&key, now).await?;
    // The number of the change, and of that which brought the body.
    let entry = |brought: u64| entry(key, &format!("{change} {brought}"), now);
    let (entry, replaced) = match (kind(change), found.variants().first()) {
        (Kind::Remove, _) => return storage.remove(&key, None, now).await.map(|_| true),
        (Kind::Head, Some(variant)) => {
            let (_, brought) = numbers(variant.head.bytes().await?).unwrap_or_default();
            (entry(brought), Change::Keep(variant.version))
        }
        (Kind::Large, _) => {
            let body = stored(storage, found.ticket(), byte, len, now).await?;
            (entry(change), Change::Put(Body::Stored(body)))
        }
        _ => (entry(change), Change::Put(inline(vec![byte; len])?)),
    };
    Ok(is_stored(&storage.commit(found.ticket(), entry, replaced, now).await?))
}

/// Starts a writer and kills it; all that it said.
fn written(directory: &Path, first: u64) -> std::io::Result<Vec<String>> {
    let mut writer: Child = Command::new(std::env::current_exe()?)
        .env(WRITER, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = writer.stdout.take().ok_or_else(|| std::io::Error::other("no output"))?;
    let mut lines = BufReader::new(output).lines();
    let began = lines.next().transpose()?;
    let mut random = [0; 2];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    std::thread::sleep(Duration::from_micros(u64::from(u16::from_le_bytes(random))));
    writer.kill()?;
    writer.wait()?;
    // The last line may be cut off.
    Ok(began.into_iter().chain(lines.map_while(Result::ok)).collect())
}

/// What is known of a resource: the last change that was done, and one that was under way.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    done: u64,
    begun: Option<u64>,
}

/// Adds what a writer said. Whether it was killed within a change; `None` where it said nothing.
fn keep(told: &mut HashMap<u64, Told>, lines: &[String]) -> Option<bool> {
    let mut open = None;
    for line in lines {
        let Some((what, change)) = line.split_once(' ') else { continue };
        let Ok(change) = change.parse::<u64>() else { continue };
        let resource = told.entry(change % KEYS).or_default();
        match what {
            "begun" => (resource.begun, open) = (Some(change), Some(true)),
            "done" => (*resource, open) = (Told { done: change, begun: None }, Some(false)),
            "void" => (resource.begun, open) = (None, Some(false)),
            _ => {}
        }
    }
    open
}

/// That a resource is what one of the changes left behind that may have been the last. What is found is what counts from
/// here on.
async fn check(storage: &dyn Storage, number: u64, told: Option<&mut Told>) -> Result<(), String> {
    let failed = |e: cache_api::Error| e.to_string();
    let found = storage.lookup(&key(number), start()).await.map_err(failed)?;
    let mut unknown = Told::default();
    let told = told.unwrap_or(&mut unknown);
    let Some(variant) = found.variants().first() else {
        let gone = |change: u64| change == 0 || kind(change) == Kind::Remove;
        if !gone(told.done) && !told.begun.is_some_and(gone) {
            return Err(format!("nothing is found after {told:?}"));
        }
        *told = Told::default();
        return Ok(());
    };
    let head = variant.head.bytes().await.map_err(failed)?;
    let (change, brought) = numbers(head).ok_or_else(|| format!("a torn head: {head:?}"))?;
    if change != told.done && Some(change) != told.begun {
        return Err(format!("change {change} is found after {told:?}"));
    }
    let (byte, len) = body(brought);
    let frames = match &variant.body {
        Body::Inline(body) => vec![body.frame.clone()],
        Body::Stored(body) => storage.read(&key(number), body.id, 0..body.frames).await.map_err(failed)?,
    };
    let mut read = 0;
    for frame in frames {
        let bytes = frame.bytes().await.map_err(failed)?;
        if bytes.iter().any(|found| *found != byte) {
            return Err(format!("a torn body of change {brought}"));
        }
        read += bytes.len();
    }
    if read != len || variant.body.len() != len as u64 {
        return Err(format!("{read} bytes of {len} of change {brought}"));
    }
    *told = Told { done: change, begun: None };
    Ok(())
}

fn numbers(head: &[u8]) -> Option<(u64, u64)> {
    let (change, brought) = std::str::from_utf8(head).ok()?.split_once(' ')?;
    Some((change.parse().ok()?, brought.parse().ok()?))
}
