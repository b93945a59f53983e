//! `[[mcp.server]]`: the servers behind the gateway.

use super::access::{is_header_name, parse_header_value};
use crate::{
    environment::Environment,
    error::{Origin, Problem},
    reference::table,
    secret::{SecretText, read_variable},
    section::{Section, shorten},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// The most servers behind one gateway.
const SERVERS_MAX: usize = 64;

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
    /// True if its own hints may relax its guard; `None`: true for a child, false for an endpoint.
    pub trust_hints: Option<bool>,
    /// True if a child that ends is started again.
    pub restart: bool,
    /// The place of its definition; `None` on a command line.
    pub defined_at: Option<Origin>,
}

impl McpServer {
    /// A server with default settings.
    #[must_use]
    pub fn new(name: impl Into<String>, place: McpPlace) -> Self {
        Self {
            name: name.into(),
            place,
            headers: Vec::new(),
            prefix: None,
            trust_hints: None,
            restart: true,
            defined_at: None,
        }
    }

    /// Returns the prefix of its tools' names, as the only server or one of several.
    #[must_use]
    pub fn prefix(&self, is_alone: bool) -> String {
        match &self.prefix {
            Some(prefix) => prefix.clone(),
            None if is_alone => String::new(),
            None => default_prefix(&self.name),
        }
    }

    /// Returns true if its own hints may relax its guard.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trust_hints
            .unwrap_or(matches!(self.place, McpPlace::Command(_)))
    }
}

pub(super) fn read_servers(section: &Section<'_>, environment: &Environment) -> Vec<McpServer> {
    let mut sections = section.sections(&table::SERVERS);
    if let Some(first) = sections.get(SERVERS_MAX) {
        let message = format!("there are more than {SERVERS_MAX} servers: set up a second gateway");
        first.note(Problem::too_many(message));
        sections.truncate(SERVERS_MAX);
    }
    let mut used_names = UsedNames::default();
    let is_alone = sections.len() == 1;
    sections
        .iter()
        .filter_map(|section| read_server(section, environment, is_alone, &mut used_names))
        .collect()
}

fn read_server(
    section: &Section<'_>,
    environment: &Environment,
    is_alone: bool,
    used_names: &mut UsedNames,
) -> Option<McpServer> {
    let name = section.name(&table::SERVER_NAME);
    if !section.has_key(&table::SERVER_NAME) {
        section.note(Problem::missing(
            "this server has no name: give it a `name`",
        ));
    }
    let prefix = section.text(&table::SERVER_PREFIX);
    let prefix = prefix.map(|prefix| prefix.value.to_owned());
    let place = read_place(section);
    let headers = read_headers(section, environment);
    let trust_hints = section.flag(&table::SERVER_TRUST);
    let restart = section.flag(&table::SERVER_RESTART).unwrap_or(true);
    section.refuse_unknown();
    // Only here, so that all other mistakes of the section are noted before.
    let name = name?;
    used_names.add_name(name, section);
    // The prefix of the only server distinguishes it from nothing.
    if !is_alone {
        let prefix = prefix.clone().unwrap_or_else(|| default_prefix(name));
        used_names.add_prefix(prefix, name, section);
    }
    Some(McpServer {
        headers,
        prefix,
        trust_hints,
        restart,
        defined_at: Some(section.origin()),
        ..McpServer::new(name, place?)
    })
}

/// The prefix of a server's tools where there are several servers.
fn default_prefix(name: &str) -> String {
    format!("{name}_")
}

/// The names and prefixes of the servers so far.
#[derive(Default)]
struct UsedNames {
    names: BTreeSet<String>,
    /// The prefixes, each with the name of its server.
    prefixes: Vec<(String, String)>,
}

impl UsedNames {
    fn add_name(&mut self, name: &str, section: &Section<'_>) {
        if !self.names.insert(name.to_owned()) {
            let name = shorten(name);
            let message = format!("there are two servers `{name}`: give one another name");
            section.note(Problem::contradiction(message));
        }
    }

    /// Adds a server's prefix. A tool belongs to the server with the prefix of its name, so no
    /// prefix may begin with another one.
    fn add_prefix(&mut self, prefix: String, name: &str, section: &Section<'_>) {
        let ambiguous = self
            .prefixes
            .iter()
            .find(|(other, _)| are_ambiguous(&prefix, other));
        if let Some((other_prefix, other_name)) = ambiguous {
            let message = format!(
                "the tools of `{}` and `{}` cannot be distinguished by the prefixes `{}` and \
                 `{}`: give one another `prefix`",
                shorten(name),
                shorten(other_name),
                shorten(&prefix),
                shorten(other_prefix)
            );
            section.note(Problem::contradiction(message));
        }
        self.prefixes.push((prefix, name.to_owned()));
    }
}

/// Returns true if a name could have either prefix. An empty prefix is for the names without any
/// other, so one server may have it.
fn are_ambiguous(prefix: &str, other: &str) -> bool {
    if prefix.is_empty() || other.is_empty() {
        return prefix == other;
    }
    prefix.starts_with(other) || other.starts_with(prefix)
}

fn read_place(section: &Section<'_>) -> Option<McpPlace> {
    let command = section.texts(&table::SERVER_COMMAND);
    let url = section.text(&table::SERVER_URL);
    match (command, url) {
        (Some(_), Some(_)) => {
            let message = "this server has a `command` and a `url`: leave one out";
            section.note(Problem::contradiction(message));
        }
        (Some(command), None) if command.is_empty() => {
            section.note("the `command` is empty: write the server's command");
        }
        (Some(command), None) => {
            let words = command.into_iter().map(|word| word.value.to_owned());
            return Some(McpPlace::Command(words.collect()));
        }
        (None, Some(url)) if is_endpoint(url.value) => {
            return Some(McpPlace::Url(url.value.to_owned()));
        }
        (None, Some(url)) => {
            let message = "this is not the URL of a server: write `https://`, its host and path, without a \
                 password";
            section.mistakes.note(url.span, message);
        }
        // A value of a wrong type is noted already.
        (None, None)
            if section.has_key(&table::SERVER_COMMAND) || section.has_key(&table::SERVER_URL) => {}
        (None, None) => section.note(Problem::missing(
            "this server has no address: write its `command`, or its `url`",
        )),
    }
    None
}

/// Returns true for the URL of an HTTP endpoint, without a password in it.
fn is_endpoint(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !authority.is_empty()
            && !authority.contains('@')
            && url.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// Reads headers with values from variables, so that the file holds no secret.
fn read_headers(section: &Section<'_>, environment: &Environment) -> Vec<(String, SecretText)> {
    let written = section.object(&table::SERVER_HEADERS).unwrap_or_default();
    let mut headers = Vec::new();
    for (name, variable) in &written {
        match read_header(name, variable, environment) {
            Ok(value) => headers.push((name.to_ascii_lowercase(), value)),
            Err(problem) => section.note(problem),
        }
    }
    headers
}

fn read_header(
    name: &str,
    variable: &Value,
    environment: &Environment,
) -> Result<SecretText, Problem> {
    let name_is_valid = is_header_name(name);
    let name = shorten(name);
    let Value::String(variable) = variable else {
        let message =
            format!("`{name}` in `headers_env` names no variable: write its name in quotes");
        return Err(message.into());
    };
    if !name_is_valid {
        return Err(format!("`{name}` is not a valid header name: correct it").into());
    }
    parse_header_value(&read_variable(variable, environment)?)
}
