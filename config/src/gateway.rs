//! `[mcp]`: how the gateway for MCP servers is set up.

use super::{
    error::Origin,
    places::Surroundings,
    reference::{ConfigKey, table},
    secret::SecretText,
    section::{Located, Section, path, shown},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};
use zeroize::Zeroizing;

/// The most servers behind one gateway.
pub const SERVERS_MAX: usize = 64;

/// The longest token or header value, in bytes.
const SECRET_BYTES_MAX: usize = 8 << 10;

/// The shortest token: one that is guessed protects nothing.
const TOKEN_BYTES_MIN: usize = 16;

/// The most hosts, origins and tools to look with, each.
const NAMES_MAX: usize = 64;

/// The limits of one client, or of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpLimits {
    /// The largest message over HTTP, in bytes.
    pub body_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
    /// The most requests of one tenant in a second, over a while.
    pub requests_per_second: u32,
    /// The most children of this process that serve one server's clients.
    pub children: usize,
}

impl Default for McpLimits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            connections: 4_096,
            requests_per_second: 10_000,
            children: 32,
        }
    }
}

/// The place of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpPlace {
    /// A child of this process, started by this command.
    Command(Vec<String>),
    /// An HTTP endpoint.
    Url(String),
}

/// A server behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// Its name: part of the identity of its tools' operations.
    pub name: String,
    /// Its place.
    pub place: McpPlace,
    /// The headers of each request, over HTTP.
    pub headers: Vec<(String, SecretText)>,
    /// The prefix of its tools' and prompts' names; `None`: no prefix for the only server, else its
    /// name and `_`.
    pub prefix: Option<String>,
    /// True if its own hints may relax its guard; `None`: a child is believed, an endpoint is not.
    pub trust_hints: Option<bool>,
    /// True if a child that ends is started again.
    pub restart: bool,
    /// The place of its definition; `None` on a command line.
    pub defined_at: Option<Origin>,
}

impl McpServer {
    /// A server with nothing said about it but its name and place.
    #[must_use]
    pub fn new(name: impl Into<String>, place: McpPlace) -> Self {
        let name = name.into();
        let headers = Vec::new();
        Self {
            name,
            place,
            headers,
            prefix: None,
            trust_hints: None,
            restart: true,
            defined_at: None,
        }
    }

    /// Returns the prefix of its tools' names, as the only server or one of several.
    #[must_use]
    pub fn prefix(&self, is_alone: bool) -> String {
        let default = || {
            if is_alone {
                String::new()
            } else {
                format!("{}_", self.name)
            }
        };
        self.prefix.clone().unwrap_or_else(default)
    }

    /// Returns true if its own hints may relax its guard.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trust_hints
            .unwrap_or(matches!(self.place, McpPlace::Command(_)))
    }
}

/// The settings of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpSetup {
    /// The address for clients over HTTP; `None`: one client, over the standard streams.
    pub listen: Option<SocketAddr>,
    /// The bearer token that a client must know.
    pub token: Option<SecretText>,
    /// The names by which clients may call this host, besides those of the address it listens on.
    pub hosts: Vec<String>,
    /// The origins of web pages that may be clients, besides those on this machine.
    pub origins: Vec<String>,
    /// The header that names a client's tenant; `None`: the configuration does.
    pub tenant_header: Option<String>,
    /// The header that names the agent's run.
    pub run_header: Option<String>,
    /// The limits of clients.
    pub limits: McpLimits,
    /// Tools that policies may look with although their server does not say that they only read, by their names here.
    pub probe_tools: Vec<String>,
    /// The time that calls in progress have to end after a signal.
    pub shutdown_within: Duration,
    /// The servers.
    pub servers: Vec<McpServer>,
}

impl Default for McpSetup {
    fn default() -> Self {
        Self {
            listen: None,
            token: None,
            hosts: Vec::new(),
            origins: Vec::new(),
            tenant_header: None,
            run_header: None,
            limits: McpLimits::default(),
            probe_tools: Vec::new(),
            shutdown_within: Duration::from_secs(10),
            servers: Vec::new(),
        }
    }
}

/// Reads an address to listen on: `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
#[must_use]
pub fn listen_address(text: &str) -> Option<SocketAddr> {
    let local = || {
        let port = text.strip_prefix("localhost:")?.parse().ok()?;
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    };
    text.parse().ok().or_else(local)
}

/// The set-up, and nothing but the defaults where there is no `[mcp]`.
pub(super) fn read(
    section: Option<&Section<'_>>,
    folder: &Path,
    around: &Surroundings,
) -> McpSetup {
    let Some(section) = section else {
        return McpSetup::default();
    };
    let defaults = McpSetup::default();
    McpSetup {
        listen: listen(section),
        token: token(section, folder, around),
        hosts: lowercase(section, &table::HOSTS),
        origins: lowercase(section, &table::ORIGINS),
        tenant_header: header_name(section, &table::TENANT_HEADER),
        run_header: header_name(section, &table::RUN_HEADER),
        limits: limits(section),
        probe_tools: names(section, &table::PROBE_TOOLS)
            .into_iter()
            .map(|name| name.value.to_owned())
            .collect(),
        shutdown_within: section
            .duration(&table::SHUTDOWN)
            .unwrap_or(defaults.shutdown_within),
        servers: servers(section, around),
    }
}

