//! A guarded command from the shell: the whole process, beside the bare command.

use crate::{
    row::{Reach, Rows},
    sample::{Sample, micros},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

const ROUNDS: u32 = 40;

/// `intent`, keys in the environment, the ledger in a file.
const CONFIGURATION: &str = "
[ledger]
url = \"sqlite:LEDGER\"

[[tool]]
match = \"t\"
policy = \"intent\"

[tool.settings]
identity = [\"order_id\"]
";

pub(crate) fn measure(rows: &mut Rows, folder: &Path, program: Option<&Path>) -> Result<()> {
    let Some(program) = program else {
        return Ok(());
    };
    let guarded = Guarded::set_up(program, folder)?;
    // The first fills the cache of compiled code and makes the ledger.
    guarded.run(0)?;
    let mut bare = Vec::new();
    let mut executed = Vec::new();
    let mut replayed = Vec::new();
    for round in 1..=ROUNDS {
        bare.push(timed(&mut Command::new("true"))?);
        executed.push(guarded.run(round)?);
        replayed.push(guarded.run(round)?);
    }
    let bare = Sample::of(bare);
    let added = |whole: Vec<f64>| Sample::of(whole).map(|whole| whole - bare.median);
    let name = "`semel exec … -- true`, over bare `true`";
    rows.add(
        &format!("{name}, executed"),
        "ms",
        added(executed),
        Some(bare),
        &[Reach::AtMost(30.0)],
    );
    rows.add(
        &format!("{name}, replayed"),
        "ms",
        added(replayed),
        Some(bare),
        &[],
    );
    Ok(())
}

struct Guarded {
    program: PathBuf,
    folder: PathBuf,
    configuration: PathBuf,
}

impl Guarded {
    fn set_up(program: &Path, folder: &Path) -> Result<Self> {
        let configuration = folder.join("semel.toml");
        let ledger = folder.join("exec.db").display().to_string();
        fs::write(&configuration, CONFIGURATION.replace("LEDGER", &ledger))?;
        Ok(Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            configuration,
        })
    }

    /// Milliseconds of one guarded command.
    fn run(&self, order: u32) -> Result<f64> {
        timed(
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

fn timed(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let ended = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let took = micros(begun.elapsed()) / 1e3;
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
