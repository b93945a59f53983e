//! The front end for one client over a pair of streams, such as stdin and stdout.

use crate::{
    layer::{CallerIdentity, Client, RequestContext, Upstream},
    lines::{InputLine, LINE_BYTES_MAX, LineReader, LineWriter},
    wire::{ErrorCode, Message, ProtocolError},
};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Returns the client that reads messages from `output`.
pub fn line_client(output: impl AsyncWrite + Unpin + Send + 'static) -> Arc<dyn Client> {
    Arc::new(LineWriter::new(output))
}

/// Serves the client until it closes its stream. Calls in progress continue then, until the
/// upstream is closed.
pub async fn serve_client(
    input: impl AsyncRead + Unpin,
    client: Arc<dyn Client>,
    caller: CallerIdentity,
    upstream: Arc<dyn Upstream>,
) {
    let caller = Arc::new(caller);
    // One stream carries every message, so the client listens from the start.
    upstream
        .listen(&RequestContext::new(
            Arc::clone(&client),
            Arc::clone(&caller),
        ))
        .await;
    let mut lines = LineReader::new(input);
    while let Some(line) = lines.next().await {
        let messages = match line {
            InputLine::Read(line) => Message::read_all(line),
            InputLine::TooLong => {
                let error = ProtocolError::new(
                    ErrorCode::InvalidRequest,
                    format!("a message has {LINE_BYTES_MAX} bytes at the most"),
                );
                // A disconnected client reads nothing, and closes its input, too.
                let _ = client.send(error.response(None)).await;
                continue;
            }
        };
        for message in messages {
            let context = RequestContext::new(Arc::clone(&client), Arc::clone(&caller));
            match message {
                Ok(message) => upstream.forward(message, &context).await,
                Err(unreadable) => {
                    // As above.
                    let _ = client
                        .send(unreadable.error.response(unreadable.id.as_ref()))
                        .await;
                }
            }
        }
    }
}
