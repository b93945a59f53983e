//! Set-up and chores: `cargo xtask COMMAND`. One command a file; `main` only chooses.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of chores: stdout is its data, stderr its messages"
)]

mod bench;
mod canaries;
mod demo;
#[cfg(test)]
mod dependencies;
mod fuzz;
mod guests;
mod installed;
mod localstripe;
mod mcp;
mod mcp_peers;
mod package;
mod policies;
mod servers;
mod soak;
mod test;
mod tidy;
mod twins;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up and chores of the Semel workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::BenchArguments),
    Demo(demo::DemoArguments),
    Localstripe(localstripe::LocalstripeArguments),
    Mcp(mcp::McpArguments),
    McpPeers(mcp_peers::McpPeersArguments),
    Package(package::PackageArguments),
    Fuzz(fuzz::FuzzArguments),
    Policies(policies::PoliciesArguments),
    Servers(servers::ServersArguments),
    Soak(soak::SoakArguments),
    Test(test::TestArguments),
    Tidy(tidy::TidyArguments),
    Twins(twins::TwinsArguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Localstripe(arguments) => localstripe::run(&arguments),
        Command::Mcp(arguments) => mcp::run(&arguments),
        Command::McpPeers(arguments) => mcp_peers::run(&arguments),
        Command::Package(arguments) => package::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Policies(arguments) => policies::run(&arguments),
        Command::Servers(arguments) => servers::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy(arguments) => tidy::run(&arguments),
        Command::Twins(arguments) => twins::run(&arguments),
    };
    // The chain of causes alone: a backtrace through a chore helps no reader.
    outcome.map_or_else(complain, |()| ExitCode::SUCCESS)
}

fn complain(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
