//! The command line of Semel: runs the command of the given name, and turns its result into an exit code.

mod args;
mod common_args;
mod config;
mod doctor;
mod exec;
mod exit;
mod ledger;
mod logging;
mod mcp;
mod output;
mod policy;
mod setup;
mod table;

use args::CliArgs;
use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse_args() {
        Ok(Some(arguments)) => CliArgs::run(arguments),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(output::report_error(&error)),
    }
}
