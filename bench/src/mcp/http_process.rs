//! A child process that serves over HTTP and prints its address.

use anyhow::{Context, Result};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{ChildStderr, Command, Stdio},
};

/// Such a process, which is killed on drop.
pub(super) struct HttpProcess {
    process: std::process::Child,
    pub(super) address: SocketAddr,
}

/// The memory of a process, in MiB.
pub(super) struct MemoryUse {
    /// The resident set.
    pub(super) resident: f64,
    /// The proportional set: shared pages count by this process's share.
    pub(super) proportional: f64,
}

impl HttpProcess {
    /// Starts the process, and waits until it prints its address.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = process
            .stderr
            .take()
            .context("the server's stderr is not open")?;
        let mut started = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        started.address = read_address(stderr)?;
        Ok(started)
    }

    /// Reads the current memory use.
    pub(super) fn memory_use(&self) -> Result<MemoryUse> {
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
        Ok(MemoryUse {
            resident: mib("Rss:")?,
            proportional: mib("Pss:")?,
        })
    }
}

impl Drop for HttpProcess {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

/// Reads the address from the line that prints it. Later output is discarded.
fn read_address(stderr: ChildStderr) -> Result<SocketAddr> {
    let mut stderr = BufReader::new(stderr);
    let mut output = String::new();
    let mut line = String::new();
    while stderr.read_line(&mut line)? > 0 {
        if let Some((_, after)) = line.split_once("http://") {
            let address = after.split('/').next().unwrap_or_default().parse()?;
            std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
            return Ok(address);
        }
        output.push_str(&line);
        line.clear();
    }
    anyhow::bail!("the server ended and output `{}`", output.trim_end())
}
