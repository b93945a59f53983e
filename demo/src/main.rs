//! The incident as a program: a payment server charges and then loses its reply; agents try again, with Semel and without.
//!
//! The server and every agent are processes of their own, so that an agent can be killed between the effect and its record.
//! What is printed as a count was counted by the server. Run it by `cargo xtask demo`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tells a story"
)]

mod agent;
mod client;
mod process;
mod server;
mod story;
mod tools;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A payment server that charges and then loses its reply: with Semel and without.
#[derive(Parser)]
#[command(name = "semel-demo", bin_name = "cargo xtask demo")]
struct Arguments {
    /// Attempts that an agent makes to charge
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=50))]
    tries: u32,
    #[command(subcommand)]
    role: Option<DemoRole>,
}

#[derive(Subcommand)]
enum DemoRole {
    /// Be the payment server
    #[command(hide = true)]
    Server,
    /// Be an agent
    #[command(hide = true)]
    Agent(agent::AgentArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| {
            runtime.block_on(async {
                match arguments.role {
                    None => story::tell_story(arguments.tries).await,
                    Some(DemoRole::Server) => server::serve().await,
                    Some(DemoRole::Agent(agent)) => agent::run(agent).await,
                }
            })
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
