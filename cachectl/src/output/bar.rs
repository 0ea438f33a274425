//! How far long work is, on a terminal alone.

use std::{fmt::Write as _, time::Duration};

use cache_admin::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// A bar on stderr; nothing where that is no terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} entries  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    pub(crate) fn show(&self, progress: &Progress) {
        if let Some(total) = progress.total
            && self.0.length() != Some(total.max(progress.seen))
        {
            let template = "{wide_bar} {pos}/{len} entries  {msg}  {elapsed}, {eta} to go";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.0.set_style(style);
            }
            self.0.set_length(total.max(progress.seen));
        }
        self.0.set_position(progress.seen);
        let mut message = HumanBytes(progress.bytes).to_string();
        if let Some(rate) = rate(progress.bytes, self.0.elapsed()) {
            let _ = write!(message, "  {}/s", HumanBytes(rate));
        }
        self.0.set_message(message);
    }

    /// Writes something while the bar is out of the way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Bytes a second; none within the first moment.
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> Option<u64> {
    let millis = elapsed.as_millis().max(1);
    let rate = u128::from(bytes).saturating_mul(1000) / millis;
    (millis >= 100).then(|| rate.try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bytes_by_seconds() {
        for (bytes, millis, expected) in
            [(1000, 500, Some(2000)), (1000, 99, None), (0, 1000, Some(0)), (u64::MAX, 100, Some(u64::MAX))]
        {
            assert_eq!(rate(bytes, Duration::from_millis(millis)), expected);
        }
    }
}
