//! What a call through Semel costs, beside the same work without it: `cargo xtask bench`.
//!
//! Each row is a figure, the floor that was measured in the same run (the same work without Semel), and how far it is
//! meant to reach. Nothing here is a test: a row that is not met is printed so, and the program ends well.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of measurements: stdout is its data, stderr its talk"
)]

mod callers;
mod decisions;
mod exec;
mod guarded;
mod history;
mod machine;
mod mcp;
mod row;
mod sample;
mod sizes;
mod sqlite;
mod stores;
mod world;

use anyhow::Result;
use clap::Parser;
use row::Rows;
use std::{path::PathBuf, process::ExitCode};

/// Measure the cost of a call through Semel, beside the same work without it.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    /// Print the rows as JSON.
    #[arg(long)]
    json: bool,
    /// Measure only these groups.
    #[arg(value_name = "GROUP")]
    groups: Vec<Group>,
    /// The same, separated by commas.
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    only: Vec<Group>,
    /// The folder of measured ledgers: figures of a disk are figures of *this* disk.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The `semel` program to start.
    #[arg(long, value_name = "PROGRAM")]
    semel: Option<PathBuf>,
    /// The settled operations of the long history
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    history: u32,
    /// The settled operations of the long history on a server; ten million take some 12 GB.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    server_history: u32,
}

/// A group of measurements.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    Decisions,
    Guarded,
    Sqlite,
    Stores,
    History,
    ServerHistory,
    Exec,
    Mcp,
    Sizes,
}

impl Group {
    /// The default groups: all but the one that fills a disk.
    const USUAL: [Self; 8] = [
        Self::Decisions,
        Self::Guarded,
        Self::Sqlite,
        Self::Stores,
        Self::History,
        Self::Exec,
        Self::Mcp,
        Self::Sizes,
    ];
}

fn main() -> ExitCode {
    // The servers that are measured are this program, too.
    let done = match std::env::args().nth(1).as_deref() {
        Some(mcp::server::WORD) => mcp::server::serve(),
        Some(mcp::server::http::WORD) => mcp::server::http::serve(),
        _ => measure(&Arguments::parse()),
    };
    done.map_or_else(complain, |()| ExitCode::SUCCESS)
}

fn complain(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn measure(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir_in(arguments.folder.clone().unwrap_or_else(std::env::temp_dir))?;
    let machine = machine::Machine::look(folder.path())?;
    let mut groups = [arguments.groups.as_slice(), &arguments.only].concat();
    if groups.is_empty() {
        groups = Group::USUAL.to_vec();
    }
    let mut rows = Rows::default();
    for group in groups {
        match group {
            Group::Decisions => decisions::measure(&mut rows)?,
            Group::Guarded => guarded::measure(&mut rows)?,
            Group::Sqlite => sqlite::measure(&mut rows, folder.path())?,
            Group::Stores => stores::measure(&mut rows, folder.path())?,
            Group::History => history::measure(&mut rows, folder.path(), arguments.history)?,
            Group::ServerHistory => {
                stores::measure_history(&mut rows, folder.path(), arguments.server_history)?;
            }
            Group::Exec => exec::measure(&mut rows, folder.path(), arguments.semel.as_deref())?,
            Group::Mcp => mcp::measure(&mut rows, folder.path(), arguments.semel.as_deref())?,
            Group::Sizes => sizes::measure(&mut rows),
        }
    }
    if arguments.json {
        rows.print_json(&machine)
    } else {
        rows.print_table(&machine)
    }
}
