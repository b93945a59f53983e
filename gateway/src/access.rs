//! Who may come in over HTTP, and on whose behalf.
//!
//! What is secret in a request's head stays here: a [`Caller`] has no place for it. Who is behind a token that several clients
//! share is not told apart, unless a header that is trusted says so.

use crate::link::Caller;
use hyper::{HeaderMap, StatusCode, header, http::request::Parts};
use semel::model::{Run, Tenant};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// The names of this machine for itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Who may come in, as an operator says it.
#[derive(Debug, Default)]
pub struct Terms {
    /// The SHA-256 digest of the bearer token; none: whoever reaches the address may come in.
    pub token: Option<TokenDigest>,
    /// The names by which clients may call this host, besides its own.
    pub hosts: Vec<String>,
    /// The web pages whose scripts may be clients, besides those of this machine.
    pub origins: Vec<String>,
    /// The header that says on whose behalf a client calls.
    pub tenant_header: Option<String>,
    /// The header that names the agent's run.
    pub run_header: Option<String>,
}

/// What is kept of a token. Debug output does not tell it.
#[derive(Clone)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Takes the same time whatever differs: digests tell nothing about how much of a guess was right, and are compared whole.
    fn is_of(&self, token: &str) -> bool {
        let Self(other) = Self::of(token);
        let differs = self
            .0
            .iter()
            .zip(other)
            .fold(0, |differs, (own, other)| differs | (own ^ other));
        std::hint::black_box(differs) == 0
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest")
    }
}

/// The address is open to more than this machine, and nothing keeps anybody out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, and no token is set up: name one as `token_file` or `token_env` in `[mcp]`, or listen on 127.0.0.1"
)]
pub struct Unprotected(SocketAddr);

/// The rule for whoever comes in.
#[derive(Debug)]
pub struct Access {
    tenant: Tenant,
    run: Option<Run>,
    terms: Terms,
    /// The hosts by which clients may call; none: any.
    hosts: Option<Vec<String>>,
}

/// Somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    /// The status of the response.
    pub status: StatusCode,
    /// Why, and what to do.
    pub message: String,
}

impl Access {
    /// Lets everybody in who reaches the address by a name of this machine, on behalf of this tenant.
    #[must_use]
    pub fn open(tenant: Tenant, run: Option<Run>) -> Self {
        Self {
            tenant,
            run,
            terms: Terms::default(),
            hosts: Some(loopback_and(&[])),
        }
    }

    /// Lets in who keeps to these terms at this address; on behalf of this tenant where no header says otherwise.
    ///
    /// # Errors
    /// If other machines reach the address, and there is no token.
    pub fn at(
        address: SocketAddr,
        terms: Terms,
        tenant: Tenant,
        run: Option<Run>,
    ) -> Result<Self, Unprotected> {
        if !address.ip().is_loopback() && terms.token.is_none() {
            return Err(Unprotected(address));
        }
        // Who listens on every address has more names than it knows. A page that rebinds one of them has no token.
        let has_any_name = address.ip().is_unspecified() && terms.hosts.is_empty();
        let own = match address.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let hosts = (!has_any_name).then(|| loopback_and(&[&terms.hosts[..], &[own]].concat()));
        Ok(Self {
            tenant,
            run,
            terms,
            hosts,
        })
    }

    /// Who sends a request with this head.
    ///
    /// # Errors
    /// If whoever it is may not come in.
    pub fn admit(&self, parts: &Parts) -> Result<Caller, Denied> {
        self.let_in(parts)?;
        let tenant = match &self.terms.tenant_header {
            None => self.tenant.clone(),
            Some(name) => {
                let value = only(&parts.headers, name)?.ok_or_else(|| {
                    // Another's outcomes must not be had by leaving a header out.
                    denied(
                        StatusCode::BAD_REQUEST,
                        format!("the header `{name}` is missing: say on whose behalf"),
                    )
                })?;
                Tenant::new(value)
                    .map_err(|fault| denied(StatusCode::BAD_REQUEST, fault.to_string()))?
            }
        };
        let named = match &self.terms.run_header {
            None => None,
            Some(name) => only(&parts.headers, name)?,
        };
        let run = named
            .map(Run::new)
            .transpose()
            .map_err(|fault| denied(StatusCode::BAD_REQUEST, fault.to_string()))?;
        Ok(Caller::new(tenant, run.or_else(|| self.run.clone())))
    }

