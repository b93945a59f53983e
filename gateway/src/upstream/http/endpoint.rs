//! Where a server is on the network, and the connections to it that all share.

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
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses: less than servers keep it, because one that is closed by the server while
/// a request is sent on it leaves open whether that arrived.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// Why a server cannot be reached at all.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no address of a server.
    #[error("`{0}` is no address of an MCP server: write `https://HOST/PATH`")]
    Url(String),
    /// A header cannot be sent.
    #[error("the header `{0}` cannot be sent: its name or its value is none that HTTP knows")]
    Header(String),
    /// The certificates to check the server's against cannot be read.
    #[error(
        "the certificates of this system cannot be read, against which the server's is checked: {0}"
    )]
    Roots(String),
}

/// A server on the network.
pub struct ServerEndpoint {
    pub(super) uri: Uri,
    /// Sent with each request; they may be secrets.
    pub(super) headers: HeaderMap,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl ServerEndpoint {
    /// The server at `url`, to which `headers` are sent with each request.
    ///
    /// # Errors
    /// If that cannot be used.
    pub fn new(url: &str, headers: &[(String, String)]) -> Result<Self, EndpointError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| EndpointError::Url(url.to_owned()))?;
        let is_known = uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_known {
            return Err(EndpointError::Url(url.to_owned()));
        }
        let is_secret = uri.scheme_str() == Some("https");
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(is_secret).map_err(EndpointError::Roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector());
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            // INVARIANT: what was handed to a connection is never sent again.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self {
            uri,
            headers: read(headers)?,
            client,
        })
    }

    /// Sends a request, once.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        // A request without a connection has not been sent.
        let connected = capture_connection(&mut request);
        let late = async {
            sleep(CONNECT_WITHIN).await;
            if connected.connection_metadata().is_some() {
                std::future::pending().await
            }
        };
        tokio::select! {
            answered = self.client.request(request) => answered.map_err(|error| SendError::from_client(&error)),
            () = late => Err(SendError { reason: "the server does not take the connection in time".to_owned(), left: false }),
        }
    }
}

/// No response comes to a request.
#[derive(Debug)]
pub(super) struct SendError {
    pub(super) reason: String,
    /// False only if no byte of it was sent.
    pub(super) left: bool,
}

impl SendError {
    fn from_client(error: &ClientError) -> Self {
        let left = !error.is_connect();
        let what = if left {
            "broke the connection off"
        } else {
            "cannot be reached"
        };
        let why = match find_tls_error(error) {
            Some(fault) => format!(": {}", tls_error_text(fault)),
            None => error
                .source()
                .map_or_else(String::new, |source| format!(": {source}")),
        };
        Self {
            reason: format!("the server {what}{why}"),
            left,
        }
    }
}

/// Returns the TLS error among the sources of an error.
fn find_tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let found = error.downcast_ref();
    found.or_else(|| {
        // An error of the system passes over what it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let source = wrapped
            .map(|wrapped| wrapped as &'e (dyn Error + 'static))
            .or_else(|| error.source());
        source.and_then(find_tls_error)
    })
}

fn tls_error_text(fault: &rustls::Error) -> String {
    use rustls::Error as ProtocolError;
    match fault {
        ProtocolError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody whom this system trusts vouches for its certificate: add its authority to the system's, or name a \
             file with it in `SSL_CERT_FILE`"
                .to_owned()
        }
        ProtocolError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name: use the name that it is for".to_owned(),
        ProtocolError::InvalidMessage(_) => {
            "it does not speak TLS: if it is meant to, look at its port, else write `http://`".to_owned()
        }
        other => other.to_string(),
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    connector
}

/// Servers are checked against the roots of this system, so that a company's own hold; where nothing is encrypted, none are
/// read.
fn tls_config(is_secret: bool) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match is_secret {
        true => config
            .with_native_roots()
            .map_err(|error| error.to_string())?,
        false => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

fn read(headers: &[(String, String)]) -> Result<HeaderMap, EndpointError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let fault = || EndpointError::Header(name.clone());
        let mut value = HeaderValue::from_str(value).map_err(|_| fault())?;
        value.set_sensitive(true);
        map.append(name.parse::<HeaderName>().map_err(|_| fault())?, value);
    }
    Ok(map)
}

impl fmt::Debug for ServerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
