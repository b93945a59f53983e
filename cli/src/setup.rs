//! From a configuration to what it sets up: the ledger, the policies, and a host for one tool.
//!
//! A command loads only what it needs: `exec` the policy of its own tool, `ledger` none.

use crate::{
    args::Where,
    exit::{Exit, OrStop, Stop},
};
use semel::{
    engine::{ChildCompiler, CodeCache, DecisionLimits, Engine, Limits, LoadError, Policy},
    key::{KeyMode, KeyScheme},
    runtime::{Ledger, LedgerError, OpenError, Prober, SchemeError, Semel, Tool},
    store::{MemoryStore, SealingStore, Server, ServerReport, SqliteStore, Store},
};
use semel_config::{Config, LedgerPlace, PolicySource, ServerPlace, Surroundings, ToolSetup};
use semel_mcp::metrics::Metrics;
use semel_postgres::PostgresStore;
use semel_redis::RedisStore;
use serde_json::{Map, Value};
use std::{borrow::Cow, fs::File, io::Read, path::Path, sync::Arc};

/// How many decisions are made at once: a command makes one after the other.
const DECISIONS_AT_ONCE: u32 = 2;

/// The command by which this program compiles for itself.
pub(crate) const COMPILE: &str = "compile-for-parent";

/// Reads the configuration.
pub(crate) fn config(place: &Where) -> Result<Config, Stop> {
    Config::load(place.config.as_deref(), &Surroundings::of_this_process()).or_stop(Exit::Config)
}

/// Opens the store of the ledger, which seals what is told where keys for that are set up.
pub(crate) async fn store(config: &Config) -> Result<Arc<dyn Store>, Stop> {
    Ok(match sealing(config).await? {
        Some(sealing) => Arc::new(sealing),
        None => Bare::open(config).await?.store(),
    })
}

/// Opens the sealing store, where keys for one are set up.
pub(crate) async fn sealing(config: &Config) -> Result<Option<SealingStore>, Stop> {
    let Some(keys) = &config.sealing else {
        return Ok(None);
    };
    Ok(Some(SealingStore::new(
        Bare::open(config).await?.store(),
        keys.clone(),
    )))
}

/// The store that keeps the ledger, without any around it.
pub(crate) enum Bare {
    Memory(Box<MemoryStore>),
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    Redis(RedisStore),
}

impl Bare {
    /// Opens it, in the way that its URL says.
    pub(crate) async fn open(config: &Config) -> Result<Self, Stop> {
        Ok(match &config.ledger {
            LedgerPlace::Memory => Self::Memory(Box::default()),
            LedgerPlace::Sqlite { path, .. } => Self::Sqlite(opened(config, path)?),
            LedgerPlace::Postgres(place) => Self::Postgres(
                PostgresStore::open(&server(place))
                    .await
                    .or_stop(Exit::Ledger)?,
            ),
            LedgerPlace::Redis(place) => Self::Redis(
                RedisStore::open(&server(place))
                    .await
                    .or_stop(Exit::Ledger)?,
            ),
        })
    }

    pub(crate) fn store(self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::new(*store),
            Self::Sqlite(store) => Arc::new(store),
            Self::Postgres(store) => Arc::new(store),
            Self::Redis(store) => Arc::new(store),
        }
    }

    /// How its server stands, if it has one.
    pub(crate) fn report(&self) -> Option<ServerReport> {
        match self {
            Self::Postgres(store) => Some(store.report()),
            Self::Redis(store) => store.report(),
            Self::Memory(_) | Self::Sqlite(_) => None,
        }
    }

    /// Reads all of a file, and ends the command if it is not sound.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        match self {
            Self::Sqlite(store) => store.check().or_stop(Exit::Ledger),
            Self::Memory(_) | Self::Postgres(_) | Self::Redis(_) => Ok(()),
        }
    }
}

