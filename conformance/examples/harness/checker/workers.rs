//! The processes, as their parent has them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::AsyncWriteExt as _, process::Child, process::ChildStdin, sync::oneshot};

use crate::harness::{Process, Result, Role};

type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<String>>>>>;

pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    /// Who waits for an answer; `None` when the process has ended.
    pending: Pending,
    next: u64,
}

/// An answer that comes, unless the process ends first.
pub(crate) type Answer = oneshot::Receiver<String>;

impl Worker {
    pub(crate) async fn start(storage: &str, origin: &str) -> Result<Self> {
        let role = Role::Checker { storage: storage.to_owned(), origin: origin.to_owned() };
        let Process { child, input, mut output } = Process::start(&role).await?;
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let answered = Arc::clone(&pending);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let Some((id, answer)) = line.split_once(' ') else { continue };
                let waits = id.parse().ok().and_then(|id: u64| lock(&answered).as_mut()?.remove(&id));
                if let Some(waits) = waits {
                    // Who went away needs no answer.
                    let _ = waits.send(answer.to_owned());
                }
            }
            lock(&answered).take();
        });
        Ok(Self { child, input, pending, next: 0 })
    }

    /// Asks it for something.
    pub(crate) async fn ask(&mut self, what: &str) -> Result<Answer> {
        let (sender, answer) = oneshot::channel();
        let id = self.next;
        self.next += 1;
        if let Some(pending) = lock(&self.pending).as_mut() {
            pending.insert(id, sender);
        }
        self.input.write_all(format!("{id} {what}\n").as_bytes()).await?;
        Ok(answer)
    }

    /// Ends it as a crash does.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
