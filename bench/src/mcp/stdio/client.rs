//! A minimal MCP client over the standard streams.

use super::super::{
    message::{self, BenchTool},
    server,
};
use anyhow::{Context, Result};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A client, and the process that it started.
pub(crate) struct StdioClient {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    line: String,
}

impl StdioClient {
    /// Starts the server itself, without a gateway.
    pub(crate) fn start_bare() -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg(server::COMMAND))
    }

    /// Starts this program, and opens a session with it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process
            .stdin
            .take()
            .context("the server's stdin is not open")?;
        let from = BufReader::new(
            process
                .stdout
                .take()
                .context("the server's stdout is not open")?,
        );
        let mut client = Self {
            process,
            to,
            from,
            line: String::new(),
        };
        client.send_request(message::INITIALIZE)?;
        writeln!(client.to, "{}", message::INITIALIZED)?;
        client.send_request(message::LIST_TOOLS)?;
        Ok(client)
    }

    /// Makes a new call, and waits for its answer.
    pub(crate) fn make_call(&mut self, tool: BenchTool) -> Result<()> {
        self.make_calls(tool, 1)
    }

    /// Makes so many calls at once, and waits for their answers.
    pub(crate) fn make_calls(&mut self, tool: BenchTool, count: usize) -> Result<()> {
        let lines: String = (0..count)
            .flat_map(|_| [tool.new_call(), "\n".to_owned()])
            .collect();
        self.to.write_all(lines.as_bytes())?;
        (0..count).try_for_each(|_| self.receive_answer())
    }

    fn send_request(&mut self, method_and_params: &str) -> Result<()> {
        writeln!(self.to, "{}", message::new_request(method_and_params))?;
        self.receive_answer()
    }

    fn receive_answer(&mut self) -> Result<()> {
        self.line.clear();
        self.from.read_line(&mut self.line)?;
        message::check_answer(&self.line)
    }
}

impl Drop for StdioClient {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}
