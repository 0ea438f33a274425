//! What each replica answered, as a table.

use comfy_table::{ContentArrangement, Table, presets};
use reqwest::Method;

use crate::replica::Answer;

/// One request.
pub(crate) struct Row {
    pub(crate) replica: String,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) answer: Answer,
    /// How often the origin was asked for that path by then.
    pub(crate) asked: u64,
}

pub(crate) fn of(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["request", "by", "status", "came from", "content", "Cache-Status", "origin asked"]);
    for Row { replica, method, path, answer, asked } in rows {
        let content = match answer.content.len() {
            length @ 100.. => format!("{length} bytes"),
            _ => answer.content.clone(),
        };
        let status = answer.status.as_u16().to_string();
        let request = format!("{method} {path}");
        let cells = [&request, replica, &status, &answer.came_from, &content, &answer.cache_status];
        table.add_row(cells.into_iter().cloned().chain([asked.to_string()]));
    }
    table
}
