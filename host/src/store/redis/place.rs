//! Where the server is, and how it is spoken to.

use super::fault;
use crate::store::{Server, ServerFault};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use std::time::Duration;

/// How long a connection may take to be made, its handshakes included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may take. A disk that syncs may be slow, and a server that is stopped does not say so.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How many requests are queued before those that come wait for room.
const QUEUED_MAX: usize = 256;

/// How many bytes are written at once.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// A server and a database in it.
pub(super) struct Place {
    client: Client,
    shown: String,
    channel: String,
    pub(super) accepts_unverified: bool,
}

impl Place {
    pub(super) fn of(server: &Server) -> Result<Self, ServerFault> {
        let unusable = |error: redis::RedisError| ServerFault::Url(error.to_string());
        let info = server.url.as_str().into_connection_info().map_err(unusable)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // Somebody else in this process may have chosen one already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let info = with_settings(info, server);
        let database = info.redis_settings().db();
        Ok(Self {
            shown: format!("{}/{database}", info.addr()),
            channel: format!("semel:{database}:changed"),
            client: Client::open(info).map_err(unusable)?,
            accepts_unverified: server.accepts_unverified,
        })
    }

    /// How messages name it: without user or password.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// On which changes are told. Channels are shared by all databases of a server.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// How requests are sent: each once. This client sends none again by itself.
    pub(super) fn config() -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_pipeline_buffer_size(QUEUED_MAX)
            .set_write_backpressure_boundary(WRITTEN_AT_ONCE)
    }

    pub(super) fn fault(&self, error: &redis::RedisError) -> ServerFault {
        fault::of_server(error, self)
    }
}

fn with_settings(info: ConnectionInfo, server: &Server) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_lib_name("semel", VERSION);
    let settings = match &server.password {
        Some(password) => settings.set_password(password.as_str()),
        None => settings,
    };
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    info.set_redis_settings(settings).set_tcp_settings(tcp)
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
