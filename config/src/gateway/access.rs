//! The keys of `[mcp]` that decide which clients may connect, and for which tenant they call.

use super::read_names;
use crate::{
    environment::Environment,
    error::Problem,
    reference::{ConfigKey, table},
    secret::{SecretKeys, SecretText},
    section::{Section, shorten},
};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

/// The longest token or header value, in bytes.
const HEADER_BYTES_MAX: usize = 8 << 10;

/// The longest name of a header, in bytes.
const HEADER_NAME_BYTES_MAX: usize = 256;

/// The shortest token, in bytes. A shorter one could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// Headers with secrets of clients. The gateway keeps no such value.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// `token_file` and `token_env`.
static TOKEN: SecretKeys = SecretKeys {
    file: &table::TOKEN_FILE,
    variable: &table::TOKEN_ENV,
    noun: "token",
    file_bytes_max: HEADER_BYTES_MAX,
};

/// Reads an address to listen on: `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
#[must_use]
pub fn listen_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().ok()?;
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().ok()
}

pub(super) fn read_listen(section: &Section<'_>) -> Option<SocketAddr> {
    let listen = section.text(&table::LISTEN)?;
    let address = listen_address(listen.value).ok_or_else(|| {
        format!(
            "`{}` is not a valid address: write one such as `127.0.0.1:8080`",
            shorten(listen.value)
        )
    });
    section.mistakes.value_or_note(address, listen.span)
}

/// Reads names that are compared without regard to case.
pub(super) fn read_lowercase(section: &Section<'_>, key: &'static ConfigKey) -> Vec<String> {
    let names = read_names(section, key);
    names.into_iter().map(str::to_ascii_lowercase).collect()
}

/// Reads the name of a header that a proxy sets.
pub(super) fn read_header_name(section: &Section<'_>, key: &'static ConfigKey) -> Option<String> {
    let written = section.text(key)?;
    let name = parse_proxy_header(written.value);
    section.mistakes.value_or_note(name, written.span)
}

fn parse_proxy_header(name: &str) -> Result<String, Problem> {
    if !is_header_name(name) {
        let message = format!(
            "`{}` is not a valid header name: write one such as `X-Tenant`",
            shorten(name)
        );
        return Err(message.into());
    }
    let lowercase = name.to_ascii_lowercase();
    if SECRET_HEADERS.contains(&lowercase.as_str()) {
        let message = format!(
            "`{}` carries secrets, which the gateway does not keep: name another header",
            shorten(name)
        );
        return Err(message.into());
    }
    Ok(lowercase)
}

/// Returns true for a token of RFC 9110, 5.6.2.
pub(super) fn is_header_name(name: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= HEADER_NAME_BYTES_MAX && name.bytes().all(is_token_byte)
}

pub(super) fn read_token(
    section: &Section<'_>,
    folder: &Path,
    environment: &Environment,
) -> Option<SecretText> {
    TOKEN.read(section, folder, environment, parse_token)
}

fn parse_token(bytes: &[u8]) -> Result<SecretText, Problem> {
    let token = parse_header_value(bytes)?;
    if token.reveal().len() < TOKEN_BYTES_MIN {
        let message = format!(
            "the token is shorter than {TOKEN_BYTES_MIN} bytes: make one with `openssl rand -hex 32`"
        );
        return Err(message.into());
    }
    Ok(token)
}

/// Checks that a header can carry the secret, and cuts its line end.
pub(super) fn parse_header_value(bytes: &[u8]) -> Result<SecretText, Problem> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_end_matches(['\r', '\n']);
    let is_printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if text.is_empty() || text.len() > HEADER_BYTES_MAX || !is_printable {
        let message = format!(
            "the secret is not a header value: write 1 to {HEADER_BYTES_MAX} printable ASCII \
             characters"
        );
        return Err(message.into());
    }
    Ok(SecretText::new(text))
}
