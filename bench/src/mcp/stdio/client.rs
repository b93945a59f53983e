//! A client of an MCP server over the standard streams that does as little as it can.

use super::super::{
    message::{self, Tool},
    server,
};
use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A client, and the process that it talks to.
pub(crate) struct Client {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    line: String,
}

impl Client {
    /// Of the server itself.
    pub(crate) fn bare() -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg(server::WORD))
    }

    /// Of this program.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take().context("no way to the server")?;
        let from = BufReader::new(process.stdout.take().context("no way from the server")?);
        let mut client = Self {
            process,
            to,
            from,
            line: String::new(),
        };
        client.ask(message::INITIALIZE)?;
        writeln!(client.to, "{}", message::INITIALIZED)?;
        client.ask(message::LIST)?;
        Ok(client)
    }

    /// One new call.
    pub(crate) fn call(&mut self, tool: Tool) -> Result<()> {
        self.calls(tool, 1)
    }

    /// So many of them at once, until all are answered.
    pub(crate) fn calls(&mut self, tool: Tool, count: usize) -> Result<()> {
        let lines: String = (0..count)
            .flat_map(|_| [tool.call(), "\n".to_owned()])
            .collect();
        self.to.write_all(lines.as_bytes())?;
        (0..count).try_for_each(|_| self.answer())
    }

    fn ask(&mut self, method_and_params: &str) -> Result<()> {
        writeln!(self.to, "{}", message::request(method_and_params))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<()> {
        self.line.clear();
        self.from.read_line(&mut self.line)?;
        message::check(&self.line)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It is not needed any more, however it ends.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}
