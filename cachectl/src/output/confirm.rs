//! Asking before something is destroyed.

use std::io::{self, BufRead, IsTerminal as _, Write};

use crate::failure::Failure;

/// Goes on where *yes* is said on the terminal.
///
/// # Errors
/// [`Failure::Declined`] where it is not, or there is no terminal to ask on.
pub(crate) fn ask(question: &str) -> Result<(), Failure> {
    let (stdin, stderr) = (io::stdin(), io::stderr());
    let is_terminal = stdin.is_terminal() && stderr.is_terminal();
    answered(question, is_terminal, &mut stdin.lock(), &mut stderr.lock())
}

fn answered(
    question: &str,
    is_terminal: bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<(), Failure> {
    if !is_terminal {
        let message = format!("{question} There is no terminal to ask on: say --yes, or try with --dry-run");
        return Err(Failure::Declined(message));
    }
    write!(output, "{question} [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Declined("nothing was changed".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it goes on, and what it wrote.
    fn dialogue(is_terminal: bool, typed: &[u8]) -> (Result<(), String>, String) {
        let mut written = Vec::new();
        let answer = answered("Remove 2 entries?", is_terminal, &mut &*typed, &mut written);
        let answer = answer.map_err(|failure| match failure {
            Failure::Declined(why) => why,
            other => format!("{other:?}"),
        });
        (answer, String::from_utf8(written).unwrap())
    }

    #[test]
    fn only_yes_goes_on() {
        for typed in ["y\n", "Y\n", "yes\r\n", " YES \n", "y", "yes\nno\n"] {
            let asked = "Remove 2 entries? [y/N] ".to_owned();
            assert_eq!(dialogue(true, typed.as_bytes()), (Ok(()), asked), "{typed:?}");
        }
        for typed in ["", "\n", "n\n", "no\n", "yess\n", "\nyes\n", "ja\n"] {
            let (answer, _) = dialogue(true, typed.as_bytes());
            assert_eq!(answer, Err("nothing was changed".to_owned()), "{typed:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_no_yes() {
        assert!(dialogue(true, b"y\xff\n").0.is_err());
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let (answer, written) = dialogue(false, b"yes\n");
        let why = answer.unwrap_err();
        assert!(why.starts_with("Remove 2 entries? ") && why.contains("--yes"), "{why}");
        assert_eq!(written, "");
    }
}
