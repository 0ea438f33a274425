//! Histograms of fixed buckets, drawn in characters.

use std::io::{self, Write};

use serde::Serialize;

use super::style::{BOLD, DIM};

/// How wide the longest bar is.
const WIDTH: u64 = 40;

/// Eighths of a block.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// How many entries lie in each bucket.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Histogram {
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    range: &'static str,
    /// What is less belongs here, if to no bucket before it.
    #[serde(skip)]
    below: i64,
    entries: u64,
    bytes: u64,
}

impl Histogram {
    /// Each bucket with what its values are less than, in order; the last one takes the rest.
    pub(crate) fn new(buckets: &[(i64, &'static str)]) -> Self {
        let bucket = |&(below, range)| Bucket { range, below, entries: 0, bytes: 0 };
        Self { buckets: buckets.iter().map(bucket).collect() }
    }

    pub(crate) fn add(&mut self, value: i64, bytes: u64) {
        let last = self.buckets.len().saturating_sub(1);
        let at = self.buckets.iter().position(|bucket| value < bucket.below).unwrap_or(last);
        if let Some(bucket) = self.buckets.get_mut(at) {
            bucket.entries = bucket.entries.saturating_add(1);
            bucket.bytes = bucket.bytes.saturating_add(bytes);
        }
    }

    /// Draws it, without the empty buckets at both ends.
    pub(crate) fn draw(&self, title: &str, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{BOLD}{title}{BOLD:#}")?;
        let is_filled = |bucket: &Bucket| bucket.entries > 0;
        let Some(first) = self.buckets.iter().position(is_filled) else {
            return writeln!(out, "  {DIM}none{DIM:#}");
        };
        let last = self.buckets.iter().rposition(is_filled).unwrap_or(first);
        let most = self.buckets.iter().map(|bucket| bucket.entries).max().unwrap_or(1);
        for bucket in self.buckets.iter().take(last + 1).skip(first) {
            let bar = bar(bucket.entries, most);
            let line = format!("  {:>21} {:>8}  {bar}", bucket.range, bucket.entries);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A bar as long as its part of the longest; what is not nothing is seen.
fn bar(count: u64, most: u64) -> String {
    let eighths = u128::from(count) * u128::from(WIDTH) * 8 / u128::from(most.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(count > 0));
    "█".repeat(eighths / 8) + EIGHTHS.get(eighths % 8).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKETS: [(i64, &str); 4] = [(0, "below 0"), (10, "0 to 9"), (20, "10 to 19"), (i64::MAX, "more")];

    fn counts(values: &[i64]) -> Vec<u64> {
        let mut histogram = Histogram::new(&BUCKETS);
        values.iter().for_each(|value| histogram.add(*value, 1));
        histogram.buckets.iter().map(|bucket| bucket.entries).collect()
    }

    #[test]
    fn each_value_is_in_one_bucket() {
        assert_eq!(counts(&[-1, i64::MIN]), [2, 0, 0, 0]);
        assert_eq!(counts(&[0, 9, 10, 19, 20]), [0, 2, 2, 1]);
        assert_eq!(counts(&[i64::MAX]), [0, 0, 0, 1]);
    }

    #[test]
    fn the_longest_bar_has_the_width_and_none_that_counts_is_invisible() {
        for (count, most, expected) in [
            (0, 10, ""),
            (1, 1_000_000, "▏"),
            (u64::MAX, u64::MAX, &"█".repeat(40)),
            (5, 10, &"█".repeat(20)),
        ] {
            assert_eq!(bar(count, most), expected);
        }
    }

    #[test]
    fn what_is_empty_at_the_ends_is_not_drawn() {
        let mut histogram = Histogram::new(&BUCKETS);
        histogram.add(15, 1);
        let mut drawn = Vec::new();
        histogram.draw("sizes", &mut drawn).unwrap();
        let drawn = anstream::adapter::strip_bytes(&drawn).into_vec();
        let drawn = String::from_utf8(drawn).unwrap();
        assert_eq!(drawn.lines().count(), 3, "{drawn}");
        assert!(drawn.contains("10 to 19") && !drawn.contains("more"), "{drawn}");
    }
}
