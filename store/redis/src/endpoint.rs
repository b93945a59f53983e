//! The server's address, and its connection settings.

use parking_lot::RwLock;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion,
};
use semel_store::{ServerAddress, ServerError};
use std::time::Duration;

/// The time limit for a connection, its handshakes included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for an answer. A disk that syncs may be slow, and a stopped server is silent.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most queued requests. Further ones wait for room.
const QUEUED_MAX: usize = 256;

/// The most bytes written at once.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// A server and a database in it, or one node of a cluster, from which the others are discovered.
pub(super) struct Endpoint {
    client: Client,
    /// The nodes of its cluster at the last discovery, for when this one is down.
    known_nodes: RwLock<Vec<Client>>,
    display_name: String,
    /// The prefix of all channels of the ledger.
    channels: String,
    pub(super) accepts_unverified: bool,
}

impl Endpoint {
    pub(super) fn new(server: &ServerAddress) -> Result<Self, ServerError> {
        let unusable = ServerError::invalid_url;
        let info = server
            .url
            .as_str()
            .into_connection_info()
            .map_err(unusable)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // Another part of this process may have chosen one already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let info = with_settings(info, server);
        let database = info.redis_settings().db();
        Ok(Self {
            display_name: display_name(&info),
            channels: format!("semel:{database}:changed:"),
            client: Client::open(info).map_err(unusable)?,
            known_nodes: RwLock::default(),
            accepts_unverified: server.accepts_unverified,
        })
    }

    /// Returns its name for messages: without user or password.
    pub(super) fn display_name(&self) -> &str {
        &self.display_name
    }

    /// Returns the name of a slot's channel. It includes the database, because all databases of a server
    /// share its channels.
    pub(super) fn channel_name(&self, slot: usize) -> String {
        format!("{}{slot}", self.channels)
    }

    /// Returns the name of a client's server for messages.
    pub(super) fn client_name(client: &Client) -> String {
        display_name(client.get_connection_info())
    }

    /// Returns the remedy for a server that hangs up or is silent: one side uses TLS, and the other does
    /// not.
    pub(super) fn tls_hint(client: &Client) -> &'static str {
        match client.get_connection_info().addr() {
            ConnectionAddr::Tcp(..) => {
                "; where it wants TLS, write `rediss://` into the ledger's URL"
            }
            ConnectionAddr::TcpTls { .. } => {
                "; where it has no TLS, write `redis://` into the ledger's URL"
            }
            _ => "",
        }
    }

    /// Returns clients of all known servers, that of the URL first.
    pub(super) fn seed_clients(&self) -> Vec<Client> {
        let known_nodes = self.known_nodes.read();
        std::iter::once(&self.client)
            .chain(known_nodes.iter())
            .cloned()
            .collect()
    }

    /// Remembers the nodes of the cluster.
    pub(super) fn remember_nodes(&self, found: Vec<Client>) {
        *self.known_nodes.write() = found;
    }

    /// Returns a client of another node, with the settings of the URL. Without a host, it is that of the URL.
    pub(super) fn client_at(&self, at: Option<&str>, its_port: u16) -> Result<Client, ServerError> {
        let info = self.client.get_connection_info().clone();
        let mut addr = info.addr().clone();
        match &mut addr {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                *port = its_port;
                if let Some(at) = at {
                    *host = at.to_owned();
                }
            }
            _ => {
                return Err(ServerError::invalid_url(
                    "a cluster is reached by a host and a port",
                ));
            }
        }
        Client::open(info.set_addr(addr)).map_err(ServerError::invalid_url)
    }

    /// Returns the settings of connections. The client repeats no request on its own.
    pub(super) fn connection_config() -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(QUEUED_MAX)
            .set_write_backpressure_boundary(WRITTEN_AT_ONCE)
    }
}

fn display_name(info: &ConnectionInfo) -> String {
    format!("{}/{}", info.addr(), info.redis_settings().db())
}

fn with_settings(info: ConnectionInfo, server: &ServerAddress) -> ConnectionInfo {
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        .set_lib_name("semel", VERSION);
    let settings = match &server.password {
        Some(password) => settings.set_password(password.as_str()),
        None => settings,
    };
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    info.set_redis_settings(settings).set_tcp_settings(tcp)
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
