//! The minimal MCP server over HTTP, without sessions and streams.

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

/// The first argument that makes this program such a server.
pub(crate) const COMMAND: &str = "serve-mcp-over-http";

/// Serves on a free port of the loopback interface, until it is killed.
pub(crate) fn serve_http() -> Result<()> {
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
                        .serve_connection(TokioIo::new(stream), service_fn(answer_request)),
                );
            }
        })
}

async fn answer_request(request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let mut response = Response::new(Full::default());
    if request.method() != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return Ok(response);
    }
    let text = request.into_body().collect().await?.to_bytes();
    match super::answer_message(std::str::from_utf8(&text)?)? {
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
