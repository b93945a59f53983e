//! A client of an MCP server over HTTP that does as little as it can: one connection, and one session.

use super::super::message::{self, Tool, VERSION};
use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// A client with an open session.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    /// The head of its requests but for the length of their bodies.
    head: String,
    line: String,
    body: Vec<u8>,
}

/// The parts of a response head.
#[derive(Default)]
struct Head {
    length: usize,
    session: Option<String>,
}

impl Client {
    /// Opens a session with the server at this address, and lists its tools.
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        );
        let mut client = Self {
            stream: BufReader::new(stream),
            head,
            line: String::new(),
            body: Vec::new(),
        };
        client.send(&message::request(message::INITIALIZE))?;
        let session = client.receive()?.session;
        let session = session
            .map(|id| format!("mcp-session-id: {id}\r\n"))
            .unwrap_or_default();
        client
            .head
            .push_str(&format!("{session}mcp-protocol-version: {VERSION}\r\n"));
        client.send(message::INITIALIZED)?;
        client.head()?;
        client.send(&message::request(message::LIST))?;
        client.receive()?;
        Ok(client)
    }

    /// One new call.
    pub(super) fn call(&mut self, tool: Tool) -> Result<()> {
        self.begin(tool)?;
        self.end()
    }

    /// Sends such a call.
    pub(super) fn begin(&mut self, tool: Tool) -> Result<()> {
        self.send(&tool.call())
    }

    /// Waits for the answer to it.
    pub(super) fn end(&mut self) -> Result<()> {
        self.receive().map(drop)
    }

    fn send(&mut self, message: &str) -> Result<()> {
        let request = format!(
            "{}content-length: {}\r\n\r\n{message}",
            self.head,
            message.len()
        );
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    fn receive(&mut self) -> Result<Head> {
        let head = self.head()?;
        self.body.resize(head.length, 0);
        self.stream.read_exact(&mut self.body)?;
        message::check(std::str::from_utf8(&self.body)?)?;
        Ok(head)
    }

    fn head(&mut self) -> Result<Head> {
        let mut head = Head::default();
        let status = self.line()?.to_owned();
        ensure!(
            status.starts_with("HTTP/1.1 20"),
            "the server answered `{status}`"
        );
        while let Some((name, value)) = self.line()?.split_once(": ") {
            match name {
                "content-length" => head.length = value.parse().context("no length")?,
                "mcp-session-id" => head.session = Some(value.to_owned()),
                "transfer-encoding" => bail!("the server answered by a stream"),
                _ => {}
            }
        }
        Ok(head)
    }

    /// The next line without its end.
    fn line(&mut self) -> Result<&str> {
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        Ok(self.line.trim_end())
    }
}
