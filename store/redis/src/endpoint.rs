//! Where the server is, and how it is spoken to.

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion,
};
use semel_store::{ServerAddress, ServerError};
use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

/// The time limit for a connection, its handshakes included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for an answer. A disk that syncs may be slow, and a stopped server is silent.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most queued requests; further ones wait for room.
const QUEUED_MAX: usize = 256;

/// The most bytes written at once.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// A server and a database in it; or one of a cluster, by which the others are found.
pub(super) struct Endpoint {
    client: Client,
    /// Those of its cluster, as they were found last: where it is asked when the first is down.
    known: RwLock<Vec<Client>>,
    shown: String,
    /// The prefix of all channels of the ledger.
    channels: String,
    pub(super) accepts_unverified: bool,
}

impl Endpoint {
    pub(super) fn new(server: &ServerAddress) -> Result<Self, ServerError> {
        let unusable = |error: redis::RedisError| ServerError::Url(error.to_string());
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
            shown: shown(&info),
            channels: format!("semel:{database}:changed:"),
            client: Client::open(info).map_err(unusable)?,
            known: RwLock::default(),
            accepts_unverified: server.accepts_unverified,
        })
    }

    /// Returns its name for messages: without user or password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// On which a bell is rung elsewhere. Channels are shared by all databases of a server.
    pub(super) fn channel(&self, bell: usize) -> String {
        format!("{}{bell}", self.channels)
    }

    /// Returns the name of a client's server for messages.
    pub(super) fn shown_as(client: &Client) -> String {
        shown(client.get_connection_info())
    }

    /// Returns the cure where one side uses TLS and the other does not: the server then hangs up,
    /// or is silent.
    pub(super) fn if_spoken_to_wrongly(client: &Client) -> &'static str {
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

    /// All servers that it may be reached by, the one of the URL first.
    pub(super) fn seed_clients(&self) -> Vec<Client> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.client)
            .chain(known.iter())
            .cloned()
            .collect()
    }

    /// Remembers the other nodes of its cluster.
    pub(super) fn remember(&self, found: Vec<Client>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// Another server of its cluster, which is spoken to alike; without a host, the one of the URL.
    pub(super) fn client_at(&self, at: Option<&str>, its_port: u16) -> Result<Client, ServerError> {
        let info = self.client.get_connection_info().clone();
        let mut addr = info.addr().clone();
        match &mut addr {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                *port = its_port;
                at.map(str::to_owned).into_iter().for_each(|at| *host = at);
            }
            _ => {
                return Err(ServerError::Url(
                    "a cluster is reached by a host and a port".to_owned(),
                ));
            }
        }
        Client::open(info.set_addr(addr)).map_err(|error| ServerError::Url(error.to_string()))
    }

    /// Returns how requests are sent: each once. This client repeats none on its own.
    pub(super) fn config() -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(QUEUED_MAX)
            .set_write_backpressure_boundary(WRITTEN_AT_ONCE)
    }
}

fn shown(info: &ConnectionInfo) -> String {
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
