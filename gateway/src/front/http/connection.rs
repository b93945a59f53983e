//! One connection of a client, and the knowledge of what was written to it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
};

/// Who wants to know that what was handed to a connection so far has been written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written(Arc<Mutex<Vec<oneshot::Sender<()>>>>);

impl Written {
    /// Tells `who` after the next time that nothing is left to write. Where the connection ends before, it is dropped.
    pub(super) fn tell(&self, who: oneshot::Sender<()>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(who);
    }

    fn tell_all(&self) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for who in waiting {
            // Who asked may have gone.
            let _ = who.send(());
        }
    }

    fn forget_all(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// A connection.
///
/// INVARIANT: hyper flushes a connection only once its own buffer was written as a whole, so that a flush means that all
/// which bodies have handed out is in the operating system's hands.
pub(super) struct Connection {
    stream: TcpStream,
    written: Written,
}

impl Connection {
    pub(super) fn of(stream: TcpStream, written: Written) -> Self {
        Self { stream, written }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.written.forget_all();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
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
            self.written.tell_all();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
