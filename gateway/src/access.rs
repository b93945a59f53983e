//! Authentication of HTTP requests, and the tenant that each one calls for.
//!
//! Secrets in a request's head stay here: a [`CallerIdentity`] has no place for them. Clients that
//! share a token count as one caller, unless a trusted header names the tenant.

use crate::layer::CallerIdentity;
use hyper::{HeaderMap, StatusCode, header, http::request::Parts};
use semel::model::{Run, Tenant};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

/// The names by which this machine calls itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The operator's settings for authentication.
#[derive(Debug, Default)]
pub struct AccessSettings {
    /// The digest of the bearer token; without one, every client that reaches the address is let
    /// in.
    pub token: Option<TokenDigest>,
    /// Host names under which clients may call, besides the address and the names of this machine.
    pub hosts: Vec<String>,
    /// Origins of web pages that may be clients, besides pages of this machine.
    pub origins: Vec<String>,
    /// The header that names the tenant.
    pub tenant_header: Option<String>,
    /// The header that names the agent's run.
    pub run_header: Option<String>,
}

/// The SHA-256 digest of a bearer token. Debug output does not show it.
#[derive(Clone)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Returns the digest of `token`.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in constant time: neither the digest nor the comparison shows how much of a guess
    /// was right.
    fn matches(&self, token: &str) -> bool {
        let Self(other) = Self::new(token);
        let mut difference = 0;
        for (own, other) in self.0.iter().zip(other) {
            difference |= own ^ other;
        }
        // Without the barrier the compiler could stop at the first difference.
        std::hint::black_box(difference) == 0
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// The error of an address that other machines reach without a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and no token is set up: name one as `token_file` or `token_env` in `[mcp]`, or listen on 127.0.0.1"
)]
pub struct UnprotectedAddressError(SocketAddr);

/// Authenticates requests by their host, origin, token and trusted headers.
#[derive(Debug)]
pub struct Authenticator {
    tenant: Tenant,
    run: Option<Run>,
    settings: AccessSettings,
    /// The hosts by which clients may call; `None` allows every host.
    hosts: Option<Vec<String>>,
}

/// The error of a request that is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct AccessError {
    /// The status of the response.
    pub status: StatusCode,
    /// The reason, and what to do.
    pub message: String,
}

impl Authenticator {
    /// Admits every client that calls by a name of this machine, on behalf of `tenant`.
    #[must_use]
    pub fn for_loopback(tenant: Tenant, run: Option<Run>) -> Self {
        Self {
            tenant,
            run,
            settings: AccessSettings::default(),
            hosts: Some(loopback_and(&[])),
        }
    }

    /// Admits clients of `address` by these settings, on behalf of `tenant` where no header names
    /// another one.
    ///
    /// # Errors
    /// If other machines reach the address, and there is no token.
    pub fn for_address(
        address: SocketAddr,
        settings: AccessSettings,
        tenant: Tenant,
        run: Option<Run>,
    ) -> Result<Self, UnprotectedAddressError> {
        if !address.ip().is_loopback() && settings.token.is_none() {
            return Err(UnprotectedAddressError(address));
        }
        // A server that listens on every address has more names than it knows. The check of the
        // host guards against DNS rebinding, and a page that rebinds a name has no token.
        let has_any_name = address.ip().is_unspecified() && settings.hosts.is_empty();
        let own = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let hosts = if has_any_name {
            None
        } else {
            Some(loopback_and(&[&settings.hosts[..], &[own]].concat()))
        };
        Ok(Self {
            tenant,
            run,
            settings,
            hosts,
        })
    }

