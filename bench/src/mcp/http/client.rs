//! A minimal MCP client over HTTP: one connection, and one session.

use super::super::message::{self, BenchTool, VERSION};
use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// A client with an open session.
pub(super) struct HttpClient {
    stream: BufReader<TcpStream>,
    /// The head of its requests, without the length of the body.
    head: String,
    line: String,
    body: Vec<u8>,
}

/// The parts of a response head.
#[derive(Default)]
struct ResponseHead {
    length: usize,
    session: Option<String>,
}

impl HttpClient {
    /// Opens a session with the server at this address, and lists its tools.
    pub(super) fn open_session(address: SocketAddr) -> Result<Self> {
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
        client.send_message(&message::new_request(message::INITIALIZE))?;
        let session = client.receive_response()?.session;
        let session = session
            .map(|id| format!("mcp-session-id: {id}\r\n"))
            .unwrap_or_default();
        client
            .head
            .push_str(&format!("{session}mcp-protocol-version: {VERSION}\r\n"));
        client.send_message(message::INITIALIZED)?;
        client.read_head()?;
        client.send_message(&message::new_request(message::LIST_TOOLS))?;
        client.receive_response()?;
        Ok(client)
    }

    /// Makes a new call, and waits for its answer.
    pub(super) fn make_call(&mut self, tool: BenchTool) -> Result<()> {
        self.send_call(tool)?;
        self.receive_answer()
    }

    /// Sends a new call.
    pub(super) fn send_call(&mut self, tool: BenchTool) -> Result<()> {
        self.send_message(&tool.new_call())
    }

    /// Waits for the answer to the last call.
    pub(super) fn receive_answer(&mut self) -> Result<()> {
        self.receive_response().map(drop)
    }

    fn send_message(&mut self, message: &str) -> Result<()> {
        let request = format!(
            "{}content-length: {}\r\n\r\n{message}",
            self.head,
            message.len()
        );
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }

    fn receive_response(&mut self) -> Result<ResponseHead> {
        let head = self.read_head()?;
        self.body.resize(head.length, 0);
        self.stream.read_exact(&mut self.body)?;
        message::check_answer(std::str::from_utf8(&self.body)?)?;
        Ok(head)
    }

    fn read_head(&mut self) -> Result<ResponseHead> {
        let mut head = ResponseHead::default();
        let status = self.read_trimmed_line()?.to_owned();
        ensure!(
            status.starts_with("HTTP/1.1 20"),
            "the server answered `{status}`"
        );
        while let Some((name, value)) = self.read_trimmed_line()?.split_once(": ") {
            match name {
                "content-length" => head.length = value.parse().context("no length")?,
                "mcp-session-id" => head.session = Some(value.to_owned()),
                "transfer-encoding" => bail!("the server answered by a stream"),
                _ => {}
            }
        }
        Ok(head)
    }

    /// Reads a line, without its end.
    fn read_trimmed_line(&mut self) -> Result<&str> {
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        Ok(self.line.trim_end())
    }
}
