//! The command line of Semel: runs the command of the given name, and turns its result into an exit code.

mod args;
mod common_args;
mod config;
mod doctor;
mod exec;
mod exit;
mod ledger;
mod mcp;
mod policy;
mod setup;
mod table;
mod talk;

use args::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    match args::read() {
        Ok(arguments) => arguments.map_or(ExitCode::SUCCESS, Arguments::run),
        Err(stop) => ExitCode::from(talk::last_word(stop)),
    }
}
