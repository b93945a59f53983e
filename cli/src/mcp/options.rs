//! The options of `semel mcp`, and the plan that they and the configuration make: which servers, for which tenant, and
//! where clients connect.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
    logging::LogStyle,
    mcp::server_name,
    setup,
};
use clap::{ValueEnum, builder::NonEmptyStringValueParser};
use semel::model::{Run, Tenant};
use semel_config::{Config, McpPlace, McpServer, McpSetup, listen_address};
use std::net::SocketAddr;

/// Guards the tools of MCP servers: write it before a server's own command in a client's configuration
///
/// Each tool call is sent at most once, and repeats get the recorded result. Other messages pass unchanged. Without a
/// command or `--upstream`, it serves the servers of `[[mcp.server]]` in the configuration.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct McpArgs {
    #[command(subcommand)]
    pub(super) command: Option<super::McpCommand>,
    #[command(flatten)]
    pub(super) serve: ServeArgs,
}

/// The arguments of the command that serves.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Name of the server, which is part of the identity of its tools' operations [default: from its command or URL]; if
    /// the servers are configured, the one to serve alone
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Let the server's own hints loosen the guard, such as `readOnlyHint` [default: yes for a command, no for a URL]
    #[arg(long, value_name = "YES|NO")]
    trust_hints: Option<YesNo>,
    /// Address to serve clients over HTTP, such as 127.0.0.1:8080, or `stdio` for one client [default: stdio; if the
    /// servers are configured, `listen` of `[mcp]`]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// URL of the server's endpoint, in place of a command
    #[arg(long, value_name = "URL", conflicts_with = "words")]
    upstream: Option<String>,
    /// Style of the log on stderr [default: human on a terminal, else json]
    #[arg(long, value_name = "STYLE")]
    pub(super) log: Option<LogStyle>,
    /// Tenant for which calls are made [default: the configuration's, else `default`]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Agent run that makes the calls
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Command of the server, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    Yes,
    No,
}

/// The plan of a gateway.
#[derive(Debug)]
pub(super) struct ServePlan {
    pub(super) config: Config,
    pub(super) tenant: Tenant,
    pub(super) run: Option<Run>,
    /// None: over the standard streams.
    pub(super) listen: Option<SocketAddr>,
    pub(super) servers: Vec<McpServer>,
}

impl ServeArgs {
    /// Combines the arguments with the configuration.
    pub(super) fn into_plan(self) -> Result<ServePlan, CommandError> {
        let config = setup::load_config(&self.config)?;
        let tenant = match &self.tenant {
            Some(name) => Tenant::new(name).or_exit(ExitReason::Refused)?,
            None => config.tenant.clone(),
        };
        let run = self
            .run
            .as_ref()
            .map(Run::new)
            .transpose()
            .or_exit(ExitReason::Refused)?;
        let listen = self.listen_address(&config.mcp)?;
        let trust_hints = self.trust_hints.map(|answer| answer == YesNo::Yes);
        let mut servers = match self.named_place()? {
            Some(place) => {
                let name = self
                    .name
                    .unwrap_or_else(|| server_name::default_name(&place));
                vec![McpServer::new(name, place)]
            }
            None => configured_servers(&config, self.name.as_deref())?,
        };
        for server in &mut servers {
            server.trust_hints = trust_hints.or(server.trust_hints);
        }
        Ok(ServePlan {
            config,
            tenant,
            run,
            listen,
            servers,
        })
    }

    /// The server that the command line names, if it names one.
    fn named_place(&self) -> Result<Option<McpPlace>, CommandError> {
        match &self.upstream {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                Ok(Some(McpPlace::Url(url.clone())))
            }
            Some(url) => Err(ExitReason::Usage.error(format!(
                "`{url}` is not a URL of an endpoint: begin it with `https://` or `http://`"
            ))),
            None if self.words.is_empty() => Ok(None),
            None => Ok(Some(McpPlace::Command(self.words.clone()))),
        }
    }

    /// The address to listen on; none for the standard streams.
    fn listen_address(&self, setup: &McpSetup) -> Result<Option<SocketAddr>, CommandError> {
        let names_server = self.upstream.is_some() || !self.words.is_empty();
        match self.listen.as_deref() {
            // A client started this process for itself, so the configured address is not meant.
            None if names_server => Ok(None),
            None => Ok(setup.listen),
            Some("stdio") => Ok(None),
            Some(text) => listen_address(text).map(Some).ok_or_else(|| {
                ExitReason::Usage.error(format!(
                    "`{text}` is not an address: write `stdio`, or one such as `127.0.0.1:8080`"
                ))
            }),
        }
    }
}

/// The configured servers, or only the one of this name.
fn configured_servers(config: &Config, name: Option<&str>) -> Result<Vec<McpServer>, CommandError> {
    let servers = &config.mcp.servers;
    if servers.is_empty() {
        return Err(ExitReason::Usage.error(
            "no server is named: write its command after `--`, its URL after `--upstream`, or a `[[mcp.server]]` into \
             the configuration",
        ));
    }
    let Some(name) = name else {
        return Ok(servers.clone());
    };
    let Some(server) = servers.iter().find(|server| server.name == name) else {
        let names: Vec<_> = servers
            .iter()
            .map(|server| format!("`{}`", server.name))
            .collect();
        return Err(ExitReason::NotFound.error(format!(
            "no server `{name}` is configured: use one of {}",
            names.join(", ")
        )));
    };
    let mut server = server.clone();
    // The default prefix keeps the tools of several servers apart: one server alone needs none.
    server.prefix.get_or_insert_default();
    Ok(vec![server])
}
