//! The configuration and the policy engine of a command. The engine compiles policies in a child process of this program.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, ExitReason, OrExit},
};
use semel::{
    engine::{ChildCompiler, DecisionLimits, Engine, EngineBuilder, Limits},
    runtime::{LedgerError, OpenError},
};
use semel_config::{Config, Environment, SetupError};
use semel_mcp::metrics::Metrics;
use std::sync::Arc;

/// The limit on concurrent decisions of a command, which makes one after the other.
const CONCURRENT_DECISIONS_MAX: u32 = 2;

/// The hidden command that this program runs itself with, to compile a policy.
pub(crate) const COMPILE_COMMAND: &str = "compile-for-parent";

/// Reads the configuration.
pub(crate) fn load_config(args: &ConfigArgs) -> Result<Config, CommandError> {
    Config::load(args.config.as_deref(), &Environment::from_process()).or_exit(ExitReason::Config)
}

/// Builds an engine for a command that makes a few decisions and ends.
pub(crate) fn build_command_engine(config: &Config) -> Result<Engine, CommandError> {
    build_with_child_compiler(config.engine_builder(command_limits()))
}

/// Builds an engine as [`build_command_engine`] does, without a cache.
pub(crate) fn build_uncached_engine() -> Result<Engine, CommandError> {
    build_with_child_compiler(Engine::builder(command_limits()))
}

fn command_limits() -> Limits {
    let decision = DecisionLimits {
        at_once: CONCURRENT_DECISIONS_MAX,
        ..DecisionLimits::default()
    };
    Limits {
        decision,
        ..Limits::default()
    }
}

fn build_with_child_compiler(builder: EngineBuilder) -> Result<Engine, CommandError> {
    builder
        .compiler(child_compiler()?)
        .build()
        .or_exit(ExitReason::Internal)
}

/// Builds an engine for a server, which measures its decisions.
pub(crate) fn build_server_engine(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<Engine, CommandError> {
    let builder = config.engine_builder(Limits::default());
    builder
        .compiler(child_compiler()?)
        // A snapshot of the configured policy costs time at the start, and pays off after many decisions.
        .snapshot_settings()
        .on_decision(move |took| metrics.observe_policy(took))
        .build()
        .or_exit(ExitReason::Internal)
}

fn child_compiler() -> Result<ChildCompiler, CommandError> {
    ChildCompiler::of_this_program([COMPILE_COMMAND])
        .map_err(|error| format!("cannot find the path of this program: {error}"))
        .or_exit(ExitReason::Internal)
}

impl From<SetupError> for CommandError {
    fn from(error: SetupError) -> Self {
        let exit = match error {
            SetupError::Ledger(error) => return error.into(),
            SetupError::Folder { .. } | SetupError::Store(_) => ExitReason::Ledger,
            SetupError::PolicyFile { .. } => ExitReason::NotFound,
            SetupError::MissingDriver { .. }
            | SetupError::Scheme(_)
            | SetupError::Host(OpenError::Pattern { .. })
            | SetupError::ReadyMadePolicy(_)
            | SetupError::Policy { .. } => ExitReason::Config,
            _ => ExitReason::Internal,
        };
        exit.error(error)
    }
}

impl From<LedgerError> for CommandError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(refusal) => ExitReason::Refused.error(refusal),
            other => ExitReason::Ledger.error(format!("the ledger does not answer: {other}")),
        }
    }
}
