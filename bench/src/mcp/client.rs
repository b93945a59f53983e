//! A client of an MCP server over the standard streams that does as little as it can.

use anyhow::{Context, Result, ensure};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The tools of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tool {
    /// Takes effect: the gateway records it.
    Pay,
    /// Only reads: the gateway passes it.
    Look,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Look => "look",
        }
    }
}

/// A client, and the process that it talks to.
pub(crate) struct Client {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    next: u64,
    line: String,
}

impl Client {
    /// Of the server itself.
    pub(crate) fn bare() -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg(super::server::WORD))
    }

    /// Of the gateway before it, which keeps its ledger and its code in `folder`.
    pub(crate) fn through(semel: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(semel);
        command.env("SEMEL_LEDGER", format!("sqlite:{}", folder.join("ledger.db").display()));
        command.env("SEMEL_CACHE", folder.join("code")).env("XDG_CONFIG_HOME", folder).env_remove("SEMEL_CONFIG");
        command.args(["mcp", "--name", "bench", "--"]).arg(std::env::current_exe()?).arg(super::server::WORD);
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = process.stdin.take().context("no way to the server")?;
        let from = BufReader::new(process.stdout.take().context("no way from the server")?);
        let mut client = Self { process, to, from, next: 1, line: String::new() };
        client.ask(
            r#""initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}"#,
        )?;
        writeln!(client.to, r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#)?;
        client.ask(r#""tools/list""#)?;
        Ok(client)
    }

    /// One call that nobody made before.
    pub(crate) fn call(&mut self, tool: Tool) -> Result<()> {
        self.calls(tool, 1)
    }

    /// So many of them at once, until all are answered.
    pub(crate) fn calls(&mut self, tool: Tool, count: usize) -> Result<()> {
        let mut lines = String::new();
        for _ in 0..count {
            let (id, name) = (self.next, tool.name());
            self.next += 1;
            lines.push_str(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"order":{id},"to":"ACME","amount":"129.90","note":"as agreed on the phone"}}}}}}"#,
            ));
            lines.push('\n');
        }
        self.to.write_all(lines.as_bytes())?;
        (0..count).try_for_each(|_| self.answer())
    }

    fn ask(&mut self, method_and_params: &str) -> Result<()> {
        let id = self.next;
        self.next += 1;
        writeln!(self.to, r#"{{"jsonrpc":"2.0","id":{id},"method":{method_and_params}}}"#)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<()> {
        self.line.clear();
        self.from.read_line(&mut self.line)?;
        ensure!(self.line.contains(r#""result""#), "the server answered `{}`", self.line.trim_end());
        ensure!(!self.line.contains(r#""isError":true"#), "the call failed: `{}`", self.line.trim_end());
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It is not needed any more, however it ends.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}
