//! Which layers stand over a connection, and in which order: the one place that knows them all.
//!
//! From the client down: translation for clients of the newer era, the guard, translation for servers of the newer era,
//! the connection. So the guard sees one era only, and where the two ends differ, the one in which a call stays open
//! while its server asks back.

use crate::{
    era::{Changes, Raised},
    guarded::{Guard, Guarded},
    link::{Client, Connect, NoServer, Upstream},
    upstream::{Child, Endpoint, Http},
};
use async_trait::async_trait;
use std::{ffi::OsString, sync::Arc};

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Server {
    /// A child of this process, started by this command.
    Command(Vec<OsString>),
    /// On the network.
    Endpoint(Arc<Endpoint>),
}

/// The layers over the connections to one server.
#[derive(Debug)]
pub struct Tower {
    guard: Arc<Guard>,
    server: Server,
}

impl Tower {
    /// Guards whatever is sent to this server.
    #[must_use]
    pub fn new(guard: Guard, server: Server) -> Self {
        let has_headers = !matches!(server, Server::Command(_));
        Self { guard: Arc::new(guard.with_headers(has_headers)), server }
    }
}

#[async_trait]
impl Connect for Tower {
    async fn connect(&self, client: Arc<dyn Client>) -> Result<Arc<dyn Upstream>, NoServer> {
        let client = Raised::hearing(Guarded::hearing(&self.guard, client));
        let connection: Arc<dyn Upstream> = match &self.server {
            Server::Command(command) => Arc::new(
                Child::start(command, Arc::<Changes>::clone(&client)).map_err(|fault| NoServer(fault.to_string()))?,
            ),
            Server::Endpoint(endpoint) => Arc::new(Http::to(Arc::clone(endpoint), Arc::<Changes>::clone(&client))),
        };
        let connection = Arc::new(Raised::over(connection, client));
        Ok(Arc::new(Guarded::over(Arc::clone(&self.guard), connection)))
    }
}