    /// Whether a request with this head may be served at all.
    ///
    /// # Errors
    /// If it may not.
    pub fn let_in(&self, parts: &Parts) -> Result<(), Denied> {
        self.check_host(parts)?;
        self.check_origin(parts)?;
        self.check_token(parts)
    }

    fn check_host(&self, parts: &Parts) -> Result<(), Denied> {
        let Some(hosts) = &self.hosts else {
            return Ok(());
        };
        let called = match parts.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => only(&parts.headers, header::HOST.as_str())?,
        };
        let called = called.unwrap_or_default().to_ascii_lowercase();
        let is_known = hosts
            .iter()
            .any(|host| *host == called || *host == without_port(&called));
        let cure = "use its address, or add the name to `hosts` in `[mcp]`";
        is_known
            .then_some(())
            .ok_or_else(|| forbidden(format!("this host is not known by that name: {cure}")))
    }

    fn check_origin(&self, parts: &Parts) -> Result<(), Denied> {
        let Some(origin) = only(&parts.headers, header::ORIGIN.as_str())? else {
            return Ok(());
        };
        let origin = origin.to_ascii_lowercase();
        let host = origin.split_once("://").map(|(_, host)| without_port(host));
        let is_here = host.is_some_and(|host| LOOPBACK.contains(&host));
        if is_here || self.terms.origins.contains(&origin) {
            return Ok(());
        }
        Err(forbidden(
            "pages of this origin may not be clients: add it to `origins` in `[mcp]`".to_owned(),
        ))
    }

    fn check_token(&self, parts: &Parts) -> Result<(), Denied> {
        let Some(token) = &self.terms.token else {
            return Ok(());
        };
        let sent = only(&parts.headers, header::AUTHORIZATION.as_str())?
            .and_then(|sent| sent.split_once(' '));
        match sent {
            Some((scheme, sent))
                if scheme.eq_ignore_ascii_case("bearer") && token.is_of(sent.trim()) =>
            {
                Ok(())
            }
            Some(_) => Err(denied(
                StatusCode::UNAUTHORIZED,
                "the token is not the right one".to_owned(),
            )),
            None => {
                let what = "a token is needed: send `Authorization: Bearer` and the token";
                Err(denied(StatusCode::UNAUTHORIZED, what.to_owned()))
            }
        }
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
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

/// A header's value. Where it stands there twice, two readers may see two different ones.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Denied> {
    let mut values = headers.get_all(name).iter();
    let (value, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(denied(
            StatusCode::BAD_REQUEST,
            format!("the header `{name}` stands there twice"),
        ));
    }
    let text = value.map(|value| value.to_str()).transpose();
    text.map_err(|_| {
        denied(
            StatusCode::BAD_REQUEST,
            format!("the header `{name}` is no text"),
        )
    })
}

fn forbidden(message: String) -> Denied {
    denied(StatusCode::FORBIDDEN, message)
}

fn denied(status: StatusCode, message: String) -> Denied {
    Denied { status, message }
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

    fn at(address: &str, terms: Terms) -> Access {
        Access::at(address.parse().unwrap(), terms, Tenant::default(), None).unwrap()
    }

    fn status(access: &Access, headers: &[(&str, &str)]) -> u16 {
        access
            .admit(&head(headers))
            .map_or_else(|denied| denied.status.as_u16(), |_| 200)
    }

    #[test]
    fn an_address_that_other_machines_reach_needs_a_token() {
        let open = |address: &str| {
            Access::at(
                address.parse().unwrap(),
                Terms::default(),
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
            Terms {
                hosts: vec!["Tools.Example".to_owned()],
                ..Terms::default()
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
            Terms {
                origins: vec!["https://app.example".to_owned()],
                ..Terms::default()
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
        let terms = Terms {
            token: Some(TokenDigest::of("0123456789abcdef")),
            ..Terms::default()
        };
        assert!(!format!("{terms:?}").contains("0123"));
        let access = at("0.0.0.0:80", terms);
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
        let terms = Terms {
            tenant_header: Some("x-tenant".to_owned()),
            run_header: Some("x-run".to_owned()),
            ..Terms::default()
        };
        let access = at("127.0.0.1:80", terms);
        let caller = access
            .admit(&head(&[
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
