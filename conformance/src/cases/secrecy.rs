//! What a serializer hides lies nowhere in the store as it is: a storage keeps what it was given, and nothing beside it.

use cache_api::FRAME_SIZE;
use http::HeaderValue;

use crate::{
    bench::{Bench, tag, variant},
    case::cases,
    failure::{Outcome, ensure},
    store::Store,
};

cases!["secrecy"; nothing_lies_open [Dumped, Hiding]];

const URL: &str = "https://origin.example/private/letters?of=nobody-else";
const FIELD: &str = "a word that is in a field";
const NEW_FIELD: &str = "a word of the field's next state";
const REMOVED: &str = "a word of what was removed";
const TAG: &str = "the-name-of-a-tag";

/// Something by which an entry is known, wherever it lies.
struct Trace {
    what: &'static str,
    bytes: Vec<u8>,
    /// Whether a store in the open has it.
    kept: bool,
}

impl Trace {
    fn kept(what: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what, bytes: bytes.into(), kept: true }
    }

    fn gone(what: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what, bytes: bytes.into(), kept: false }
    }

    /// Whether it is there, as bytes or as hex.
    fn lies_in(&self, dump: &[Vec<u8>]) -> bool {
        let hex: String = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = |value: &[u8], what: &[u8]| value.windows(what.len()).any(|window| window == what);
        dump.iter().any(|value| found(value, &self.bytes) || found(value, hex.as_bytes()))
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
    let mut traces = vec![
        Trace::kept("the URL", URL),
        Trace::kept("a field", FIELD),
        Trace::kept("a field of a new head", NEW_FIELD),
        Trace::gone("a field of what was removed", REMOVED),
        Trace::gone("the name of a tag", TAG),
    ];
    let secret = |value| HeaderValue::from_static(value);
    for (number, what, len) in [(1, "an inline body", 2000), (2, "a frame", 2 * FRAME_SIZE as u64 + 1000)] {
        let mut draft = bench.draft(bench.key(number)).header("x-secret", secret(FIELD)).tags(&[tag(TAG)]);
        draft.head.url = URL.into();
        for _ in 0..2 {
            draft = draft.len(bench.seed(), len);
            store.put(&draft).await?;
        }
        store.check(&draft).await?;
        for frame in 0..draft.payload.frames() {
            traces.push(Trace::kept(what, draft.payload.frame(frame).slice(..32)));
        }
    }
    let draft = bench.draft(bench.key(3));
    let written = store.put(&draft).await?;
    store.replace_head(&draft.header("x-secret", secret(NEW_FIELD)), written.version).await?;
    let removed = bench.draft(bench.key(3)).variant(variant(9)).header("x-secret", secret(REMOVED));
    let written = store.put(&removed).await?;
    store.remove_version(&removed.key, written.version).await?;
    Ok(traces)
}
