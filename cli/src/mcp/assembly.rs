//! From a plan to what serves: the ledger, the policies, and the layers over each server.

use super::{
    options::Plan,
    places,
    serving::{self, Serving},
};
use crate::{
    exit::{CommandError, Exit, OrExit},
    setup,
};
use semel::store::Store;
use semel_config::{McpPlace, McpServer, SecretText};
use semel_mcp::{
    access::{AccessSettings, Authenticator, TokenDigest},
    aggregate::AggregateConnector,
    front::http::HttpServer,
    guarded::{ToolGuard, ToolProber},
    health::HealthCheck,
    layer::{CallerIdentity, Connector},
    limits::HttpLimits,
    metrics::{Metrics, TimedStore},
    protocol_version::DowngradeConnector,
    stack::{LayerStack, ServerLocation},
    upstream::ServerEndpoint,
};
use std::{net::SocketAddr, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Serves what is planned, until it ends.
pub(super) async fn serve(plan: Plan) -> Result<(), CommandError> {
    let metrics = Arc::new(Metrics::default());
    let store: Arc<dyn Store> = Arc::new(TimedStore::new(
        plan.config.open_store().await?,
        Arc::clone(&metrics),
    ));
    let open = Arc::downgrade(&store);
    let served = serve_over(plan, store, metrics).await;
    serving::left(open).await;
    served
}

async fn serve_over(
    plan: Plan,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
) -> Result<(), CommandError> {
    // Who may not listen there should hear it before anything starts.
    let access = plan
        .listen
        .map(|address| access(&plan, address))
        .transpose()?;
    places::check(&plan)?;
    let given_up = CancellationToken::new();
    let connect = connect(&plan, &store, &metrics, &given_up).await?;
    let serving = Serving::of(connect, given_up, plan.config.mcp.shutdown_within)?;
    match plan.listen.zip(access) {
        None => {
            serving
                .over_stdio(CallerIdentity::new(plan.tenant, plan.run))
                .await
        }
        Some((address, access)) => {
            let limits = &plan.config.mcp.limits;
            let limits = HttpLimits::new(
                limits.body_bytes,
                limits.connections,
                limits.requests_per_second,
            );
            let health = Arc::new(HealthCheck::new(metrics, store));
            let http = HttpServer::new(Arc::clone(&serving.connect), access, limits)
                .with_health(Arc::clone(&health));
            serving.over_http(http, address, health).await
        }
    }
}

fn access(plan: &Plan, address: SocketAddr) -> Result<Authenticator, CommandError> {
    let setup = &plan.config.mcp;
    let terms = AccessSettings {
        token: setup
            .token
            .as_ref()
            .map(|token| TokenDigest::new(token.reveal())),
        hosts: setup.hosts.clone(),
        origins: setup.origins.clone(),
        tenant_header: setup.tenant_header.clone(),
        run_header: setup.run_header.clone(),
    };
    Authenticator::for_address(address, terms, plan.tenant.clone(), plan.run.clone())
        .or_exit(Exit::Config)
}

/// The layers over all servers.
async fn connect(
    plan: &Plan,
    store: &Arc<dyn Store>,
    metrics: &Arc<Metrics>,
    given_up: &CancellationToken,
) -> Result<Arc<dyn Connector>, CommandError> {
    let probes = Arc::new(
        ToolProber::default().with_allowed_tools(plan.config.mcp.probe_tools.iter().cloned()),
    );
    let engine = setup::server_engine(&plan.config, Arc::clone(metrics))?;
    let semel = plan
        .config
        .open_host(
            &engine,
            Arc::clone(store),
            Arc::<ToolProber>::clone(&probes),
        )
        .await?;
    let config = Arc::new(plan.config.clone());
    let is_alone = plan.servers.len() == 1;
    let mut towers = Vec::new();
    for server in &plan.servers {
        let prefix = server.prefix(is_alone);
        let guard = ToolGuard::new(
            semel.clone(),
            Arc::clone(&config),
            server.name.clone(),
            prefix.clone(),
        );
        let guard = guard
            .with_trust(server.is_trusted())
            .with_metrics(Arc::clone(metrics))
            .with_give_up(given_up.clone());
        let guard = guard.with_prober(Arc::clone(&probes));
        let tower = LayerStack::new(guard, place(server)?)
            .with_restart(server.restart)
            .with_child_limit(config.mcp.limits.children);
        let tower: Arc<dyn Connector> = Arc::new(DowngradeConnector::new(Arc::new(tower)));
        towers.push((server.name.clone(), prefix, tower));
    }
    match towers.pop() {
        Some((_, prefix, tower)) if towers.is_empty() && prefix.is_empty() => Ok(tower),
        last => Ok(Arc::new(AggregateConnector::new(
            towers.into_iter().chain(last),
        ))),
    }
}

fn place(server: &McpServer) -> Result<ServerLocation, CommandError> {
    match &server.place {
        McpPlace::Command(words) => Ok(ServerLocation::Command(
            words.iter().map(Into::into).collect(),
        )),
        McpPlace::Url(url) => {
            let revealed =
                |(name, value): &(String, SecretText)| (name.clone(), value.reveal().to_owned());
            let headers: Vec<_> = server.headers.iter().map(revealed).collect();
            Ok(ServerLocation::Endpoint(Arc::new(
                ServerEndpoint::new(url, &headers).or_exit(Exit::Config)?,
            )))
        }
    }
}
