//! Which layers stand over a connection, and in which order: the one place that knows them all.
//!
//! From the client down: translation for clients of the newer era, the guard, translation for servers of the newer era,
//! the connection. So the guard sees one era only, and where the two ends differ, the one in which a call stays open
//! while its server asks back.

use crate::{
    guarded::{GuardLayer, ToolGuard},
    layer::{Client, ConnectError, Connector, Upstream},
    protocol_version::{ChangesClient, UpgradeLayer},
    upstream::{HttpUpstream, RestartingChild, ServerEndpoint},
};
use async_trait::async_trait;
use std::{ffi::OsString, sync::Arc};
use tokio::sync::Semaphore;

/// How many children serve one server's clients, where nobody says otherwise.
const CHILDREN_MAX: usize = 32;

/// Where a server is.
#[derive(Debug, Clone)]
pub enum ServerLocation {
    /// A child of this process, started by this command.
    Command(Vec<OsString>),
    /// On the network.
    Endpoint(Arc<ServerEndpoint>),
}

/// The layers over the connections to one server.
#[derive(Debug)]
pub struct LayerStack {
    guard: Arc<ToolGuard>,
    server: ServerLocation,
    /// Whether a child that ends is started again.
    restarts: bool,
    /// Room for children.
    children: Arc<Semaphore>,
}

impl LayerStack {
    /// Guards whatever is sent to this server.
    #[must_use]
    pub fn new(guard: ToolGuard, server: ServerLocation) -> Self {
        let has_headers = !matches!(server, ServerLocation::Command(_));
        let (guard, children) = (
            Arc::new(guard.with_headers(has_headers)),
            Arc::new(Semaphore::new(CHILDREN_MAX)),
        );
        Self {
            guard,
            server,
            restarts: true,
            children,
        }
    }

    /// Whether a child that ends is started again. Default: yes.
    #[must_use]
    pub fn with_restart(self, restarts: bool) -> Self {
        Self { restarts, ..self }
    }

    /// At most so many children at once.
    #[must_use]
    pub fn with_child_limit(self, at_most: usize) -> Self {
        Self {
            children: Arc::new(Semaphore::new(at_most.min(Semaphore::MAX_PERMITS))),
            ..self
        }
    }

    fn child(
        &self,
        command: &[OsString],
        client: Arc<dyn Client>,
    ) -> Result<RestartingChild, ConnectError> {
        let room = Arc::clone(&self.children).try_acquire_owned();
        let room = room.map_err(|_| ConnectError::ChildLimit)?;
        RestartingChild::start(command.to_vec(), self.restarts, room, client)
    }
}

#[async_trait]
impl Connector for LayerStack {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, ConnectError> {
        let client = UpgradeLayer::watch_changes(GuardLayer::watch_tool_list(&self.guard, client));
        let connection: Arc<dyn Upstream> = match &self.server {
            ServerLocation::Command(command) => {
                Arc::new(self.child(command, Arc::<ChangesClient>::clone(&client))?)
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
