//! One client over a pair of streams: the standard ones of this process.

use crate::{
    lines::{LINE_BYTES_MAX, Line, LineWriter, Lines},
    link::{Caller, Client, Exchange, Upstream},
    wire::{Fault, FaultCode, Message},
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The client's end of the standard streams.
pub fn client(output: impl AsyncWrite + Unpin + Send + 'static) -> Arc<dyn Client> {
    Arc::new(LineWriter::onto(output))
}

/// Serves the client until it closes its stream. What is under way then goes on: whoever serves closes the upstream.
pub async fn serve(
    input: impl AsyncRead + Unpin,
    client: Arc<dyn Client>,
    caller: Caller,
    upstream: Arc<dyn Upstream>,
) {
    let caller = Arc::new(caller);
    // A standard stream carries everything.
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
                // A client that has gone closes its stream, too.
                let _ = client.put(fault.response(None)).await;
                continue;
            }
        };
        for message in messages {
            let exchange = Exchange::new(Arc::clone(&client), Arc::clone(&caller));
            match message {
                Ok(message) => upstream.pass(message, &exchange).await,
                Err(unreadable) => {
                    let _ = client
                        .put(unreadable.fault.response(unreadable.id.as_ref()))
                        .await;
                }
            }
        }
    }
}