fn listen(section: &Section<'_>) -> Option<SocketAddr> {
    let Located { value, span } = section.text(&table::LISTEN)?;
    listen_address(value).or_else(|| {
        let problem = format!(
            "`{}` is not a valid address: write one such as `127.0.0.1:8080`",
            shown(value)
        );
        section.mistakes.note(span, problem);
        None
    })
}

fn limits(section: &Section<'_>) -> McpLimits {
    let defaults = McpLimits::default();
    let size = |key, default: usize| {
        section
            .number(key)
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(default)
    };
    McpLimits {
        body_bytes: size(&table::BODY_BYTES, defaults.body_bytes),
        connections: size(&table::CONNECTIONS, defaults.connections),
        requests_per_second: section
            .number(&table::REQUESTS)
            .unwrap_or(defaults.requests_per_second),
        children: size(&table::CHILDREN, defaults.children),
    }
}

fn lowercase(section: &Section<'_>, key: &'static ConfigKey) -> Vec<String> {
    names(section, key)
        .into_iter()
        .map(|name| name.value.to_ascii_lowercase())
        .collect()
}

fn names<'a>(section: &Section<'a>, key: &'static ConfigKey) -> Vec<Located<&'a str>> {
    let written = section.texts(key).unwrap_or_default();
    if let Some(first) = written.get(NAMES_MAX) {
        section.mistakes.note(
            first.span.clone(),
            format!(
                "`{}` has more than {NAMES_MAX} names: leave some out",
                key.name
            ),
        );
    }
    written.into_iter().take(NAMES_MAX).collect()
}

fn header_name(section: &Section<'_>, key: &'static ConfigKey) -> Option<String> {
    let Located { value, span } = section.text(key)?;
    match may_be_trusted(value) {
        Ok(()) => Some(value.to_ascii_lowercase()),
        Err(problem) => {
            section.mistakes.note(span, problem);
            None
        }
    }
}

fn may_be_trusted(name: &str) -> Result<(), String> {
    const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];
    if !is_header_name(name) {
        return Err(format!(
            "`{}` is not a valid header name: write one such as `X-Tenant`",
            shown(name)
        ));
    }
    if SECRETS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "`{}` carries secrets, which are kept nowhere: name another header",
            shown(name)
        ));
    }
    Ok(())
}

fn is_header_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(is_part)
}

fn token(section: &Section<'_>, folder: &Path, around: &Surroundings) -> Option<SecretText> {
    let file = section.text(&table::TOKEN_FILE);
    let variable = section.text(&table::TOKEN_ENV);
    let (token, span) = match (file, variable) {
        (Some(_), Some(variable)) => (
            Err("the token is named twice: name it once".to_owned()),
            variable.span,
        ),
        (Some(file), None) => (of_file(file.value, folder), file.span),
        (None, Some(variable)) => (of_variable(variable.value, around), variable.span),
        (None, None) => return None,
    };
    token
        .and_then(long_enough)
        .map_err(|problem| section.mistakes.note(span, problem))
        .ok()
}

fn long_enough(token: SecretText) -> Result<SecretText, String> {
    if token.reveal().len() < TOKEN_BYTES_MIN {
        return Err(format!(
            "the token is shorter than {TOKEN_BYTES_MIN} bytes: make one with `openssl rand -hex 32`"
        ));
    }
    Ok(token)
}

fn of_file(written: &str, folder: &Path) -> Result<SecretText, String> {
    let path = folder.join(path(written)?);
    let bytes = super::places::read_at_most(&path, SECRET_BYTES_MAX)
        .map_err(|error| {
            format!(
                "the token in `{}` cannot be read ({error}): correct its path",
                path.display()
            )
        })?
        .ok_or_else(|| {
            format!(
                "the token in `{}` is longer than {SECRET_BYTES_MAX} bytes",
                path.display()
            )
        })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| "the token is not text: make one with `openssl rand -hex 32`")?;
    secret(&Zeroizing::new(text))
}

fn of_variable(name: &str, around: &Surroundings) -> Result<SecretText, String> {
    let value = around.variable(name).ok_or_else(|| {
        format!(
            "the variable `{}` is not set: set it to the secret",
            shown(name)
        )
    })?;
    let text = value
        .to_str()
        .ok_or_else(|| format!("the variable `{}` does not hold text", shown(name)))?;
    secret(text)
}

/// Checks that a header can carry the text, and cuts its line end.
fn secret(text: &str) -> Result<SecretText, String> {
    let text = text.trim_end_matches(['\r', '\n']);
    let is_fine =
        text.len() <= SECRET_BYTES_MAX && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !is_fine || text.is_empty() {
        return Err(
            "the secret is empty, too long, or holds what a header cannot carry".to_owned(),
        );
    }
    Ok(SecretText::new(text))
}

