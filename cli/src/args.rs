//! The command line's grammar at the top: the commands, and the help that they share.

use crate::{
    config, doctor, exec,
    exit::{CommandError, ExitReason, exit_code_help},
    ledger, logging, mcp, output, policy, setup,
};
use clap::{Parser, Subcommand};
use semel::engine::compile_for_parent;
use std::{process::ExitCode, sync::LazyLock};

static AFTER_HELP: LazyLock<String> =
    LazyLock::new(|| format!("{}\n\n{VARIABLES}", exit_code_help()));

const VARIABLES: &str = "\
Environment variables:
  SEMEL_CONFIG  the configuration file, unless --config names one
  SEMEL_LEDGER  the ledger's URL, such as sqlite:ledger.sqlite; overrides the configuration
  SEMEL_CACHE   the folder for compiled policies, or `off`; overrides the configuration
  SEMEL_LOG     the filter of the log on stderr, such as semel=debug";

/// Sends an agent's tool call at most once, and reports when it cannot know
#[derive(Debug, Parser)]
#[command(name = "semel", version, after_help = AFTER_HELP.as_str(), max_term_width = 100)]
pub(crate) struct CliArgs {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Exec(exec::ExecArgs),
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Doctor(doctor::DoctorArgs),
    Mcp(mcp::McpArgs),
    /// Compiles the policy that a host passes on stdin: a host runs its own program so, to compile within limits.
    #[command(name = setup::COMPILE_COMMAND, hide = true)]
    Compile,
}

impl CliArgs {
    pub(crate) fn run(self) -> ExitCode {
        match &self.command {
            // Untrusted code is compiled here: neither threads nor a log before it.
            CliCommand::Compile => return compile_for_parent(),
            CliCommand::Mcp(args) => logging::start_server_log(args.log_style()),
            _ => logging::start_command_log(),
        }
        let code = self.run_async();
        ExitCode::from(code.unwrap_or_else(|error| output::report_error(&error)))
    }

    /// Runs the command in an async runtime, and returns its exit code.
    fn run_async(self) -> Result<u8, CommandError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| {
                ExitReason::Internal.error(format!("cannot start the async runtime: {error}"))
            })?;
        let code = runtime.block_on(async {
            match self.command {
                CliCommand::Exec(args) => exec::run(args).await,
                CliCommand::Ledger(command) => ledger::run(command).await.map(|()| 0),
                CliCommand::Policy(command) => policy::run(command).await.map(|()| 0),
                CliCommand::Config(command) => config::run(command).map(|()| 0),
                CliCommand::Doctor(args) => doctor::run(args).await.map(|()| 0),
                CliCommand::Mcp(args) => mcp::run(args).await.map(|()| 0),
                CliCommand::Compile => Ok(0),
            }
        });
        // Waiting could take long: an observer in shadow mode may still wait for a ledger that does not answer.
        runtime.shutdown_background();
        code
    }
}

/// Parses the command line. Returns none if it asked for help or the version, which is printed then.
pub(crate) fn parse_args() -> Result<Option<CliArgs>, CommandError> {
    let error = match CliArgs::try_parse() {
        Ok(args) => return Ok(Some(args)),
        Err(error) => error,
    };
    let text = error.render().to_string();
    if error.use_stderr() {
        // Every message begins with `semel: `, which says enough.
        let message = text.trim_end().trim_start_matches("error: ");
        return Err(ExitReason::Usage.error(message));
    }
    output::write_stdout(text.as_bytes()).map(|()| None)
}
