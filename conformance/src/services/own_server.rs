use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Recipe, Service, own};
use crate::{OwnServer, ServerError, Subject};

/// Servers that cases may kill: each is started by that recipe, and `subject` opens storages on it.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use cache_conformance::{OwnServer, Opened, Subject, services::{self, Service, redis::Kind}};
/// # struct Mine;
/// # impl Mine { fn of(_: &Service) -> Self { Self } }
/// #[async_trait::async_trait]
/// impl Subject for Mine {
///     # async fn open(&self, _: &cache_api::Namespace, _: cache_api::Limits) -> Opened { unimplemented!() }
///     fn own_server(&self) -> Option<Arc<dyn OwnServer>> {
///         Some(services::own_server(Kind::Single, Mine::of))
///     }
/// }
/// ```
pub fn own_server<R, F, S>(recipe: R, subject: F) -> Arc<dyn OwnServer>
where
    R: Recipe + Send + Sync + 'static,
    F: Fn(&Service) -> S + Send + Sync + 'static,
    S: Subject,
{
    let subject = move |service: &Service| Arc::new(subject(service)) as Arc<dyn Subject>;
    Arc::new(Started(Arc::new(Inner { recipe, subject: Box::new(subject), service: Mutex::new(None) })))
}

struct Started<R>(Arc<Inner<R>>);

type Opener = dyn Fn(&Service) -> Arc<dyn Subject> + Send + Sync;

struct Inner<R> {
    recipe: R,
    subject: Box<Opener>,
    service: Mutex<Option<Service>>,
}

impl<R: Recipe + Send + Sync + 'static> Started<R> {
    /// Does what waits for a process beside the runtime.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner<R>, &mut Option<Service>) -> Result<T, ServerError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let inner = Arc::clone(&self.0);
        let worked = tokio::task::spawn_blocking(move || {
            work(&inner, &mut inner.service.lock().unwrap_or_else(PoisonError::into_inner))
        });
        worked.await?
    }
}

#[async_trait]
impl<R: Recipe + Send + Sync + 'static> OwnServer for Started<R> {
    async fn start(&self) -> Result<Arc<dyn Subject>, ServerError> {
        self.beside(|inner, slot| {
            let service = own(&inner.recipe);
            if let crate::Presence::Absent { reason, .. } = service.presence() {
                return Err(reason.into());
            }
            let subject = (inner.subject)(&service);
            *slot = Some(service);
            Ok(subject)
        })
        .await
    }

    async fn kill(&self) -> Result<(), ServerError> {
        self.beside(|_, slot| {
            let process = slot.as_mut().and_then(Service::process).ok_or("no process was started")?;
            process.kill()?;
            Ok(())
        })
        .await
    }

    async fn restart(&self) -> Result<(), ServerError> {
        self.beside(|_, slot| {
            let service = slot.as_mut().ok_or("no server was started")?;
            service.restart().map_err(|e| e.to_string().into())
        })
        .await
    }
}