fn servers(section: &Section<'_>, around: &Surroundings) -> Vec<McpServer> {
    let mut found = section.sections(&table::SERVERS);
    if let Some(first) = found.get(SERVERS_MAX) {
        let problem = format!("there are more than {SERVERS_MAX} servers: set up a second gateway");
        section.mistakes.note(first.span.clone(), problem);
        found.truncate(SERVERS_MAX);
    }
    let mut seen = Seen::default();
    let is_alone = found.len() == 1;
    found
        .iter()
        .filter_map(|found| server(found, around, is_alone, &mut seen))
        .collect()
}

/// The names and prefixes of the servers before.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    prefixes: Vec<(String, String)>,
}

fn server(
    section: &Section<'_>,
    around: &Surroundings,
    is_alone: bool,
    seen: &mut Seen,
) -> Option<McpServer> {
    let name = section.name(&table::SERVER_NAME);
    if !section.has(&table::SERVER_NAME) {
        note(section, "this server has no name: give it a `name`");
    }
    let prefix = section
        .text(&table::SERVER_PREFIX)
        .map(|prefix| prefix.value.to_owned());
    let place = place(section);
    let headers = headers(section, around);
    let trust_hints = section.flag(&table::SERVER_TRUST);
    let restart = section.flag(&table::SERVER_RESTART).unwrap_or(true);
    section.refuse_unknown();
    let name = name?.to_owned();
    if !seen.names.insert(name.clone()) {
        note(
            section,
            &format!(
                "there are two servers `{}`: give one another name",
                shown(&name)
            ),
        );
    }
    if !is_alone {
        seen.keep_apart(
            section,
            &name,
            prefix.clone().unwrap_or_else(|| format!("{name}_")),
        );
    }
    let defined_at = Some(section.mistakes.origin(section.span.clone()));
    Some(McpServer {
        name,
        place: place?,
        headers,
        prefix,
        trust_hints,
        restart,
        defined_at,
    })
}

impl Seen {
    /// A tool belongs to the server with the prefix of its name, so no prefix may begin with
    /// another one.
    fn keep_apart(&mut self, section: &Section<'_>, name: &str, prefix: String) {
        let is_apart = |other: &str| {
            let both_say_something = !other.is_empty() && !prefix.is_empty();
            other != prefix
                && !(both_say_something
                    && (other.starts_with(&*prefix) || prefix.starts_with(other)))
        };
        if let Some((other, others)) = self.prefixes.iter().find(|(_, other)| !is_apart(other)) {
            let prefix = shown(&prefix);
            let others = shown(others);
            let name = shown(name);
            let other = shown(other);
            note(
                section,
                &format!(
                    "the names of the tools of `{name}` and `{other}` cannot be told apart by `{prefix}` and `{others}`: give one another `prefix`"
                ),
            );
        }
        self.prefixes.push((name.to_owned(), prefix));
    }
}

fn place(section: &Section<'_>) -> Option<McpPlace> {
    let command = section.texts(&table::SERVER_COMMAND);
    let url = section.text(&table::SERVER_URL);
    match (command, url) {
        (Some(_), Some(_)) => note(
            section,
            "this server has a `command` and a `url`: leave one out",
        ),
        (Some(command), None) if command.is_empty() => {
            note(section, "the `command` is empty: write the server's own")
        }
        (Some(command), None) => {
            return Some(McpPlace::Command(
                command
                    .into_iter()
                    .map(|word| word.value.to_owned())
                    .collect(),
            ));
        }
        (None, Some(url)) if is_url(url.value) => return Some(McpPlace::Url(url.value.to_owned())),
        (None, Some(url)) => {
            section.mistakes.note(
                url.span,
                "this is not the address of a server: write `https://` and its name",
            );
        }
        (None, None) if section.has(&table::SERVER_COMMAND) || section.has(&table::SERVER_URL) => {}
        (None, None) => note(
            section,
            "this server is nowhere: write its `command`, or its `url`",
        ),
    }
    None
}

/// Returns true if it looks like an HTTP endpoint without a password in it.
fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !authority.is_empty()
            && !authority.contains('@')
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// Headers by the variables that hold them, so that no secret stands in the file.
fn headers(section: &Section<'_>, around: &Surroundings) -> Vec<(String, SecretText)> {
    let written = section.object(&table::SERVER_HEADERS).unwrap_or_default();
    let header = |(name, variable): (String, Value)| {
        let made = match &variable {
            Value::String(variable) if is_header_name(&name) => of_variable(variable, around),
            Value::String(_) => Err(format!("`{}` is not a valid header name", shown(&name))),
            _ => Err(format!(
                "`{}` in `headers_env` names no variable: write its name in quotes",
                shown(&name)
            )),
        };
        made.map(|value| (name.to_ascii_lowercase(), value))
            .map_err(|problem| note(section, &problem))
            .ok()
    };
    written.into_iter().filter_map(header).collect()
}

fn note(section: &Section<'_>, problem: &str) {
    section.mistakes.note(section.span.clone(), problem);
}
