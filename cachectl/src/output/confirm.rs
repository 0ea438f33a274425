//! Asking before something is destroyed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Goes on where `yes` was said on the command line, or is said now.
///
/// # Errors
/// [`Failure::Declined`] where it is not, or there is no terminal to ask on.
pub(crate) fn ask(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        let message = format!("{question} There is no terminal to ask on: say --yes, or try with --dry-run");
        return Err(Failure::Declined(message));
    }
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Declined("nothing was changed".to_owned())),
    }
}
