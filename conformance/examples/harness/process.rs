//! One more process of this program.

use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Result, checker, stampede};

/// What a process is started for, as JSON. Not an argument, which all users of a machine can read: the URL of a store
/// may have a password.
const VARIABLE: &str = "CACHE_CONFORMANCE_ROLE";

/// What a process says when it is ready.
pub(crate) const READY: &str = "ready";

/// What one of the processes does.
#[derive(Serialize, Deserialize)]
pub(crate) enum Role {
    /// Many requests for one resource, at once.
    Stampede { number: u32, storage: String, resource: String, requests: u32 },
    /// What its input says.
    Checker { storage: String, origin: String },
}

impl Role {
    /// What this process was started for; `None` where it is the first.
    pub(crate) fn given() -> Result<Option<Self>> {
        std::env::var(VARIABLE).ok().map(|role| Ok(serde_json::from_str(&role)?)).transpose()
    }

    pub(crate) async fn play(self) -> Result<()> {
        match self {
            Self::Stampede { number, storage, resource, requests } => {
                stampede::worker::work(number, &storage, &resource, requests).await
            }
            Self::Checker { storage, origin } => checker::worker::work(&storage, &origin).await,
        }
    }
}

/// Whether this process was started by another of its program.
pub(crate) fn is_child() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// A process of this program that is ready. It ends with this value.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) input: ChildStdin,
    pub(crate) output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) async fn start(role: &Role) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(VARIABLE, serde_json::to_string(role)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("a process without an input")?;
        let output = child.stdout.take().ok_or("a process without an output")?;
        let mut output = BufReader::new(output).lines();
        match output.next_line().await? {
            Some(line) if line == READY => Ok(Self { child, input, output }),
            _ => Err("a process does not get ready".into()),
        }
    }
}