    /// Returns the caller that sends a request with this head.
    ///
    /// # Errors
    /// If the request is denied.
    pub(crate) fn authenticate(&self, parts: &Parts) -> Result<CallerIdentity, AccessError> {
        // The headers below count only behind the token: without it, any client could write them.
        self.check_head(parts)?;
        let tenant = match &self.settings.tenant_header {
            None => self.tenant.clone(),
            Some(name) => {
                // A missing header must not fall back to the default tenant: that would give access
                // to its outcomes.
                let value = single_header(&parts.headers, name)?
                    .ok_or_else(|| bad_request(format!("the header `{name}` is missing")))?;
                Tenant::new(value).map_err(|error| bad_request(error.to_string()))?
            }
        };
        let run = match &self.settings.run_header {
            None => None,
            Some(name) => single_header(&parts.headers, name)?,
        };
        let run = run
            .map(Run::new)
            .transpose()
            .map_err(|error| bad_request(error.to_string()))?;
        Ok(CallerIdentity::new(
            tenant,
            run.or_else(|| self.run.clone()),
        ))
    }

    /// Checks host, origin and token of a request.
    ///
    /// # Errors
    /// If the request is denied.
    pub(crate) fn check_head(&self, parts: &Parts) -> Result<(), AccessError> {
        self.check_host(parts)?;
        self.check_origin(parts)?;
        self.check_token(parts)
    }

    fn check_host(&self, parts: &Parts) -> Result<(), AccessError> {
        let Some(hosts) = &self.hosts else {
            return Ok(());
        };
        // An absolute URI overrides the header, as HTTP prescribes.
        let called = match parts.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => single_header(&parts.headers, header::HOST.as_str())?,
        };
        let called = called.unwrap_or_default().to_ascii_lowercase();
        let is_known = hosts
            .iter()
            .any(|host| *host == called || *host == without_port(&called));
        if is_known {
            return Ok(());
        }
        Err(forbidden(
            "the host name is unknown: use the address, or add the name to `hosts` in `[mcp]`",
        ))
    }

    fn check_origin(&self, parts: &Parts) -> Result<(), AccessError> {
        let Some(origin) = single_header(&parts.headers, header::ORIGIN.as_str())? else {
            // Only browsers send an origin, and scripts cannot leave it out.
            return Ok(());
        };
        let origin = origin.to_ascii_lowercase();
        let host = origin.split_once("://").map(|(_, host)| without_port(host));
        let is_local = host.is_some_and(|host| LOOPBACK.contains(&host));
        if is_local || self.settings.origins.contains(&origin) {
            return Ok(());
        }
        Err(forbidden(
            "pages of this origin may not be clients: add it to `origins` in `[mcp]`",
        ))
    }

    fn check_token(&self, parts: &Parts) -> Result<(), AccessError> {
        let Some(token) = &self.settings.token else {
            return Ok(());
        };
        let header = single_header(&parts.headers, header::AUTHORIZATION.as_str())?;
        let Some((scheme, sent)) = header.and_then(|header| header.split_once(' ')) else {
            return Err(unauthorized(
                "a token is required: send `Authorization: Bearer` and the token",
            ));
        };
        if scheme.eq_ignore_ascii_case("bearer") && token.matches(sent.trim()) {
            return Ok(());
        }
        Err(unauthorized("the token is wrong"))
    }
}

fn loopback_and(others: &[String]) -> Vec<String> {
    LOOPBACK
        .into_iter()
        .map(str::to_owned)
        .chain(others.iter().map(|host| host.to_ascii_lowercase()))
        .collect()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An IPv6 address without brackets has colons of its own, and no port.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

/// Returns a header's value. A repeated header is an error: two readers may read two different
/// values.
fn single_header<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, AccessError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad_request(format!("the header `{name}` occurs twice")));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(bad_request(format!("the header `{name}` is not text"))),
    }
}

fn bad_request(message: String) -> AccessError {
    AccessError {
        status: StatusCode::BAD_REQUEST,
        message,
    }
}

fn forbidden(message: &str) -> AccessError {
    AccessError {
        status: StatusCode::FORBIDDEN,
        message: message.to_owned(),
    }
}

