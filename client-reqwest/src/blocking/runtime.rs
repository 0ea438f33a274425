//! The runtime of a blocking client.

use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::task::coop;

use crate::client::CachedClient;
use crate::error::Error;

/// How long the last one who drops a client waits for what is being stored.
const GRACE: Duration = Duration::from_secs(1);

/// A client, and the runtime that drives it. The last of those who share it ends both.
pub(super) struct Driver(Option<Live>);

struct Live {
    client: CachedClient,
    runtime: Runtime,
}

impl Driver {
    /// Starts the thread, and opens a client on it.
    pub(super) fn start(opening: impl Future<Output = Result<CachedClient, Error>>) -> Result<Self, Error> {
        refuse_async()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("client-reqwest")
            .enable_all()
            .build()
            .map_err(Error::builder)?;
        match runtime.block_on(opening) {
            Ok(client) => Ok(Self(Some(Live { client, runtime }))),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    #[expect(clippy::expect_used, reason = "there is one until `drop` takes it")]
    fn live(&self) -> &Live {
        self.0.as_ref().expect("the driver was not dropped")
    }

    pub(super) fn client(&self) -> &CachedClient {
        &self.live().client
    }

    /// Runs `future` to its end on this thread.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        refuse_async()?;
        Ok(self.live().runtime.block_on(future))
    }

    /// Leaves `future` to the thread in the background.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.live().runtime.spawn(future);
    }

    /// Until the guard is dropped, timers and tasks that this thread makes are the runtime's.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.live().runtime.enter()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let Some(live) = self.0.take() else { return };
        let may_block = matches!(Handle::try_current(), Err(error) if error.is_missing_context());
        if may_block && !thread::panicking() {
            return live.end();
        }
        let mut left = Left(Some(live));
        let end = move || left.0.take().map_or((), Live::end);
        if let Err(error) = thread::Builder::new().name("client-reqwest-end".into()).spawn(end) {
            tracing::warn!(%error, "a blocking client ends without waiting for what is being stored");
        }
    }
}

impl Live {
    /// Blocks for a while, but not for long.
    fn end(self) {
        let Self { client, runtime } = self;
        runtime.block_on(async {
            client.settle(GRACE).await;
            drop(client);
        });
        runtime.shutdown_timeout(GRACE);
    }
}

/// What a thread is to end that may fail to start: tokio's runtime must not be dropped in async code.
struct Left(Option<Live>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(live) = self.0.take() {
            live.runtime.shutdown_background();
        }
    }
}

/// The error of whoever would block a thread that runs async code.
fn refuse_async() -> Result<(), Error> {
    if Handle::try_current().is_ok() && is_budgeted() {
        return Err(Error::builder(
            "a blocking client was called from async code, whose thread must not block: use `client_reqwest::CachedClient`, \
             or call it within `tokio::task::spawn_blocking`",
        ));
    }
    Ok(())
}

/// Whether tokio is polling a future on this thread.
///
/// It lets nobody ask that. But what it polls has a budget (of 128 steps), and where blocking is allowed
/// (`spawn_blocking`, `block_in_place`, a thread that entered a runtime) there is none. To spend the budget of a future
/// makes it yield at its next `await`, no more.
fn is_budgeted() -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    (0..=u8::MAX).any(|_| match coop::poll_proceed(&mut cx) {
        Poll::Ready(step) => {
            step.made_progress();
            false
        }
        Poll::Pending => true,
    })
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, block_in_place, spawn_blocking};

    use super::*;

    #[test]
    fn async_code_is_told_from_threads_that_may_block() {
        assert!(refuse_async().is_ok(), "a plain thread");

        let one = Builder::new_current_thread().build().unwrap();
        let many = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        for runtime in [&one, &many] {
            {
                let _entered = runtime.enter();
                assert!(refuse_async().is_ok(), "a thread that entered a runtime");
            }
            assert!(runtime.block_on(async { refuse_async() }).is_err(), "block_on");
            assert!(runtime.block_on(LocalSet::new().run_until(async { refuse_async() })).is_err(), "local");
            let (task, blocking) = runtime.block_on(async {
                let task = tokio::spawn(async { refuse_async().is_err() });
                (task.await.unwrap(), spawn_blocking(|| refuse_async().is_ok()).await.unwrap())
            });
            assert!(task, "a task");
            assert!(blocking, "spawn_blocking");
        }
        assert!(many.block_on(async { block_in_place(refuse_async) }).is_ok(), "block_in_place");

        let error = one.block_on(async { refuse_async() }).unwrap_err();
        assert!(error.is_builder());
    }
}
