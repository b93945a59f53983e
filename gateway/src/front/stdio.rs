//! The front end for one client over a pair of streams, such as stdin and stdout.

use crate::{
    lines::{LINE_BYTES_MAX, Line, LineWriter, Lines},
    link::{Caller, Client, Exchange, Upstream},
    wire::{Fault, FaultCode, Message},
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Returns the client that reads messages from `output`.
pub fn line_client(output: impl AsyncWrite + Unpin + Send + 'static) -> Arc<dyn Client> {
    Arc::new(LineWriter::onto(output))
}

/// Serves the client until it closes its stream. Calls in progress continue then, until the upstream is closed.
pub async fn serve_client(
    input: impl AsyncRead + Unpin,
    client: Arc<dyn Client>,
    caller: Caller,
    upstream: Arc<dyn Upstream>,
) {
    let caller = Arc::new(caller);
    // One stream carries every message, so the client listens from the start.
    upstream
        .listen(&Exchange::new(Arc::clone(&client), Arc::clone(&caller)))
        .await;
    let mut lines = Lines::of(input);
    while let Some(line) = lines.next().await {
        let messages = match line {
            Line::Read(line) => Message::read_all(line),
            Line::TooLong => {
                let fault = Fault::new(
                    FaultCode::InvalidRequest,
                    format!("a message has {LINE_BYTES_MAX} bytes at the most"),
                );
                // A failed write is no error here: a client that has gone closes its input too.
                let _ = client.put(fault.response(None)).await;
                continue;
            }
        };
        for message in messages {
            let exchange = Exchange::new(Arc::clone(&client), Arc::clone(&caller));
            match message {
                Ok(message) => upstream.pass(message, &exchange).await,
                Err(unreadable) => {
                    // As above.
                    let _ = client
                        .put(unreadable.fault.response(unreadable.id.as_ref()))
                        .await;
                }
            }
        }
    }
}
