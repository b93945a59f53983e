//! Passes on what a command writes as it comes, and keeps part of it.

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
};

const CHUNK_BYTES: usize = 16 << 10;

/// Which part is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// The first bytes.
    First(usize),
    /// The last bytes.
    Last(usize),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The part that was kept.
    pub(super) kept: Vec<u8>,
    /// How much there was.
    pub(super) total_bytes: u64,
    /// Whether it was passed on to its end.
    pub(super) was_passed: bool,
}

impl Written {
    pub(super) fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.total_bytes
    }
}

/// Reads to the end, or until `stop` says so: whoever left the command's group may hold its output open for ever. A reader of ours
/// that went away does not end it, because the command's effect matters more than who listens.
pub(super) async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: Option<impl AsyncWrite + Unpin>,
    keep: Keep,
    mut stop: watch::Receiver<bool>,
) -> Written {
    let mut written = Written {
        kept: Vec::new(),
        total_bytes: 0,
        was_passed: to.is_some(),
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = tokio::select! {
            biased;
            read = from.read(&mut chunk) => read.unwrap_or(0),
            _ = stop.wait_for(|stop| *stop) => 0,
        };
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return written;
        };
        written.total_bytes += bytes.len() as u64;
        keep_part(&mut written.kept, bytes, keep);
        if let Some(writer) = &mut to
            && (writer.write_all(bytes).await.is_err() || writer.flush().await.is_err())
        {
            to = None;
            written.was_passed = false;
        }
    }
}

fn keep_part(kept: &mut Vec<u8>, bytes: &[u8], keep: Keep) {
    match keep {
        Keep::First(most) => kept.extend(bytes.iter().take(most.saturating_sub(kept.len()))),
        Keep::Last(most) => {
            kept.extend(bytes);
            kept.drain(..kept.len().saturating_sub(most));
        }
    }
}
