//! A process that serves over HTTP, and says where.

use anyhow::{Context, Result};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{ChildStderr, Command, Stdio},
};

/// Such a process, until it is dropped.
pub(super) struct Listening {
    process: std::process::Child,
    pub(super) address: SocketAddr,
}

/// The memory of a process, in MiB.
pub(super) struct Memory {
    /// All of it.
    pub(super) resident: f64,
    /// The same, with its share only of what others hold, too.
    pub(super) proportional: f64,
}

impl Listening {
    /// Starts it, and waits until it says at which address it serves.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let told = process
            .stderr
            .take()
            .context("no way to hear of the server")?;
        let mut started = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        started.address = address(told)?;
        Ok(started)
    }

    /// The memory that it holds.
    pub(super) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/smaps_rollup", self.process.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let mib = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kib = line
                .with_context(|| format!("no `{name}` in {path}"))?
                .trim()
                .trim_end_matches("kB");
            Ok(kib.trim().parse::<f64>()? / 1024.0)
        };
        Ok(Memory {
            resident: mib("Rss:")?,
            proportional: mib("Pss:")?,
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It is not needed any more, however it ends.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// The address in the line that prints it. Later output is not read.
fn address(told: ChildStderr) -> Result<SocketAddr> {
    let mut told = BufReader::new(told);
    let mut said = String::new();
    let mut line = String::new();
    while told.read_line(&mut line)? > 0 {
        if let Some((_, after)) = line.split_once("http://") {
            let address = after.split('/').next().unwrap_or_default().parse()?;
            std::thread::spawn(move || told.read_to_end(&mut Vec::new()));
            return Ok(address);
        }
        said.push_str(&line);
        line.clear();
    }
    anyhow::bail!("the server ended and said `{}`", said.trim_end())
}
