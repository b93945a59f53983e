//! `[mcp]`: the settings of the gateway for MCP servers.

mod access;
mod servers;

pub use access::listen_address;
pub use servers::{McpPlace, McpServer};

use crate::{
    environment::Environment,
    error::Problem,
    reference::{ConfigKey, table},
    secret::SecretText,
    section::Section,
};
use std::{net::SocketAddr, path::Path, time::Duration};

/// The most hosts, origins and probe tools, each.
const NAMES_MAX: usize = 64;

/// The settings of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpSetup {
    /// The address for clients over HTTP; `None`: one client, over the standard streams.
    pub listen: Option<SocketAddr>,
    /// The bearer token of clients.
    pub token: Option<SecretText>,
    /// The names by which clients may call this host, besides those of the address it listens on.
    pub hosts: Vec<String>,
    /// The origins of web pages that may be clients, besides those on this machine.
    pub origins: Vec<String>,
    /// The header that names a client's tenant; `None`: all clients have the configured tenant.
    pub tenant_header: Option<String>,
    /// The header that names the agent's run.
    pub run_header: Option<String>,
    /// The limits of clients.
    pub limits: McpLimits,
    /// Tools that policies may probe with although their server does not declare them read-only, by
    /// their prefixed names.
    pub probe_tools: Vec<String>,
    /// The time that calls in progress get at shutdown.
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

/// The limits of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpLimits {
    /// The largest message over HTTP, in bytes.
    pub body_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
    /// The rate limit of one tenant, in requests per second.
    pub requests_per_second: u32,
    /// The most child processes of one server.
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

/// Reads the settings. Without an `[mcp]`, they are the defaults.
pub(crate) fn read_gateway(
    section: Option<&Section<'_>>,
    folder: &Path,
    environment: &Environment,
) -> McpSetup {
    let defaults = McpSetup::default();
    let Some(section) = section else {
        return defaults;
    };
    let probe_tools = read_names(section, &table::PROBE_TOOLS);
    McpSetup {
        listen: access::read_listen(section),
        token: access::read_token(section, folder, environment),
        hosts: access::read_lowercase(section, &table::HOSTS),
        origins: access::read_lowercase(section, &table::ORIGINS),
        tenant_header: access::read_header_name(section, &table::TENANT_HEADER),
        run_header: access::read_header_name(section, &table::RUN_HEADER),
        limits: read_limits(section),
        probe_tools: probe_tools.into_iter().map(str::to_owned).collect(),
        shutdown_within: section
            .duration(&table::SHUTDOWN)
            .unwrap_or(defaults.shutdown_within),
        servers: servers::read_servers(section, environment),
    }
}

fn read_limits(section: &Section<'_>) -> McpLimits {
    let defaults = McpLimits::default();
    let read_size = |key, default: usize| {
        let number = section.number(key);
        number
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(default)
    };
    McpLimits {
        body_bytes: read_size(&table::BODY_BYTES, defaults.body_bytes),
        connections: read_size(&table::CONNECTIONS, defaults.connections),
        requests_per_second: section
            .number(&table::REQUESTS)
            .unwrap_or(defaults.requests_per_second),
        children: read_size(&table::CHILDREN, defaults.children),
    }
}

/// Reads a list of names, as far as it is not too long.
fn read_names<'a>(section: &Section<'a>, key: &'static ConfigKey) -> Vec<&'a str> {
    let written = section.texts(key).unwrap_or_default();
    if let Some(first) = written.get(NAMES_MAX) {
        let message = format!(
            "`{}` has more than {NAMES_MAX} names: remove some",
            key.name
        );
        let problem = Problem::too_many(message);
        section.mistakes.note(first.span.clone(), problem);
    }
    let names = written.into_iter().take(NAMES_MAX);
    names.map(|name| name.value).collect()
}
