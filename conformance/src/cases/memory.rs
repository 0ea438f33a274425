//! Memory does not grow with a body (guarantee 3).

use std::process::Command;

use crate::{
    bench::Bench,
    case::cases,
    draft::Draft,
    failure::{Context, Failure, Outcome, ensure},
    resident,
    store::Store,
};

cases!["memory", patience 2; fifty_mib [Outside, Measured]];

const MIB: u64 = 1024 * 1024;

/// By how much memory may grow: a few dozen frames on their way, and nowhere near the body.
const BOUND: u64 = 24 * MIB;

/// Names the one trial of the process that measures; cases that run beside it would be measured, too.
const MEASURES: &str = "CONFORMANCE_MEASURES";

async fn fifty_mib(bench: Bench) -> Outcome {
    let trial = bench.trial("memory::fifty_mib");
    if std::env::var(MEASURES).is_ok_and(|measures| measures == trial) {
        return measured(&bench).await;
    }
    let ended = tokio::task::spawn_blocking(move || {
        let this = std::env::current_exe()?;
        Command::new(this).args(["--exact", &trial]).env(MEASURES, &trial).output()
    });
    let output = ended.await.map_err(|e| Failure::new(e.to_string()))?;
    let output =
        output.map_err(|e| Failure::new(format!("the process that measures does not start: {e}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // One that found no service, or no such trial, has measured nothing.
    ensure!(
        output.status.success() && said.contains("1 passed"),
        "the process that measures: {}; it said: {said} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

async fn measured(bench: &Bench) -> Outcome {
    let store = bench.open().await?;
    // What connections, caches and the allocator take once is not the body's.
    passes(&store, &bench.draft(bench.key(1)).len(bench.seed(), 3 * MIB)).await.context("a small body")?;
    let draft = bench.draft(bench.key(2)).len(bench.seed(), 50 * MIB);
    resident::forget_peak();
    let before = resident::now()?;
    passes(&store, &draft).await?;
    let grown = resident::peak()?.saturating_sub(before);
    ensure!(
        grown < BOUND,
        "expected memory to grow by less than {} MiB with a body of {} MiB, found {} MiB",
        BOUND / MIB,
        draft.payload.len() / MIB,
        grown / MIB
    );
    Ok(())
}

/// Writes a body frame by frame, and reads it four frames at a time.
async fn passes(store: &Store, draft: &Draft) -> Outcome {
    store.put(draft).await?;
    let found = store.lookup(&draft.key).await?;
    let body = &crate::store::find(&found, draft.variant)?.body;
    for start in (0..body.frames()).step_by(4) {
        let end = start.saturating_add(4).min(body.frames());
        let mut bytes = store.frames(draft.key, draft.variant, body, start..end).await?;
        for index in start..end {
            let expected = draft.payload.frame(index);
            ensure!(bytes.len() >= expected.len(), "frame {index} is cut short");
            ensure!(
                bytes.split_to(expected.len()) == expected,
                "frame {index} holds other bytes than were written"
            );
        }
    }
    Ok(())
}
