use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{NotStarted, PATIENCE};

/// How often a service that is starting is asked whether it is ready.
const PAUSE: Duration = Duration::from_millis(10);

/// Stops the process group of `$1` and deletes the directory `$2` when its standard input ends: when the
/// owner closes it, or is gone, by whatever signal. A line read names the group of a server that was started again; an
/// empty one says that there is none.
#[cfg(unix)]
const WATCH: &str = r#"
group=$1
while read -r next; do group=$next; done
if [ -n "$group" ]; then
    kill -s TERM -- "-$group" 2>/dev/null
    tries=0
    while kill -0 -- "-$group" 2>/dev/null && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.05; done
    kill -s KILL -- "-$group" 2>/dev/null
fi
rm -rf -- "$2"
"#;

/// A server that was started, with a directory of its own.
///
/// Dropping it ends the server and all that it started, and deletes the directory; so does the end of this
/// process, a `SIGKILL` included.
#[derive(Debug)]
pub struct Process {
    child: Child,
    command: Command,
    #[cfg(unix)]
    watch: Child,
    /// Kept where nobody watches, else left to the watch.
    _directory: Option<TempDir>,
    log: PathBuf,
}

impl Process {
    /// Starts a server; its output goes into a file of its directory.
    ///
    /// # Errors
    /// [`NotStarted::Failed`] when it cannot be started.
    pub fn start(command: Command, directory: TempDir) -> Result<Self, NotStarted> {
        let log = directory.path().join("output.log");
        Self::launch(command, directory, log)
            .map_err(|e| NotStarted::failed("the server cannot be started", e))
    }

    #[cfg(unix)]
    fn launch(mut command: Command, directory: TempDir, log: PathBuf) -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let output = File::create(&log)?;
        let errors = output.try_clone()?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let mut child = command.spawn()?;
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH, "watch"]).arg(child.id().to_string()).arg(directory.path());
        // A group of its own: what a terminal sends to the tests is not for it.
        watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        match watch.spawn() {
            Ok(watch) => {
                let _ = directory.keep();
                Ok(Self { child, command, watch, _directory: None, log })
            }
            Err(cause) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(cause)
            }
        }
    }

    #[cfg(not(unix))]
    fn launch(mut command: Command, directory: TempDir, log: PathBuf) -> io::Result<Self> {
        let output = File::create(&log)?;
        let errors = output.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()?;
        Ok(Self { child, command, _directory: Some(directory), log })
    }

    /// Waits until `ready` says that the server answers.
    ///
    /// # Errors
    /// [`NotStarted::Failed`], with the end of the server's output, when the server ended or did not answer
    /// in time.
    pub fn until_ready(mut self, mut ready: impl FnMut() -> bool) -> Result<Self, NotStarted> {
        let attempts = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..attempts {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("the server ended at once ({status})")));
            }
            if ready() {
                return Ok(self);
            }
            std::thread::sleep(PAUSE);
        }
        Err(self.failure("the server did not answer in time"))
    }

    fn failure(&self, what: &str) -> NotStarted {
        let output = fs::read(&self.log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        let mut last: Vec<&str> = output.lines().rev().take(5).collect();
        last.reverse();
        NotStarted::Failed(format!("{what}; it said: {}", last.join(" / ")))
    }

    /// The server's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file with the server's output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Kills the server at once with all that it started, as a crash does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        #[cfg(unix)]
        {
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -s KILL -- \"-$1\"", "kill"]).arg(self.id().to_string());
            kill.stderr(Stdio::null()).status()?;
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let status = self.child.wait()?;
        self.watch_over("")?;
        Ok(status)
    }

    /// Starts the server again, after it was [killed](Self::kill) or ended: by the same command, so at the same port and
    /// over the same directory. Waits until `ready` says that it answers.
    ///
    /// # Errors
    /// [`NotStarted::Failed`] when it does not answer in time.
    pub fn restart(&mut self, mut ready: impl FnMut() -> bool) -> Result<(), NotStarted> {
        let failed = |e| NotStarted::failed("the server cannot be started again", e);
        self.child = self.command.spawn().map_err(failed)?;
        self.watch_over(&self.id().to_string()).map_err(failed)?;
        let attempts = PATIENCE.as_millis() / PAUSE.as_millis();
        for _ in 0..attempts {
            if let Ok(Some(_)) = self.child.try_wait() {
                // What the one before held may not be free yet.
                std::thread::sleep(10 * PAUSE);
                self.child = self.command.spawn().map_err(failed)?;
                self.watch_over(&self.id().to_string()).map_err(failed)?;
            } else if ready() {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Err(self.failure("the server did not answer again in time"))
    }

    /// Tells the watch which group there is now.
    #[cfg(unix)]
    fn watch_over(&mut self, group: &str) -> io::Result<()> {
        use std::io::Write as _;
        self.watch.stdin.as_mut().map_or(Ok(()), |watch| writeln!(watch, "{group}"))
    }

    #[cfg(not(unix))]
    fn watch_over(&mut self, _group: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            // The watch ends the server's group and deletes the directory.
            drop(self.watch.stdin.take());
            let _ = self.child.wait();
            let _ = self.watch.wait();
        }
        #[cfg(not(unix))]
        {
            let _ = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}
