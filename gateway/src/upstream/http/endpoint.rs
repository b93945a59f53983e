//! The address of a server on the network, and its connection pool, which all clients share.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, Uri,
    body::Incoming,
    header::{HeaderName, HeaderValue},
};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::{
    client::legacy::{
        Client, Error as ClientError,
        connect::{HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{CertificateError, ClientConfig, RootCertStore, crypto::ring};
use std::{error::Error, fmt, io, sync::Arc, time::Duration};
use tokio::time::sleep;

/// The timeout of a connection attempt, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for which an idle connection stays in the pool. It is shorter than that of servers: if
/// a server closes a connection while a request is sent on it, the request is in doubt.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// A server's address or headers that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The text is not the URL of a server.
    #[error("`{0}` is not the URL of an MCP server: write `https://HOST/PATH`")]
    Url(String),
    /// HTTP cannot carry the header.
    #[error("the header `{0}` cannot be sent: its name or value is not valid in HTTP")]
    Header(String),
    /// The system's root certificates cannot be read.
    #[error("the root certificates of this system cannot be read: {0}")]
    RootCertificates(#[source] io::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
}

/// A server on the network.
pub struct ServerEndpoint {
    pub(super) uri: Uri,
    /// The headers of each request, which may be secrets.
    pub(super) headers: HeaderMap,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl ServerEndpoint {
    /// Creates the endpoint at `url`. Each request is sent with `headers`.
    ///
    /// # Errors
    /// The URL or a header is not valid, or TLS cannot be set up.
    pub fn new(url: &str, headers: &[(String, String)]) -> Result<Self, EndpointError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| EndpointError::Url(url.to_owned()))?;
        let has_tls = uri.scheme_str() == Some("https");
        if uri.host().is_none() || !(has_tls || uri.scheme_str() == Some("http")) {
            return Err(EndpointError::Url(url.to_owned()));
        }
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(has_tls)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp_connector());
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            // INVARIANT: a request that was given to a connection is never sent again.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self {
            uri,
            headers: parse_headers(headers)?,
            client,
        })
    }

    /// Sends a request, once.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        let connection = capture_connection(&mut request);
        let connect_timeout = async {
            sleep(CONNECT_TIMEOUT).await;
            // The timeout is for the connection only. A request on a connection may take longer.
            if connection.connection_metadata().is_some() {
                std::future::pending().await
            }
        };
        tokio::select! {
            response = self.client.request(request) => {
                response.map_err(|error| SendError::from_client(&error))
            }
            () = connect_timeout => Err(SendError {
                reason: "the server did not accept the connection in time".to_owned(),
                was_sent: false,
            }),
        }
    }
}

/// An HTTP request without a response.
#[derive(Debug)]
pub(super) struct SendError {
    pub(super) reason: String,
    /// False only if no byte of it was sent.
    pub(super) was_sent: bool,
}

impl SendError {
    fn from_client(error: &ClientError) -> Self {
        let was_sent = !error.is_connect();
        let event = if was_sent {
            "the server closed the connection"
        } else {
            "the server cannot be reached"
        };
        let reason = if let Some(tls_error) = find_tls_error(error) {
            format!("{event}: {}", tls_error_text(tls_error))
        } else if let Some(source) = error.source() {
            format!("{event}: {source}")
        } else {
            event.to_owned()
        };
        Self { reason, was_sent }
    }
}

/// Returns the TLS error among the sources of an error.
fn find_tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(tls_error) = error.downcast_ref() {
        return Some(tls_error);
    }
    // The source of an `io::Error` is that of the error it wraps, not that error itself.
    if let Some(wrapped) = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        return find_tls_error(wrapped);
    }
    find_tls_error(error.source()?)
}

fn tls_error_text(error: &rustls::Error) -> String {
    use rustls::Error as TlsError;
    match error {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "this system does not trust the issuer of its certificate: add that authority to the \
             system's, or name a file with it in `SSL_CERT_FILE`"
                .to_owned()
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name: use that name in the URL".to_owned(),
        TlsError::InvalidMessage(_) => {
            "it does not speak TLS: check its port, or write `http://`".to_owned()
        }
        other => other.to_string(),
    }
}

fn tcp_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}

/// Returns a configuration with the root certificates of this system, so that a company's own
/// certificates are valid. Without TLS, none are read.
fn tls_config(has_tls: bool) -> Result<ClientConfig, EndpointError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(EndpointError::Tls)?;
    let config = if has_tls {
        config
            .with_native_roots()
            .map_err(EndpointError::RootCertificates)?
    } else {
        config.with_root_certificates(RootCertStore::empty())
    };
    Ok(config.with_no_client_auth())
}

fn parse_headers(headers: &[(String, String)]) -> Result<HeaderMap, EndpointError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let error = || EndpointError::Header(name.clone());
        let mut value = HeaderValue::from_str(value).map_err(|_| error())?;
        // Keeps it out of debug output.
        value.set_sensitive(true);
        map.append(name.parse::<HeaderName>().map_err(|_| error())?, value);
    }
    Ok(map)
}

impl fmt::Debug for ServerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEndpoint")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