/// A server, and how it is reached.
pub(crate) fn server(place: &ServerPlace) -> Server {
    let server = Server::at(place.url.reveal());
    let server = match &place.password {
        Some(password) => server.password(password.reveal()),
        None => server,
    };
    if place.accept_unverified {
        server.accepting_unverified()
    } else {
        server
    }
}

fn opened(config: &Config, path: &Path) -> Result<SqliteStore, Stop> {
    let folder = || path.parent().unwrap_or(Path::new("")).display();
    config
        .ledger
        .prepare()
        .map_err(|error| format!("the ledger's folder `{}` cannot be made: {error}", folder()))
        .or_stop(Exit::Ledger)?;
    SqliteStore::open(path).or_stop(Exit::Ledger)
}

/// How keys are made.
pub(crate) fn keys(config: &Config) -> KeyScheme {
    KeyScheme::new(KeyMode::Enforce, config.secret.clone())
}

/// Opens the ledger for its operator.
pub(crate) async fn ledger(config: &Config) -> Result<Ledger, Stop> {
    over(store(config).await?, keys(config)).await
}

/// The ledger in this store.
pub(crate) async fn over(store: Arc<dyn Store>, keys: KeyScheme) -> Result<Ledger, Stop> {
    Ledger::open(store, keys)
        .await
        .map_err(|error| scheme(&error))
}

/// An engine for policies, which compiles in a child of this program and keeps the code in this folder, if there is one.
pub(crate) fn engine(cache: Option<&Path>) -> Result<Engine, Stop> {
    let decision = DecisionLimits {
        at_once: DECISIONS_AT_ONCE,
        ..DecisionLimits::default()
    };
    let compiler = ChildCompiler::of_this_program([COMPILE]);
    let compiler = compiler
        .map_err(|error| format!("cannot find this program ({error})"))
        .or_stop(Exit::Internal)?;
    let builder = Engine::builder(Limits {
        decision,
        ..Limits::default()
    })
    .compiler(compiler);
    let builder = match cache {
        Some(folder) => builder.cache(CodeCache::in_folder(folder)),
        None => builder,
    };
    builder.build().or_stop(Exit::Internal)
}

/// An engine for policies that decide many times, while the program goes on, and are timed.
pub(crate) fn lasting_engine(cache: Option<&Path>, metrics: Arc<Metrics>) -> Result<Engine, Stop> {
    let compiler = ChildCompiler::of_this_program([COMPILE]);
    let compiler = compiler
        .map_err(|error| format!("cannot find this program ({error})"))
        .or_stop(Exit::Internal)?;
    let builder = Engine::builder(Limits::default())
        .compiler(compiler)
        .snapshot_settings();
    let builder = builder.on_decision(move |took| metrics.observe_policy(took));
    let builder = match cache {
        Some(folder) => builder.cache(CodeCache::in_folder(folder)),
        None => builder,
    };
    builder.build().or_stop(Exit::Internal)
}

/// A host for all tools, at a door that does not see whether its answers are received.
pub(crate) async fn host_of_all(
    config: &Config,
    engine: &Engine,
    store: Arc<dyn Store>,
    prober: Arc<dyn Prober>,
) -> Result<Semel, Stop> {
    let at_this_door = |setup: &ToolSetup, policy| Tool {
        taken_once_written: setup.taken_within.is_some(),
        ..tool(setup, policy)
    };
    let mut builder = Semel::builder(store).keys(keys(config)).prober(prober);
    for rule in &config.rules {
        let tool = at_this_door(&rule.setup, policy(engine, &rule.setup).await?);
        builder = builder.tool(rule.patterns().iter().cloned(), tool);
    }
    let unnamed = at_this_door(&config.unnamed, policy(engine, &config.unnamed).await?);
    builder.otherwise(unnamed).open().await.map_err(not_opened)
}

fn not_opened(error: OpenError) -> Stop {
    match error {
        OpenError::Scheme(error) => scheme(&error),
        error @ OpenError::Pattern { .. } => Exit::Config.stop(error),
    }
}

