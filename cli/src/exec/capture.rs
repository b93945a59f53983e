//! A tee for a command's output: forwards it as it comes, and keeps part of it.

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
};

const CHUNK_BYTES: usize = 16 << 10;

/// The part of an output that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeptPart {
    /// So many bytes from its beginning.
    First(usize),
    /// So many bytes from its end.
    Last(usize),
}

/// A command's output on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CapturedOutput {
    /// The part that was kept.
    pub(super) kept: Vec<u8>,
    /// The length of the whole output.
    pub(super) total_bytes: u64,
    /// True if the whole output was forwarded.
    pub(super) was_forwarded: bool,
}

impl CapturedOutput {
    /// The output of a reader that failed: some bytes, none of them known.
    pub(super) fn lost() -> Self {
        Self {
            kept: Vec::new(),
            total_bytes: 1,
            was_forwarded: false,
        }
    }

    /// Returns true if all of the output was kept.
    pub(super) fn is_complete(&self) -> bool {
        self.kept.len() as u64 == self.total_bytes
    }
}

/// Reads `from` to its end, or until `stop` is set: a process that left the command's group may hold the stream open for
/// ever. Forwards the output to `to`, and keeps part of it.
pub(super) async fn forward_and_capture(
    mut from: impl AsyncRead + Unpin,
    mut to: Option<impl AsyncWrite + Unpin>,
    part: KeptPart,
    mut stop: watch::Receiver<bool>,
) -> CapturedOutput {
    let mut output = CapturedOutput {
        kept: Vec::new(),
        total_bytes: 0,
        was_forwarded: to.is_some(),
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = tokio::select! {
            biased;
            length = from.read(&mut chunk) => length.unwrap_or(0),
            _ = stop.wait_for(|stop| *stop) => 0,
        };
        let bytes = chunk.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return output;
        }
        output.total_bytes += bytes.len() as u64;
        keep_part(&mut output.kept, bytes, part);
        // A reader of ours that goes away must not break the command's pipe: the command's effect matters more.
        if let Some(writer) = &mut to
            && (writer.write_all(bytes).await.is_err() || writer.flush().await.is_err())
        {
            to = None;
            output.was_forwarded = false;
        }
    }
}

fn keep_part(kept: &mut Vec<u8>, bytes: &[u8], part: KeptPart) {
    match part {
        KeptPart::First(bytes_max) => {
            let room = bytes_max.saturating_sub(kept.len());
            kept.extend(bytes.iter().take(room));
        }
        KeptPart::Last(bytes_max) => {
            kept.extend(bytes);
            kept.drain(..kept.len().saturating_sub(bytes_max));
        }
    }
}
