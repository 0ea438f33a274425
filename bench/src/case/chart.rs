//! A chart of what a hit takes, by storage, from the lines of earlier runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::Result;
use crate::cli::Chart;

/// What a line says, as far as it is drawn.
#[derive(Clone, Debug, Deserialize)]
struct Point {
    case: String,
    subject: String,
    storage: String,
    body: usize,
    concurrency: u32,
    p50_us: f64,
}

const WIDTH: f64 = 860.0;
/// Where bars begin, and how long the longest may be.
const LEFT: f64 = 330.0;
const SPAN: f64 = 440.0;
const BAR: f64 = 18.0;

/// Draws the chart.
pub(crate) fn run(chart: &Chart) -> Result<()> {
    let text = std::fs::read_to_string(&chart.from)?;
    // The table after the lines is passed over.
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let points = lines.map(serde_json::from_str).collect::<std::result::Result<Vec<Point>, _>>()?;
    let drawn: Vec<_> = points
        .into_iter()
        .filter(|point| point.case == "hit" || point.case == "hit-peers")
        .filter(|point| point.body == chart.body && point.concurrency == 1)
        .collect();
    if drawn.is_empty() {
        return Err("no line is of a hit by one caller with a body of that size".into());
    }
    std::fs::write(&chart.out, svg(&drawn, chart.body))?;
    Ok(())
}

/// Bars on a logarithmic scale: a hit in memory and one in a remote store differ by three orders of magnitude.
fn svg(points: &[Point], body: usize) -> String {
    let slowest = points.iter().map(|point| point.p50_us).fold(1.0, f64::max);
    let fastest = points.iter().map(|point| point.p50_us).fold(slowest, f64::min);
    // Whole decades around all of them.
    let (from, to) = (fastest.max(1e-3).log10().floor(), slowest.log10().ceil());
    let at = |micros: f64| {
        LEFT + SPAN * ((micros.max(1e-3).log10() - from) / (to - from).max(1.0)).clamp(0.0, 1.0)
    };

    let mut bars = String::new();
    let mut top = 64.0;
    for (case, title) in [("hit", "against the store's own driver"), ("hit-peers", "against other caches")] {
        let storages: BTreeSet<_> =
            points.iter().filter(|point| point.case == case).map(|point| &point.storage).collect();
        for storage in storages {
            let _ = writeln!(
                bars,
                r#"<text x="12" y="{:.0}" class="group">{}, {title}</text>"#,
                top + 13.0,
                escaped(storage)
            );
            top += 22.0;
            let mut group: Vec<_> =
                points.iter().filter(|point| point.case == case && point.storage == *storage).collect();
            group.sort_by(|a, b| a.p50_us.total_cmp(&b.p50_us));
            for point in group {
                let class = if point.subject == "ours" { "ours" } else { "other" };
                let end = at(point.p50_us);
                let _ = writeln!(
                    bars,
                    r#"<text x="{:.0}" y="{:.1}" class="name">{}</text><rect x="{LEFT:.0}" y="{top:.0}" width="{:.1}" height="{:.0}" class="{class}"/><text x="{:.1}" y="{:.1}">{} µs</text>"#,
                    LEFT - 8.0,
                    top + 12.5,
                    escaped(&point.subject),
                    (end - LEFT).max(1.0),
                    BAR - 4.0,
                    end + 6.0,
                    top + 12.5,
                    three_digits(point.p50_us),
                );
                top += BAR;
            }
            top += 10.0;
        }
    }

    let mut axis = String::new();
    let mut decade = from;
    while decade <= to {
        let (x, micros) = (at(10_f64.powf(decade)), 10_f64.powf(decade));
        let _ = writeln!(
            axis,
            r#"<line x1="{x:.1}" x2="{x:.1}" y1="52" y2="{top:.0}"/><text x="{x:.1}" y="46" class="tick">{micros} µs</text>"#
        );
        decade += 1.0;
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0} {height:.0}" font-family="sans-serif" font-size="12">
<style>text{{fill:#222}}.title{{font-size:15px}}.group{{font-weight:bold}}.name{{text-anchor:end}}.tick{{text-anchor:middle;fill:#666}}line{{stroke:#ddd}}.ours{{fill:#1b7f5c}}.other{{fill:#9aa4ae}}</style>
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="22" class="title">What a hit takes: median, {body} bytes, one caller (logarithmic)</text>
{axis}{bars}</svg>
"#,
        height = top + 8.0,
    )
}

fn three_digits(micros: f64) -> String {
    match micros {
        below if below < 10.0 => format!("{below:.2}"),
        below if below < 100.0 => format!("{below:.1}"),
        other => format!("{other:.0}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(subject: &str, p50_us: f64) -> Point {
        let (case, storage) = ("hit".to_owned(), "memory".to_owned());
        Point { case, subject: subject.to_owned(), storage, body: 1024, concurrency: 1, p50_us }
    }

    #[test]
    fn a_longer_time_is_a_longer_bar() {
        let drawn = svg(&[point("ours", 2.0), point("a<b", 200.0)], 1024);
        let widths: Vec<f64> = drawn
            .split("<rect x=")
            .skip(1)
            .filter_map(|bar| bar.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths.len(), 2);
        assert!(widths[0] < widths[1], "{widths:?}");
        assert!(drawn.contains("a&lt;b") && drawn.contains("200 µs"));
    }
}
