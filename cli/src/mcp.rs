//! `semel mcp`: guards the tools of MCP servers.

mod name;
mod options;

use crate::{
    exit::{Exit, OrStop, Stop},
    setup,
    talk::LogStyle,
};
use options::Plan;
use semel::config::{McpPlace, McpServer};
use semel_mcp::{
    front::{own, stdio},
    guarded::Guard,
    link::{Caller, Connect},
    tower::{Server, Tower},
};
use std::sync::Arc;

pub(crate) use options::Options;

impl Options {
    /// How the log is to be written.
    pub(crate) fn log(&self) -> LogStyle {
        self.serve.log.unwrap_or_default()
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Stop> {
    let plan = options.serve.plan()?;
    if plan.listen.is_some() {
        return Err(Exit::Usage.stop("this build serves the standard streams only: leave `--listen` out"));
    }
    let tower = tower(&plan).await?;
    let client = stdio::client(own::output());
    let upstream = tower.connect(Arc::clone(&client)).await.or_stop(Exit::NotFound)?;
    stdio::serve(own::input(), client, Caller::new(plan.tenant, plan.run), upstream).await;
    Ok(())
}

/// The layers over the only server, guarded by its policies.
async fn tower(plan: &Plan) -> Result<Tower, Stop> {
    let [server] = plan.servers.as_slice() else {
        return Err(Exit::Usage.stop("this build serves one server at a time: choose one with `--name`"));
    };
    let engine = setup::lasting_engine(plan.config.cache.as_deref())?;
    let store = setup::store(&plan.config)?;
    let semel = setup::host_of_all(&plan.config, &engine, store, server.is_trusted()).await?;
    let prefix = server.prefix.clone().unwrap_or_default();
    let guard = Guard::new(semel, Arc::new(plan.config.clone()), server.name.clone(), prefix);
    Ok(Tower::new(guard, place(server)?))
}

fn place(server: &McpServer) -> Result<Server, Stop> {
    match &server.place {
        McpPlace::Command(words) => Ok(Server::Command(words.iter().map(Into::into).collect())),
        McpPlace::Url(url) => {
            Err(Exit::Usage.stop(format!("this build starts servers only, and `{url}` is an endpoint")))
        }
    }
}
