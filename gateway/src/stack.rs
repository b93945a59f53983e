//! The order of the layers over one connection: the guard, the upgrade for newer servers, the
//! connection. The program that assembles the gateway adds the downgrade and the aggregate above.
//! So the guard sees one protocol version for each connection. If client and server
//! differ, that is the version in which a call stays open while its server asks back.

use crate::{
    guarded::{GuardLayer, ToolGuard},
    layer::{Client, ConnectError, Connector, Upstream},
    protocol_version::{ChangesClient, UpgradeLayer},
    upstream::{HttpUpstream, RestartingChild, ServerEndpoint},
};
use async_trait::async_trait;
use std::{ffi::OsString, sync::Arc};
use tokio::sync::Semaphore;

/// The default limit on the child processes of one server.
const CHILDREN_MAX: usize = 32;

/// The location of a server.
#[derive(Debug, Clone)]
pub enum ServerLocation {
    /// A child process with this command line.
    Command(Vec<OsString>),
    /// An address on the network.
    Endpoint(Arc<ServerEndpoint>),
}

/// The layers over the connections to one server.
#[derive(Debug)]
pub struct LayerStack {
    guard: Arc<ToolGuard>,
    server: ServerLocation,
    /// True if a child that ends is started again.
    restarts: bool,
    /// One permit for each child that may run.
    children: Arc<Semaphore>,
}

impl LayerStack {
    /// Creates the layers that guard this server.
    #[must_use]
    pub fn new(guard: ToolGuard, server: ServerLocation) -> Self {
        let has_headers = !matches!(server, ServerLocation::Command(_));
        Self {
            guard: Arc::new(guard.with_headers(has_headers)),
            server,
            restarts: true,
            children: Arc::new(Semaphore::new(CHILDREN_MAX)),
        }
    }

    /// Sets whether a child that ends is started again. The default is true.
    #[must_use]
    pub fn with_restart(self, restarts: bool) -> Self {
        Self { restarts, ..self }
    }

    /// Limits the children that run at once.
    #[must_use]
    pub fn with_child_limit(self, at_most: usize) -> Self {
        Self {
            children: Arc::new(Semaphore::new(at_most.min(Semaphore::MAX_PERMITS))),
            ..self
        }
    }

    fn start_child(
        &self,
        command: &[OsString],
        client: Arc<dyn Client>,
    ) -> Result<RestartingChild, ConnectError> {
        let permit = Arc::clone(&self.children).try_acquire_owned();
        let permit = permit.map_err(|_| ConnectError::ChildLimit)?;
        RestartingChild::start(command.to_vec(), self.restarts, permit, client)
    }
}

#[async_trait]
impl Connector for LayerStack {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        let client = UpgradeLayer::watch_changes(GuardLayer::watch_tool_list(&self.guard, client));
        let connection: Arc<dyn Upstream> = match &self.server {
            ServerLocation::Command(command) => {
                Arc::new(self.start_child(command, Arc::<ChangesClient>::clone(&client))?)
            }
            ServerLocation::Endpoint(endpoint) => Arc::new(HttpUpstream::new(
                Arc::clone(endpoint),
                Arc::<ChangesClient>::clone(&client),
            )),
        };
        let connection = Arc::new(UpgradeLayer::new(connection, client));
        Ok(Arc::new(GuardLayer::new(
            Arc::clone(&self.guard),
            connection,
        )))
    }
}
