//! Colours. They are taken off where the output is no terminal.

use anstyle::{AnsiColor, Style};
use cache_admin::State;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BAD: Style = colored(AnsiColor::Red);

const fn colored(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(color)))
}

pub(crate) fn of(state: State) -> Style {
    match state {
        State::Fresh => colored(AnsiColor::Green),
        State::Stale => colored(AnsiColor::Yellow),
        State::Expired => DIM,
        _ => BAD,
    }
}
