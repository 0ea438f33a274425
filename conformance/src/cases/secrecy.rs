//! What a serializer hides lies nowhere in the store as it is: a storage keeps what it was given, and nothing beside it.

use cache_api::FRAME_SIZE;
use http::HeaderValue;
use memchr::memmem::Finder;

use crate::{
    bench::{Bench, tag, variant},
    case::cases,
    failure::{Failure, Outcome, ensure},
    store::Store,
};

cases!["secrecy"; nothing_lies_open [Dumped, Hiding]];

/// Something by which an entry is known, wherever it lies.
pub(super) struct Trace {
    pub(super) what: &'static str,
    bytes: Vec<u8>,
    /// Whether a store in the open has it.
    pub(super) kept: bool,
}

impl Trace {
    pub(super) fn kept(what: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what, bytes: bytes.into(), kept: true }
    }

    pub(super) fn gone(what: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what, bytes: bytes.into(), kept: false }
    }

    /// Whether it is there, as bytes or as hex.
    pub(super) fn lies_in(&self, dump: &[Vec<u8>]) -> bool {
        let hex: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (bytes, hex) = (Finder::new(&self.bytes), Finder::new(&hex));
        dump.iter().any(|value| bytes.find(value).is_some() || hex.find(value).is_some())
    }
}

async fn nothing_lies_open(bench: Bench) -> Outcome {
    let traces = fill(&bench, &bench.open().await?).await?;
    let dump = bench.dump("").await?;
    for trace in traces.iter().filter(|trace| trace.kept) {
        let what = trace.what;
        ensure!(trace.lies_in(&dump), "{what} is not in the dump of a store in the open: it proves nothing");
    }
    let traces = fill(&bench, &bench.open_hidden("-hidden").await?).await?;
    let dump = bench.dump("-hidden").await?;
    for trace in traces {
        ensure!(!trace.lies_in(&dump), "{} lies in the store as it is", trace.what);
    }
    Ok(())
}

/// Stores bodies of both kinds, replaces them, gives an entry a new head, and removes one: what is left behind counts, too.
async fn fill(bench: &Bench, store: &Store) -> Outcome<Vec<Trace>> {
    // The store may hold other namespaces, too: what is looked for is in none of them.
    let here = store.storage.namespace();
    let url = format!("https://origin.example/private/{here}/letters?of=nobody-else");
    let [field, new_field, removed_field, tag_name] =
        ["a word", "a new head's word", "a removed word", "tag"].map(|word| format!("{word} of {here}"));
    let mut traces = vec![
        Trace::kept("the URL", &*url),
        Trace::kept("a field", &*field),
        Trace::kept("a field of a new head", &*new_field),
        Trace::gone("a field of what was removed", &*removed_field),
        Trace::gone("the name of a tag", &*tag_name),
    ];
    let secret = |value: &str| HeaderValue::from_str(value).map_err(|e| Failure::of(&e));
    for (number, what, len) in [(1, "an inline body", 2000), (2, "a frame", 2 * FRAME_SIZE as u64 + 1000)] {
        let mut draft =
            bench.draft(bench.key(number)).header("x-secret", secret(&field)?).tags(&[tag(&tag_name)]);
        draft.head.url = url.as_str().into();
        for _ in 0..2 {
            draft = draft.len(bench.own_seed(), len);
            store.put(&draft).await?;
        }
        store.check(&draft).await?;
        for frame in 0..draft.payload.frames() {
            traces.push(Trace::kept(what, draft.payload.frame(frame).slice(..32)));
        }
    }
    let draft = bench.draft(bench.key(3));
    let written = store.put(&draft).await?;
    store.replace_head(&draft.header("x-secret", secret(&new_field)?), written.version).await?;
    let removed = bench.draft(bench.key(3)).variant(variant(9)).header("x-secret", secret(&removed_field)?);
    let written = store.put(&removed).await?;
    store.remove_version(&removed.key, written.version).await?;
    Ok(traces)
}
