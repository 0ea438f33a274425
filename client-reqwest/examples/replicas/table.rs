//! The table.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::{support::Process, worker::Counts};

/// Shows what the processes did; live, in place of what was shown before.
pub(crate) fn show(processes: &[(Process, Counts)], asked: u64, elapsed: Duration, live: bool) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "process",
        "requests",
        "lookups in memory",
        "lookups in the store",
        "waited for another",
        "from the origin",
        "memory",
    ]);
    for (process, counts) in processes {
        table.add_row([
            process.child.id().unwrap_or_default().to_string(),
            counts.requests.to_string(),
            counts.in_memory.to_string(),
            counts.in_store.to_string(),
            counts.waited.to_string(),
            counts.fetched.to_string(),
            if counts.trusted { "trusted" } else { "not trusted" }.to_owned(),
        ]);
    }
    for column in 0..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = format!("{table}\n{:>4} s, {asked} requests to the origin", elapsed.as_secs());
    println!("{text}");
    if live {
        // Up to where it began, for the next one.
        print!("\x1b[{}A", text.lines().count());
    }
}
