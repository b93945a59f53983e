//! The same server over HTTP: no sessions, no streams.

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The first word of a command line that makes this program such a server.
pub(crate) const WORD: &str = "serve-mcp-over-http";

/// Serves at an address of its own choice, until it is killed.
pub(crate) fn serve() -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            eprintln!("serving MCP at http://{}/mcp", listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(
                    http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service_fn(respond)),
                );
            }
        })
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let mut response = Response::new(Full::default());
    if request.method() != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Ok(response);
    }
    let text = request.into_body().collect().await?.to_bytes();
    match super::answer(std::str::from_utf8(&text)?)? {
        None => *response.status_mut() = StatusCode::ACCEPTED,
        Some(answer) => {
            *response.body_mut() = Full::from(answer);
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    Ok(response)
}
