//! Streamable HTTP at `/mcp` on the loopback interface.

use std::{
    convert::Infallible,
    error::Error,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use serde_json::json;

use crate::{era::Era, polling::Polling, server::Server, world::World};

const PATH: &str = "/mcp";
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Browsers may come from these origins (DNS rebinding, see the transport chapter's warning).
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// The choices a server has within the protocol.
pub(crate) struct Shape {
    /// Legacy clients get no session.
    pub(crate) stateless: bool,
    /// Modern answers are event streams even when they are one message.
    pub(crate) stream: bool,
}

/// Serves until the process is killed. Prints the address as the first line on stdout.
pub(crate) async fn serve(
    world: Arc<World>,
    port: u16,
    shape: Shape,
) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    writeln!(
        io::stdout(),
        "listening on http://{}{PATH}",
        listener.local_addr()?
    )?;
    io::stdout().flush()?;

    let era = world.era;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(ORIGINS)
        .with_json_response(!shape.stream)
        .with_legacy_session_mode(!shape.stateless && era != Era::Modern)
        .with_stateless_protocol_metadata_required(era == Era::Modern)
        .with_max_request_body_bytes(REQUEST_BYTES_MAX);
    let service = StreamableHttpService::new(
        move || Ok(Server::new(Arc::clone(&world))),
        Arc::new(Polling::default()),
        config,
    );
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: some will come back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move {
                    Ok::<_, Infallible>(if request.uri().path() != PATH {
                        not_found()
                    } else if era.refuses(request.headers()) {
                        unsupported()
                    } else {
                        service.handle(request).await
                    })
                }
            });
            // A client that breaks off is its own business.
            http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await
                .ok();
        });
    }
}

/// What legacy servers say to a version that they do not know.
fn unsupported() -> Response<BoxBody<Bytes, Infallible>> {
    let error = json!({ "code": -32000, "message": "Bad Request: Unsupported protocol version" });
    let body = json!({ "jsonrpc": "2.0", "error": error, "id": null }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn not_found() -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"try /mcp\n")).boxed());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