/// A host for the tool of this set-up, and for no other.
pub(crate) async fn host(config: &Config, setup: &ToolSetup) -> Result<Semel, Stop> {
    let tool = tool(
        setup,
        policy(&engine(config.cache.as_deref())?, setup).await?,
    );
    let builder = Semel::builder(store(config).await?)
        .keys(keys(config))
        .otherwise(tool);
    builder.open().await.map_err(not_opened)
}

/// The policy of a set-up, with its settings.
pub(crate) async fn policy(engine: &Engine, setup: &ToolSetup) -> Result<Policy, Stop> {
    let component = component(&setup.policy, engine.limits().load.component_bytes)?;
    let loaded = engine
        .load(&component, Value::Object(settings(setup)))
        .await;
    let place = setup
        .defined_at
        .as_ref()
        .map_or_else(String::new, |place| format!("{place}: "));
    loaded.map_err(|fault| Exit::Config.stop(format!("{place}{}", unusable(&setup.policy, &fault))))
}

/// Why a policy cannot be used. Some faults name it themselves.
pub(crate) fn unusable(source: &PolicySource, fault: &LoadError) -> String {
    match fault {
        LoadError::Settings { .. } | LoadError::Policy(_) => fault.to_string(),
        _ => format!("the policy {} cannot be used: {fault}", name(source)),
    }
}

/// How messages name a policy.
fn name(source: &PolicySource) -> String {
    match source {
        PolicySource::Named(name) => format!("`{name}`"),
        PolicySource::File(path) => format!("`{}`", path.display()),
    }
}

/// The component of a policy.
pub(crate) fn component(source: &PolicySource, bytes_max: u32) -> Result<Cow<'static, [u8]>, Stop> {
    match source {
        PolicySource::Named(name) => Ok(Cow::Borrowed(
            semel_policies::get(name).or_stop(Exit::Config)?,
        )),
        PolicySource::File(path) => read_at_most(path, bytes_max)
            .map(Cow::Owned)
            .map_err(|error| format!("the policy `{}` cannot be read: {error}", path.display()))
            .or_stop(Exit::NotFound),
    }
}

/// One byte more than the limit is enough to show that it is over.
fn read_at_most(path: &Path, bytes_max: u32) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(u64::from(bytes_max) + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A tool whose server is trusted is trusted by the policy that asks for that, too.
fn settings(setup: &ToolSetup) -> Map<String, Value> {
    let mut settings = setup.settings.clone();
    if setup.trusted && setup.policy == PolicySource::Named("hints".to_owned()) {
        settings.entry("trusted").or_insert(Value::Bool(true));
    }
    settings
}

fn tool(setup: &ToolSetup, policy: Policy) -> Tool {
    let name_space = setup
        .name_space
        .clone()
        .unwrap_or_else(|| policy.description().name.clone());
    Tool {
        mode: setup.mode,
        name_space,
        allowance: setup.allowance.clone(),
        lease_seconds: setup.lease_seconds,
        refusal_seconds: setup.refusal_seconds,
        outcome_bytes_max: setup.outcome_bytes_max,
        keep_identity: setup.keep_identity,
        irreversible: setup.irreversible,
        allow_forgetful_ledger: setup.allow_forgetful_ledger,
        // This door sees whether its output was written.
        taken_once_written: false,
        ..Tool::new(policy)
    }
}

fn scheme(error: &SchemeError) -> Stop {
    match error {
        SchemeError::Ledger(error) => broken(error),
        other => Exit::Config.stop(other),
    }
}

/// The end of a command whom the ledger did not answer.
pub(crate) fn broken(error: &LedgerError) -> Stop {
    match error {
        LedgerError::Refused(refusal) => Exit::Refused.stop(refusal),
        other => Exit::Ledger.stop(format!("the ledger does not answer: {other}")),
    }
}
