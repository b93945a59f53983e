//! Child processes that end with the story, however it ends.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// This program in another role.
pub(crate) struct AgentProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl AgentProcess {
    /// Starts this program with `arguments`. It is killed when it is dropped.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start this program again")?;
        let stdout = child.stdout.take().context("a child without stdout")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    /// Its next line.
    pub(crate) async fn read_line(&mut self) -> Result<String> {
        self.lines
            .next_line()
            .await?
            .context("a child ended without a word")
    }

    /// Returns its report of the next attempt.
    pub(crate) async fn next_report(&mut self) -> Result<Value> {
        let line = self.read_line().await?;
        serde_json::from_str(&line).with_context(|| format!("a child said `{line}`"))
    }

    /// All that it says of its tries, up to its end.
    pub(crate) async fn finish(mut self) -> Result<Vec<Value>> {
        let mut said = Vec::new();
        while let Some(line) = self.lines.next_line().await? {
            said.push(
                serde_json::from_str(&line).with_context(|| format!("a child said `{line}`"))?,
            );
        }
        let status = self.child.wait().await?;
        ensure!(status.success(), "a child failed: {status}");
        Ok(said)
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
