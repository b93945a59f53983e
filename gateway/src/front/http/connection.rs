//! One client's connection, which reports when everything queued on it has been written.

use parking_lot::Mutex;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
};

/// The senders that wait until everything queued on a connection so far has been written.
#[derive(Debug, Clone, Default)]
pub(super) struct FlushNotifier(Arc<Mutex<Vec<oneshot::Sender<()>>>>);

impl FlushNotifier {
    /// Notifies `sender` after the next flush. If the connection ends before, the sender is
    /// dropped.
    pub(super) fn notify_after_flush(&self, sender: oneshot::Sender<()>) {
        self.0.lock().push(sender);
    }

    fn notify_all(&self) {
        let senders = std::mem::take(&mut *self.0.lock());
        for sender in senders {
            // The receiver may have stopped waiting.
            let _ = sender.send(());
        }
    }

    fn drop_all(&self) {
        self.0.lock().clear();
    }
}

/// A connection that notifies after each flush.
///
/// INVARIANT: hyper flushes a connection only once its own buffer was written as a whole. So a
/// flush means that everything the bodies have handed out is in the operating system's hands.
pub(super) struct ClientConnection {
    stream: TcpStream,
    flushes: FlushNotifier,
}

impl ClientConnection {
    pub(super) fn new(stream: TcpStream, flushes: FlushNotifier) -> Self {
        Self { stream, flushes }
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        self.flushes.drop_all();
    }
}

impl AsyncRead for ClientConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ClientConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.flushes.notify_all();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
