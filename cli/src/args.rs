//! What may be typed.

use crate::{
    config, doctor, exec,
    exit::{CommandError, Exit, TABLE},
    ledger, mcp, policy, setup, talk,
};
use clap::{Parser, Subcommand};
use semel::engine::compile_for_parent;
use std::{process::ExitCode, sync::LazyLock};

static AFTER_HELP: LazyLock<String> = LazyLock::new(|| format!("{TABLE}\n\n{VARIABLES}"));

const VARIABLES: &str = "\
Variables:
  SEMEL_CONFIG  the configuration, where --config names none
  SEMEL_LEDGER  the ledger's URL, such as sqlite:ledger.sqlite, whatever the configuration says
  SEMEL_CACHE   the folder where compiled policies are kept, or `off`, whatever the configuration says
  SEMEL_LOG     what is logged to stderr, such as semel=debug";

/// Sends an agent's tool call at most once, and reports when it cannot know.
#[derive(Debug, Parser)]
#[command(name = "semel", version, after_help = AFTER_HELP.as_str(), max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(exec::ExecArgs),
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Doctor(doctor::DoctorArgs),
    Mcp(mcp::McpArgs),
    /// Compiles the policy that the host hands over: what a host starts itself as, to compile within limits.
    #[command(name = setup::COMPILE, hide = true)]
    Compile,
}

impl Arguments {
    /// Carries it out, with a runtime for whatever needs one.
    pub(crate) fn run(self) -> ExitCode {
        match &self.command {
            Command::Compile => return compile_for_parent(),
            Command::Mcp(options) => talk::start_servers_log(options.log()),
            _ => talk::start_log(),
        }
        ExitCode::from(self.run_in_runtime().unwrap_or_else(talk::last_word))
    }

    fn run_in_runtime(self) -> Result<u8, CommandError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime =
            runtime.map_err(|error| Exit::Internal.error(format!("cannot start: {error}")))?;
        let done = runtime.block_on(async {
            match self.command {
                Command::Exec(options) => exec::run(options).await,
                Command::Ledger(command) => ledger::run(command).await.map(|()| 0),
                Command::Policy(command) => policy::run(command).await.map(|()| 0),
                Command::Config(command) => config::run(command).map(|()| 0),
                Command::Doctor(options) => doctor::run(options).await.map(|()| 0),
                Command::Mcp(options) => mcp::run(options).await.map(|()| 0),
                Command::Compile => Ok(0),
            }
        });
        // Whatever is still under way (an observer whose ledger does not answer) keeps nobody.
        runtime.shutdown_background();
        done
    }
}

/// Reads what was typed. None: help or the version was asked for, and is printed.
pub(crate) fn read() -> Result<Option<Arguments>, CommandError> {
    Arguments::try_parse().map(Some).or_else(|error| {
        let text = error.render().to_string();
        if error.use_stderr() {
            return Err(Exit::Usage.error(text.trim_end().trim_start_matches("error: ")));
        }
        talk::data(text.as_bytes()).map(|()| None)
    })
}
