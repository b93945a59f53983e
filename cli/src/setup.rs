//! From a command's arguments to its configuration, and to an engine that compiles in a child of this program.

use crate::{
    common_args::ConfigArgs,
    exit::{CommandError, Exit, OrExit},
};
use semel::{
    engine::{ChildCompiler, DecisionLimits, Engine, EngineBuilder, Limits},
    runtime::{LedgerError, OpenError},
};
use semel_config::{Config, SetupError, Surroundings};
use semel_mcp::metrics::Metrics;
use std::sync::Arc;

/// The most decisions at once of a command, which makes one after the other.
const DECISIONS_AT_ONCE: u32 = 2;

/// The command by which this program compiles for itself.
pub(crate) const COMPILE: &str = "compile-for-parent";

/// Reads the configuration.
pub(crate) fn load_config(args: &ConfigArgs) -> Result<Config, CommandError> {
    Config::load(args.config.as_deref(), &Surroundings::of_this_process()).or_exit(Exit::Config)
}

/// Builds an engine for a command that makes a few decisions and ends.
pub(crate) fn command_engine(config: &Config) -> Result<Engine, CommandError> {
    build_command_engine(config.engine_builder(command_limits()))
}

/// Builds an engine as [`command_engine`] does, without a cache.
pub(crate) fn uncached_engine() -> Result<Engine, CommandError> {
    build_command_engine(Engine::builder(command_limits()))
}

fn command_limits() -> Limits {
    let decision = DecisionLimits {
        at_once: DECISIONS_AT_ONCE,
        ..DecisionLimits::default()
    };
    Limits {
        decision,
        ..Limits::default()
    }
}

fn build_command_engine(builder: EngineBuilder) -> Result<Engine, CommandError> {
    builder
        .compiler(child_compiler()?)
        .build()
        .or_exit(Exit::Internal)
}

/// Builds an engine for a program that goes on, and measures its decisions.
pub(crate) fn server_engine(
    config: &Config,
    metrics: Arc<Metrics>,
) -> Result<Engine, CommandError> {
    let builder = config.engine_builder(Limits::default());
    builder
        .compiler(child_compiler()?)
        // A snapshot with the settings pays off after many decisions.
        .snapshot_settings()
        .on_decision(move |took| metrics.observe_policy(took))
        .build()
        .or_exit(Exit::Internal)
}

fn child_compiler() -> Result<ChildCompiler, CommandError> {
    ChildCompiler::of_this_program([COMPILE])
        .map_err(|error| format!("cannot find this program ({error})"))
        .or_exit(Exit::Internal)
}

impl From<SetupError> for CommandError {
    fn from(error: SetupError) -> Self {
        let exit = match error {
            SetupError::Ledger(error) => return error.into(),
            SetupError::Folder { .. } | SetupError::Store(_) => Exit::Ledger,
            SetupError::PolicyFile { .. } => Exit::NotFound,
            SetupError::MissingDriver { .. }
            | SetupError::Scheme(_)
            | SetupError::Host(OpenError::Pattern { .. })
            | SetupError::ReadyMadePolicy(_)
            | SetupError::Policy { .. } => Exit::Config,
            _ => Exit::Internal,
        };
        exit.error(error)
    }
}

impl From<LedgerError> for CommandError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Refused(refusal) => Exit::Refused.error(refusal),
            other => Exit::Ledger.error(format!("the ledger does not answer: {other}")),
        }
    }
}
