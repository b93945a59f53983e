//! What was typed and what is configured, put together: which servers, for whom, and where clients come in.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
    mcp::name,
    setup,
    talk::LogStyle,
};
use clap::{ValueEnum, builder::NonEmptyStringValueParser};
use semel::model::{Run, Tenant};
use semel_config::{Config, McpPlace, McpServer, McpSetup, listen_address};
use std::net::SocketAddr;

/// Stands between MCP clients and their servers: write it before the server's own command in a client's configuration.
///
/// Each tool call is sent once, and whoever repeats it gets what it came to. Everything else passes unchanged. Without a
/// command or `--upstream`, the servers are those of `[[mcp.server]]` in the configuration.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct McpArgs {
    #[command(subcommand)]
    pub(super) command: Option<super::McpCommand>,
    #[command(flatten)]
    pub(super) serve: Serve,
}

/// How to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// What the server is called, which is part of the identity of what its tools do [default: by its command or URL]; of
    /// configured servers: serves this one alone
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Whether the server's own hints may make its guard less careful [default: of a command, yes; of a URL, no]
    #[arg(long, value_name = "YES|NO")]
    trust_hints: Option<YesNo>,
    /// Serves clients over HTTP at this address, such as 127.0.0.1:8080, or one client over `stdio` [default: `listen` of
    /// `[mcp]` where the servers are the configured ones, else stdio]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The server's endpoint, in place of a command
    #[arg(long, value_name = "URL", conflicts_with = "words")]
    upstream: Option<String>,
    /// How the log is written to stderr [default: human on a terminal, else json]
    #[arg(long, value_name = "STYLE")]
    pub(super) log: Option<LogStyle>,
    /// On whose behalf [default: the configuration's, else `default`]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The run of the agent that makes the calls
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    #[command(flatten)]
    place: ConfigArgs,
    /// The server's command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// A switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    Yes,
    No,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) tenant: Tenant,
    pub(super) run: Option<Run>,
    /// None: over the standard streams.
    pub(super) listen: Option<SocketAddr>,
    pub(super) servers: Vec<McpServer>,
}

impl Serve {
    pub(super) fn plan(self) -> Result<Plan, CommandError> {
        let config = setup::load_config(&self.place)?;
        let tenant = self
            .tenant
            .as_ref()
            .map(Tenant::new)
            .transpose()
            .or_exit(Exit::Refused)?;
        let run = self
            .run
            .as_ref()
            .map(Run::new)
            .transpose()
            .or_exit(Exit::Refused)?;
        let listen = self.listen(&config.mcp)?;
        let trust_hints = self.trust_hints.map(|answer| answer == YesNo::Yes);
        let mut servers = match self.typed_place()? {
            Some(place) => vec![McpServer::new(
                self.name.unwrap_or_else(|| name::of(&place)),
                place,
            )],
            None => configured(&config, self.name.as_deref())?,
        };
        for server in &mut servers {
            server.trust_hints = trust_hints.or(server.trust_hints);
        }
        Ok(Plan {
            tenant: tenant.unwrap_or_else(|| config.tenant.clone()),
            config,
            run,
            listen,
            servers,
        })
    }

    fn typed_place(&self) -> Result<Option<McpPlace>, CommandError> {
        match &self.upstream {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                Ok(Some(McpPlace::Url(url.clone())))
            }
            Some(url) => Err(Exit::Usage.error(format!(
                "`{url}` is no endpoint: write `https://` and its name"
            ))),
            None if self.words.is_empty() => Ok(None),
            None => Ok(Some(McpPlace::Command(self.words.clone()))),
        }
    }

    /// A server that was typed is one client's; the configured ones are served where the configuration says.
    fn listen(&self, setup: &McpSetup) -> Result<Option<SocketAddr>, CommandError> {
        let is_typed = self.upstream.is_some() || !self.words.is_empty();
        match self.listen.as_deref() {
            None if is_typed => Ok(None),
            None => Ok(setup.listen),
            Some("stdio") => Ok(None),
            Some(text) => listen_address(text).map(Some).ok_or_else(|| {
                Exit::Usage.error(format!(
                    "`{text}` is no address: write `stdio`, or one such as 127.0.0.1:8080"
                ))
            }),
        }
    }
}

fn configured(config: &Config, name: Option<&str>) -> Result<Vec<McpServer>, CommandError> {
    let servers = &config.mcp.servers;
    if servers.is_empty() {
        let cure = "write its command after `--`, its URL after `--upstream`, or a `[[mcp.server]]` into the configuration";
        return Err(Exit::Usage.error(format!("no server is named: {cure}")));
    }
    let Some(name) = name else {
        return Ok(servers.clone());
    };
    let found = servers.iter().find(|server| server.name == name).cloned();
    // It stands alone, so its tools need no prefix to be told apart.
    let alone = found.map(|server| {
        vec![McpServer {
            prefix: Some(server.prefix.clone().unwrap_or_default()),
            ..server
        }]
    });
    alone.ok_or_else(|| {
        let known: Vec<_> = servers
            .iter()
            .map(|server| format!("`{}`", server.name))
            .collect();
        Exit::NotFound.error(format!(
            "no server `{name}` is configured: use one of {}",
            known.join(", ")
        ))
    })
}
