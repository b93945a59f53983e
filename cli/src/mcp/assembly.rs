//! The assembly of a gateway: from a plan to the ledger, the policies, and the layers over each server.

use super::{
    key_headers,
    options::ServePlan,
    serving::{self, GatewayServer},
};
use crate::{
    exit::{CommandError, ExitReason, OrExit},
    setup,
};
use semel::store::Store;
use semel_config::{McpPlace, McpServer};
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

/// Serves as planned, until the client or a signal ends it.
pub(super) async fn serve(plan: ServePlan) -> Result<(), CommandError> {
    let metrics = Arc::new(Metrics::default());
    let store: Arc<dyn Store> = Arc::new(TimedStore::new(
        plan.config.open_store().await?,
        Arc::clone(&metrics),
    ));
    let store_users = Arc::downgrade(&store);
    let result = serve_over(plan, store, metrics).await;
    serving::wait_until_unused(store_users).await;
    result
}

async fn serve_over(
    plan: ServePlan,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
) -> Result<(), CommandError> {
    // Mistakes in the configuration are reported before any server is started.
    let front = match plan.listen {
        Some(address) => Some((address, build_authenticator(&plan, address)?)),
        None => None,
    };
    key_headers::check_plan(&plan)?;
    let give_up = CancellationToken::new();
    let connector = build_connector(&plan, &store, &metrics, &give_up).await?;
    let server = GatewayServer::new(connector, give_up, plan.config.mcp.shutdown_within)?;
    let Some((address, authenticator)) = front else {
        let caller = CallerIdentity::new(plan.tenant, plan.run);
        return server.serve_stdio(caller).await;
    };
    let limits = &plan.config.mcp.limits;
    let limits = HttpLimits::new(
        limits.body_bytes,
        limits.connections,
        limits.requests_per_second,
    );
    let health = Arc::new(HealthCheck::new(metrics, store));
    let http = HttpServer::new(Arc::clone(&server.connector), authenticator, limits)
        .with_health(Arc::clone(&health));
    server.serve_http(http, address, health).await
}

fn build_authenticator(
    plan: &ServePlan,
    address: SocketAddr,
) -> Result<Authenticator, CommandError> {
    let setup = &plan.config.mcp;
    let token = setup.token.as_ref();
    let settings = AccessSettings {
        token: token.map(|token| TokenDigest::new(token.reveal())),
        hosts: setup.hosts.clone(),
        origins: setup.origins.clone(),
        tenant_header: setup.tenant_header.clone(),
        run_header: setup.run_header.clone(),
    };
    Authenticator::for_address(address, settings, plan.tenant.clone(), plan.run.clone())
        .or_exit(ExitReason::Config)
}

/// Builds the layers over all servers.
async fn build_connector(
    plan: &ServePlan,
    store: &Arc<dyn Store>,
    metrics: &Arc<Metrics>,
    give_up: &CancellationToken,
) -> Result<Arc<dyn Connector>, CommandError> {
    let prober = Arc::new(
        ToolProber::default().with_allowed_tools(plan.config.mcp.probe_tools.iter().cloned()),
    );
    let engine = setup::build_server_engine(&plan.config, Arc::clone(metrics))?;
    let semel = plan
        .config
        .open_host(
            &engine,
            Arc::clone(store),
            Arc::<ToolProber>::clone(&prober),
        )
        .await?;
    let config = Arc::new(plan.config.clone());
    let is_only_server = plan.servers.len() == 1;
    let mut stacks = Vec::new();
    for server in &plan.servers {
        let prefix = server.prefix(is_only_server);
        let guard = ToolGuard::new(
            semel.clone(),
            Arc::clone(&config),
            server.name.clone(),
            prefix.clone(),
        )
        .with_trust(server.is_trusted())
        .with_metrics(Arc::clone(metrics))
        .with_give_up(give_up.clone())
        .with_prober(Arc::clone(&prober));
        let stack = LayerStack::new(guard, server_location(server)?)
            .with_restart(server.restart)
            .with_child_limit(config.mcp.limits.children);
        let stack: Arc<dyn Connector> = Arc::new(DowngradeConnector::new(Arc::new(stack)));
        stacks.push((server.name.clone(), prefix, stack));
    }
    // A single server without a prefix needs no aggregate: its messages pass unchanged.
    match stacks.pop() {
        Some((_, prefix, stack)) if stacks.is_empty() && prefix.is_empty() => Ok(stack),
        last => Ok(Arc::new(AggregateConnector::new(
            stacks.into_iter().chain(last),
        ))),
    }
}

fn server_location(server: &McpServer) -> Result<ServerLocation, CommandError> {
    match &server.place {
        McpPlace::Command(words) => Ok(ServerLocation::Command(
            words.iter().map(Into::into).collect(),
        )),
        McpPlace::Url(url) => {
            let headers: Vec<_> = server
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
                .collect();
            let endpoint = ServerEndpoint::new(url, &headers).or_exit(ExitReason::Config)?;
            Ok(ServerLocation::Endpoint(Arc::new(endpoint)))
        }
    }
}
