//! A guarded command from the shell: the whole process, beside the bare command.

use crate::{
    results::{FigureGoal, ResultTable},
    sample::{Sample, to_micros},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

const ROUNDS: u32 = 40;

/// A configuration with the policy `intent` and a ledger in a file.
const CONFIG: &str = "
[ledger]
url = \"sqlite:LEDGER\"

[[tool]]
match = \"t\"
policy = \"intent\"

[tool.settings]
identity = [\"order_id\"]
";

pub(crate) fn measure(rows: &mut ResultTable, folder: &Path, program: Option<&Path>) -> Result<()> {
    let Some(program) = program else {
        return Ok(());
    };
    let guarded = GuardedCommand::configure(program, folder)?;
    // The first run compiles the policy into the cache, and creates the ledger.
    guarded.time_run(0)?;
    let mut bare = Vec::new();
    let mut executed = Vec::new();
    let mut replayed = Vec::new();
    for round in 1..=ROUNDS {
        bare.push(time_command(&mut Command::new("true"))?);
        executed.push(guarded.time_run(round)?);
        replayed.push(guarded.time_run(round)?);
    }
    let bare = Sample::from_values(bare);
    let added = |whole: Vec<f64>| Sample::from_values(whole).map(|whole| whole - bare.median);
    let name = "`semel exec … -- true`, over bare `true`";
    rows.add_row(
        &format!("{name}, executed"),
        "ms",
        added(executed),
        Some(bare),
        &[FigureGoal::AtMost(30.0)],
    );
    rows.add_row(
        &format!("{name}, replayed"),
        "ms",
        added(replayed),
        Some(bare),
        &[],
    );
    Ok(())
}

struct GuardedCommand {
    program: PathBuf,
    folder: PathBuf,
    configuration: PathBuf,
}

impl GuardedCommand {
    fn configure(program: &Path, folder: &Path) -> Result<Self> {
        let configuration = folder.join("semel.toml");
        let ledger = folder.join("exec.db").display().to_string();
        fs::write(&configuration, CONFIG.replace("LEDGER", &ledger))?;
        Ok(Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            configuration,
        })
    }

    /// Runs the guarded command once, and returns its duration in milliseconds.
    fn time_run(&self, order: u32) -> Result<f64> {
        time_command(
            Command::new(&self.program)
                .args([
                    "exec",
                    "--tool",
                    "t",
                    "--args",
                    &format!("{{\"order_id\":\"A{order}\"}}"),
                    "--config",
                ])
                .arg(&self.configuration)
                .args(["--", "true"])
                .env("HOME", &self.folder)
                .env("XDG_CACHE_HOME", self.folder.join("cache")),
        )
    }
}

fn time_command(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let ended = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let took = to_micros(begun.elapsed()) / 1e3;
    let program = command.get_program().to_string_lossy();
    let ended = ended.with_context(|| format!("`{program}` cannot be run"))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.success(),
        "`{program}` ended with {}: {said}",
        ended.status
    );
    Ok(took)
}
