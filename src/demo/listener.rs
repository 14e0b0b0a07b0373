//! Streamable HTTP for the demo server.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService,
    streamable_http_server::session::local::LocalSessionManager,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, GRACE,
    server::{Server, World},
};

type Service = StreamableHttpService<Server, LocalSessionManager>;

const PATH: &str = "/mcp";
const CONNECTIONS_MAX: usize = 1_000;
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Web pages from elsewhere are refused, whatever name they reach us by (DNS rebinding).
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// A bound port that does not serve yet.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    world: Arc<World>,
}

impl Listener {
    /// Binds `port` on 127.0.0.1; 0 picks a free one.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] if the port cannot be had.
    pub async fn bind(port: u16) -> Result<Self, Error> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let refused = |source| Error::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            world: Arc::new(World::new()?),
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves until `stop`, then lets calls under way end within a few seconds.
    ///
    /// Above a thousand connections, further clients wait until one of the others leaves.
    pub async fn serve(self, stop: CancellationToken) {
        let world = self.world;
        let config = StreamableHttpServerConfig::default()
            .with_allowed_origins(ORIGINS)
            .with_json_response(true)
            .with_max_request_body_bytes(REQUEST_BYTES_MAX)
            .with_cancellation_token(stop.clone());
        let service: Service = StreamableHttpService::new(
            move || Ok(Server::new(Arc::clone(&world))),
            Arc::default(),
            config,
        );
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept(), if connections.len() < CONNECTIONS_MAX => {
                    match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(converse(stream, service.clone(), stop.clone()));
                        }
                        // Most likely out of descriptors: wait for a connection to give one back.
                        Err(error) => {
                            tracing::warn!(%error, "Demo server cannot accept");
                            connections.join_next().await;
                        }
                    }
                }
            }
        }
        // What has not ended by then is dropped with the set.
        timeout(GRACE, async {
            while connections.join_next().await.is_some() {}
        })
        .await
        .ok();
    }
}

async fn converse(stream: TcpStream, service: Service, stop: CancellationToken) {
    // Without it, small answers are only slower.
    stream.set_nodelay(true).ok();
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move {
            Ok::<_, Infallible>(if request.uri().path() == PATH {
                service.handle(request).await
            } else {
                elsewhere()
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "Demo client broke off");
    }
}

fn elsewhere() -> Response<BoxBody<Bytes, Infallible>> {
    let body = Bytes::from_static(b"the demo server speaks MCP at /mcp\n");
    let mut response = Response::new(Full::new(body).boxed());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
