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
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{fmt, sync::Arc, time::Duration};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses: less than servers keep it, because one that is closed by the server while
/// a request is sent on it leaves open whether that arrived.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// Why a server cannot be reached at all.
#[derive(Debug, thiserror::Error)]
pub enum EndpointFault {
    /// It is no address of a server.
    #[error("`{0}` is no address of an MCP server: write `https://HOST/PATH`")]
    Url(String),
    /// A header cannot be sent.
    #[error("the header `{0}` cannot be sent: its name or its value is none that HTTP knows")]
    Header(String),
    /// The certificates to check the server's against cannot be read.
    #[error("the certificates of this system cannot be read, against which the server's is checked: {0}")]
    Roots(String),
}

/// A server on the network.
pub struct Endpoint {
    pub(super) uri: Uri,
    /// Sent with each request; they may be secrets.
    pub(super) headers: HeaderMap,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Endpoint {
    /// The server at `url`, to which `headers` are sent with each request.
    ///
    /// # Errors
    /// If that cannot be used.
    pub fn new(url: &str, headers: &[(String, String)]) -> Result<Self, EndpointFault> {
        let uri: Uri = url.parse().map_err(|_| EndpointFault::Url(url.to_owned()))?;
        let is_known = uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_known {
            return Err(EndpointFault::Url(url.to_owned()));
        }
        let is_secret = uri.scheme_str() == Some("https");
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(is_secret).map_err(EndpointFault::Roots)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector());
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_timer(TokioTimer::new())
            // INVARIANT: what was handed to a connection is never sent again.
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { uri, headers: read(headers)?, client })
    }

    /// Sends a request, once.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.client.request(request).await
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
fn tls(is_secret: bool) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match is_secret {
        true => config.with_native_roots().map_err(|error| error.to_string())?,
        false => config.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

fn read(headers: &[(String, String)]) -> Result<HeaderMap, EndpointFault> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let fault = || EndpointFault::Header(name.clone());
        let mut value = HeaderValue::from_str(value).map_err(|_| fault())?;
        value.set_sensitive(true);
        map.append(name.parse::<HeaderName>().map_err(|_| fault())?, value);
    }
    Ok(map)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("uri", &self.uri).finish_non_exhaustive()
    }
}
