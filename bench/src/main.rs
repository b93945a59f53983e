//! The cost of a call through Semel, compared with the same work without it: `cargo xtask bench`.
//!
//! Each row has a figure, its floor (the same work without Semel, measured in the same run) and its goals. A missed goal is
//! printed as such and is no failure: this is not a test.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of measurements: stdout is its data, stderr its progress"
)]

mod callers;
mod decisions;
mod exec;
mod fixtures;
mod history;
mod machine;
mod mcp;
mod memory;
mod results;
mod sample;
mod sizes;
mod sqlite;
mod stores;

use anyhow::Result;
use clap::Parser;
use results::ResultTable;
use std::{path::PathBuf, process::ExitCode};

/// Measures the cost of a call through Semel, compared with the same work without it
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct BenchArgs {
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
    /// Measure only these groups
    #[arg(value_name = "GROUP")]
    groups: Vec<BenchGroup>,
    /// Measure only these groups, separated by commas
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    only: Vec<BenchGroup>,
    /// Folder for the ledgers, on the disk to measure [default: the system's folder for temporary files]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// `semel` program to measure
    #[arg(long, value_name = "PROGRAM")]
    semel: Option<PathBuf>,
    /// Settled operations of the long history in SQLite
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    history: u32,
    /// Settled operations of the long history in PostgreSQL; ten million take about 12 GB
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    server_history: u32,
}

/// Group of measurements.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BenchGroup {
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

impl BenchGroup {
    /// The default groups: all but the one that needs many gigabytes.
    const DEFAULT: [Self; 8] = [
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
    // The MCP servers behind the measured gateway are this program, too.
    let result = match std::env::args().nth(1).as_deref() {
        Some(mcp::server::COMMAND) => mcp::server::serve_stdio(),
        Some(mcp::server::http::COMMAND) => mcp::server::http::serve_http(),
        _ => run_groups(&BenchArgs::parse()),
    };
    result.map_or_else(report_error, |()| ExitCode::SUCCESS)
}

fn report_error(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn run_groups(arguments: &BenchArgs) -> Result<()> {
    let folder = tempfile::tempdir_in(arguments.folder.clone().unwrap_or_else(std::env::temp_dir))?;
    let machine = machine::MachineInfo::inspect(folder.path())?;
    let mut groups = [arguments.groups.as_slice(), &arguments.only].concat();
    if groups.is_empty() {
        groups = BenchGroup::DEFAULT.to_vec();
    }
    let mut rows = ResultTable::default();
    for group in groups {
        match group {
            BenchGroup::Decisions => decisions::measure(&mut rows)?,
            BenchGroup::Guarded => memory::measure(&mut rows)?,
            BenchGroup::Sqlite => sqlite::measure(&mut rows, folder.path())?,
            BenchGroup::Stores => stores::measure(&mut rows, folder.path())?,
            BenchGroup::History => history::measure(&mut rows, folder.path(), arguments.history)?,
            BenchGroup::ServerHistory => {
                stores::measure_history(&mut rows, folder.path(), arguments.server_history)?;
            }
            BenchGroup::Exec => {
                exec::measure(&mut rows, folder.path(), arguments.semel.as_deref())?
            }
            BenchGroup::Mcp => mcp::measure(&mut rows, folder.path(), arguments.semel.as_deref())?,
            BenchGroup::Sizes => sizes::measure(&mut rows),
        }
    }
    if arguments.json {
        rows.print_json(&machine)
    } else {
        rows.print_table(&machine)
    }
}
