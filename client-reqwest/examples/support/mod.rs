//! What the examples share: telling what went wrong, and starting more of themselves.

#![allow(dead_code, reason = "each example uses its part")]

use std::{error::Error, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A process of this program, which ends with this value.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) input: ChildStdin,
    pub(crate) output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("a process without an input")?;
        let output = child.stdout.take().ok_or("a process without an output")?;
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }
}

/// The storage's URL with a namespace of this run's own: all is cold, and nothing of it is left behind.
pub(crate) fn with_own_namespace(storage: &str, prefix: &str) -> Result<String> {
    let separator = if storage.contains('?') { '&' } else { '?' };
    let mut id = [0; 8];
    getrandom::fill(&mut id)?;
    Ok(format!("{storage}{separator}namespace={prefix}-{:016x}", u64::from_le_bytes(id)))
}

/// An error and what caused it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
