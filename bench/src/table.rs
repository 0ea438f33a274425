//! The table after the lines.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::report::Line;

/// All lines, with how many times as long ours takes as each of the others.
pub(crate) fn of(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "case",
        "storage",
        "body",
        "callers",
        "subject",
        "ops/s",
        "p50 µs",
        "p99 µs",
        "time: ours / this",
        "rate: ours / this",
        "beside that",
    ]);
    for line in lines {
        table.add_row(vec![
            Cell::new(line.setting.case),
            Cell::new(&line.setting.storage),
            number(line.setting.body.to_string()),
            number(line.setting.concurrency.to_string()),
            Cell::new(&line.subject),
            number(format!("{:.0}", line.ops_per_s)),
            number(format!("{:.2}", line.p50_us)),
            number(format!("{:.2}", line.p99_us)),
            ratio(line.ours_time_over_this),
            ratio(line.ours_rate_over_this),
            Cell::new(beside(&line.extra)),
        ]);
    }
    table
}

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn ratio(ratio: Option<f64>) -> Cell {
    number(ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")))
}

fn beside(extra: &BTreeMap<&str, f64>) -> String {
    extra.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("\n")
}
