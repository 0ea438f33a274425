use testcontainers::{
    ContainerRequest, GenericImage, TestcontainersError, core::client::ClientError, runners::SyncRunner as _,
};

use super::NotStarted;

/// A container that was started. Dropping it stops and removes it.
pub struct Container(testcontainers::Container<GenericImage>);

impl Container {
    /// Starts a container, and waits for what its image says to wait for.
    ///
    /// # Errors
    /// [`NotStarted::Missing`] when there is no container engine, [`NotStarted::Failed`] when the container
    /// does not start.
    pub fn start(request: ContainerRequest<GenericImage>) -> Result<Self, NotStarted> {
        match request.start() {
            Ok(container) => Ok(Self(container)),
            Err(TestcontainersError::Client(ClientError::Init(_))) => {
                Err(NotStarted::Missing("no container engine answers".into()))
            }
            Err(cause) => Err(NotStarted::failed("the container does not start", cause)),
        }
    }

    /// Where a port of the container can be reached from here, as `host:port`.
    ///
    /// # Errors
    /// [`NotStarted::Failed`] when the port is not published.
    pub fn address(&self, port: u16) -> Result<String, NotStarted> {
        let failed = |cause| NotStarted::failed("the container's port is not published", cause);
        let host = self.0.get_host().map_err(failed)?;
        let port = self.0.get_host_port_ipv4(port).map_err(failed)?;
        Ok(format!("{host}:{port}"))
    }
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Container").field(&self.0.id()).finish()
    }
}
