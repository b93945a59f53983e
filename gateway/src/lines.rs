//! Messages as lines over byte streams: the stdio transport, for both sides of the gateway.
//!
//! Nothing here knows the owner of a stream.

use crate::{
    layer::{Client, Confirmation, Disconnected},
    wire::Message,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::fmt;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, FramedRead};

/// The longest line that is read, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;

/// The most lines that wait to be written before a sender waits too.
const LINES_QUEUED_MAX: usize = 64;

/// A reader of lines.
pub(crate) struct LineReader<R> {
    read: FramedRead<R, AnyDelimiterCodec>,
    /// True if the last line was too long: the codec then reports one end of the stream, and
    /// continues.
    pauses: bool,
}

/// A line of the input.
#[derive(Debug)]
pub(crate) enum InputLine {
    /// A line that is not empty.
    Read(Bytes),
    /// One that is too long; it is skipped.
    TooLong,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        let codec =
            AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), LINE_BYTES_MAX);
        Self {
            read: FramedRead::new(stream, codec),
            pauses: false,
        }
    }

    /// Returns the next line, or `None` once the stream has ended or failed.
    pub(crate) async fn next(&mut self) -> Option<InputLine> {
        loop {
            let Some(read) = self.read.next().await else {
                if std::mem::take(&mut self.pauses) {
                    continue;
                }
                return None;
            };
            match read {
                Ok(line) if line.trim_ascii().is_empty() => {}
                Ok(line) => return Some(InputLine::Read(line)),
                Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => {
                    self.pauses = true;
                    return Some(InputLine::TooLong);
                }
                Err(AnyDelimiterCodecError::Io(error)) => {
                    tracing::debug!(%error, "a stream of messages broke");
                    return None;
                }
            }
        }
    }
}

/// A writer of lines. It writes in a task of its own, so that a dropped future leaves no partial
/// line.
#[derive(Clone)]
pub(crate) struct LineWriter(mpsc::Sender<QueuedLine>);

struct QueuedLine {
    text: Bytes,
    done: Option<oneshot::Sender<()>>,
}

impl LineWriter {
    /// Creates a writer onto this stream, which is closed once the last writer is dropped.
    pub(crate) fn new(stream: impl AsyncWrite + Unpin + Send + 'static) -> Self {
        let (writer, lines) = mpsc::channel(LINES_QUEUED_MAX);
        tokio::spawn(write(stream, lines));
        Self(writer)
    }
}

/// Writes all queued lines at once, so that many lines cost one system call.
async fn write(mut stream: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<QueuedLine>) {
    let mut waiting = Vec::with_capacity(LINES_QUEUED_MAX);
    let mut buffer = BytesMut::new();
    while lines.recv_many(&mut waiting, LINES_QUEUED_MAX).await > 0 {
        buffer.clear();
        for line in &waiting {
            put_line(&mut buffer, &line.text);
        }
        let written = async { stream.write_all(&buffer).await.and(stream.flush().await) }.await;
        if let Err(error) = written {
            tracing::debug!(%error, "a stream of messages cannot be written");
            return;
        }
        for done in waiting.drain(..).filter_map(|line| line.done) {
            // The sender may have dropped its future.
            let _ = done.send(());
        }
    }
}

/// Appends a message as one line. A line end in JSON is white space between tokens, so a space
/// replaces it.
fn put_line(buffer: &mut BytesMut, text: &[u8]) {
    let start = buffer.len();
    buffer.extend_from_slice(text);
    for byte in buffer
        .iter_mut()
        .skip(start)
        .filter(|byte| matches!(byte, b'\n' | b'\r'))
    {
        *byte = b' ';
    }
    buffer.extend_from_slice(b"\n");
}

impl fmt::Debug for LineWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineWriter")
            .field("is_closed", &self.0.is_closed())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Client for LineWriter {
    async fn deliver(
        &self,
        message: Message,
        confirmation: Confirmation,
    ) -> Result<(), Disconnected> {
        let text = message.bytes().clone();
        if confirmation == Confirmation::None {
            let line = QueuedLine { text, done: None };
            return self.0.send(line).await.map_err(|_| Disconnected);
        }
        let (done, is_done) = oneshot::channel();
        let line = QueuedLine {
            text,
            done: Some(done),
        };
        self.0.send(line).await.map_err(|_| Disconnected)?;
        is_done.await.map_err(|_| Disconnected)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn messages_travel_one_a_line_whatever_their_layout() {
        let (near, far) = tokio::io::duplex(1 << 10);
        let writer = LineWriter::new(near);
        writer
            .send_and_confirm(Message::read("{\"jsonrpc\":\"2.0\",\n\"method\":\"a\"}").unwrap())
            .await
            .unwrap();
        drop(writer);
        let mut lines = LineReader::new(far);
        let Some(InputLine::Read(line)) = lines.next().await else {
            panic!("no line")
        };
        assert_eq!(line, r#"{"jsonrpc":"2.0", "method":"a"}"#);
        assert!(lines.next().await.is_none());
    }

    #[tokio::test]
    async fn nobody_reads_what_is_written_to_a_closed_stream() {
        let (near, far) = tokio::io::duplex(8);
        drop(far);
        let writer = LineWriter::new(near);
        assert_eq!(
            writer
                .send_and_confirm(Message::notification("a", "{}"))
                .await,
            Err(Disconnected)
        );
    }
}
