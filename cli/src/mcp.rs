//! `semel mcp`: guards the tools of an MCP server.

use crate::{
    args::Where,
    exit::{Exit, OrStop, Stop},
    setup,
};
use semel::words::{Run, Tenant};
use semel_mcp::{
    front::{own, stdio},
    guarded::Guard,
    link::{Caller, Connect},
    tower::{Server, Tower},
};
use std::{ffi::OsString, sync::Arc};

/// Stands between an MCP client and its server: write it before the server's own command in the client's configuration.
///
/// Each tool call is sent once, and whoever repeats it gets what it came to. Everything else passes unchanged.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// On whose behalf [default: the configuration's, else `default`]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The run of the agent that makes the calls
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    #[command(flatten)]
    place: Where,
    /// The server's command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) async fn run(options: Options) -> Result<(), Stop> {
    let config = Arc::new(setup::config(&options.place)?);
    let tenant = options.tenant.as_ref().map(Tenant::new).transpose().or_stop(Exit::Refused)?;
    let run = options.run.as_ref().map(Run::new).transpose().or_stop(Exit::Refused)?;
    let caller = Caller::new(tenant.unwrap_or_else(|| config.tenant.clone()), run);
    let engine = setup::lasting_engine(config.cache.as_deref())?;
    let semel = setup::host_of_all(&config, &engine).await?;
    let guard = Guard::new(semel, config, server(&options.command), "");
    let tower = Tower::new(guard, Server::Command(options.command));
    let client = stdio::client(own::output());
    let upstream = tower.connect(Arc::clone(&client)).await.or_stop(Exit::NotFound)?;
    stdio::serve(own::input(), client, caller, upstream).await;
    Ok(())
}

/// What a server without a name is called: its program.
fn server(command: &[OsString]) -> String {
    let program = command.first().map(std::path::Path::new).and_then(|program| program.file_stem());
    program.map_or_else(String::new, |program| program.to_string_lossy().into_owned())
}