fn unauthorized(message: &str) -> AccessError {
    AccessError {
        status: StatusCode::UNAUTHORIZED,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use hyper::Request;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::post("/mcp"), |request, (name, value)| {
                request.header(*name, *value)
            });
        request.body(()).unwrap().into_parts().0
    }

    fn at(address: &str, settings: AccessSettings) -> Authenticator {
        Authenticator::for_address(address.parse().unwrap(), settings, Tenant::default(), None)
            .unwrap()
    }

    fn status(access: &Authenticator, headers: &[(&str, &str)]) -> u16 {
        access
            .authenticate(&head(headers))
            .map_or_else(|denied| denied.status.as_u16(), |_| 200)
    }

    #[test]
    fn an_address_that_other_machines_reach_needs_a_token() {
        let open = |address: &str| {
            Authenticator::for_address(
                address.parse().unwrap(),
                AccessSettings::default(),
                Tenant::default(),
                None,
            )
        };
        assert!(
            open("0.0.0.0:80").is_err()
                && open("192.168.0.1:80").is_err()
                && open("[::]:80").is_err()
        );
        assert!(open("127.0.0.1:80").is_ok() && open("[::1]:80").is_ok());
    }

    #[test]
    fn a_page_that_rebinds_a_name_is_kept_out() {
        let access = at(
            "127.0.0.1:80",
            AccessSettings {
                hosts: vec!["Tools.Example".to_owned()],
                ..AccessSettings::default()
            },
        );
        for host in ["localhost:80", "127.0.0.1", "[::1]:9", "tools.example"] {
            assert_eq!(status(&access, &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:80", ""] {
            assert_eq!(status(&access, &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&access, &[]), 403);
        assert_eq!(
            status(&access, &[("host", "localhost"), ("host", "evil.example")]),
            400
        );
    }

    #[test]
    fn pages_of_other_origins_are_kept_out() {
        let access = at(
            "127.0.0.1:80",
            AccessSettings {
                origins: vec!["https://app.example".to_owned()],
                ..AccessSettings::default()
            },
        );
        let with = |origin| status(&access, &[("host", "localhost"), ("origin", origin)]);
        assert_eq!(
            ["http://localhost:5173", "https://app.example"].map(with),
            [200, 200]
        );
        assert_eq!(
            ["https://evil.example", "null", "https://app.example.evil"].map(with),
            [403, 403, 403]
        );
    }

    #[test]
    fn nobody_comes_in_without_the_token() {
        let settings = AccessSettings {
            token: Some(TokenDigest::new("0123456789abcdef")),
            ..AccessSettings::default()
        };
        assert!(!format!("{settings:?}").contains("0123"));
        let access = at("0.0.0.0:80", settings);
        assert_eq!(
            status(&access, &[("authorization", "Bearer 0123456789abcdef")]),
            200
        );
        for sent in [
            "Bearer 0123456789abcdee",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "Bearer ",
        ] {
            assert_eq!(status(&access, &[("authorization", sent)]), 401, "{sent}");
        }
        assert_eq!(status(&access, &[]), 401);
    }

    #[test]
    fn a_trusted_header_says_on_whose_behalf_and_cannot_be_left_out() {
        let settings = AccessSettings {
            tenant_header: Some("x-tenant".to_owned()),
            run_header: Some("x-run".to_owned()),
            ..AccessSettings::default()
        };
        let access = at("127.0.0.1:80", settings);
        let caller = access
            .authenticate(&head(&[
                ("host", "localhost"),
                ("x-tenant", "acme"),
                ("x-run", "7"),
            ]))
            .unwrap();
        assert_eq!(
            (caller.tenant, caller.run),
            (Tenant::new("acme").unwrap(), Some(Run::new("7").unwrap()))
        );
        assert_eq!(status(&access, &[("host", "localhost")]), 400);
        assert_eq!(
            status(
                &access,
                &[("host", "localhost"), ("x-tenant", "a"), ("x-tenant", "b")]
            ),
            400
        );
    }
}
