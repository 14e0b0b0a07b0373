//! Serves a control plane on a Pingora listener of its own.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::socket::SocketAddr;
use tokio::time::timeout;

use crate::state::{ControlPlane, Peer};

/// Largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long all of it may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one write of an answer may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A control plane as a Pingora application.
pub(super) struct ControlApp {
    control: ControlPlane,
    /// Who connects, where the connection itself does not say.
    peer: Peer,
    bounds: Bounds,
}

/// How long a head may be.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Most header lines.
    pub(super) headers_max: usize,
    /// Most bytes of their names and values.
    pub(super) header_bytes_max: usize,
}

impl ControlApp {
    /// Has a control plane serve a TCP port.
    pub(super) fn new(control: ControlPlane, bounds: Bounds) -> Self {
        Self {
            control,
            peer: Peer::Unknown,
            bounds,
        }
    }

    /// Has it serve a unix socket: who connects has no address there.
    pub(super) fn on_socket(control: ControlPlane, bounds: Bounds) -> Self {
        Self {
            peer: Peer::Socket,
            ..Self::new(control, bounds)
        }
    }

    async fn answer(&self, session: &mut ServerSession) -> http::Response<Bytes> {
        if !self.bounds.take(&session.req_header().headers) {
            return refused(session, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let body = match timeout(BODY_TIMEOUT, body(session)).await {
            Ok(Ok(body)) => body,
            Ok(Err(status)) => return refused(session, status),
            Err(_) => return refused(session, StatusCode::REQUEST_TIMEOUT),
        };
        let mut request = http::Request::new(body);
        request.extensions_mut().insert(self.peer(session));
        let header = session.req_header();
        *request.method_mut() = header.method.clone();
        *request.uri_mut() = header.uri.clone();
        *request.headers_mut() = header.headers.clone();
        (self.control)(request).await
    }

    /// The other end of the connection itself.
    fn peer(&self, session: &ServerSession) -> Peer {
        match session.client_addr() {
            Some(SocketAddr::Inet(address)) => Peer::Host(address.ip()),
            Some(SocketAddr::Unix(_)) | None => self.peer,
        }
    }
}

impl Bounds {
    fn take(self, headers: &HeaderMap) -> bool {
        let lengths = headers.iter();
        let n_bytes: usize = lengths
            .map(|(name, value)| name.as_str().len().saturating_add(value.len()))
            .sum();
        headers.len() <= self.headers_max && n_bytes <= self.header_bytes_max
    }
}

#[async_trait]
impl ServeHttp for ControlApp {
    async fn response(&self, session: &mut ServerSession) -> http::Response<Vec<u8>> {
        // Its head is there: the wait for it is over. Only the proxy lets go of it by itself.
        drop(session.take_connection_user_context());
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        let mut response = self.answer(session).await.map(|body| body.to_vec());
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        response
    }
}

/// Reads the whole body of a request.
async fn body(session: &mut ServerSession) -> Result<Bytes, StatusCode> {
    let lost = |_| StatusCode::BAD_REQUEST;
    let is_asking = session
        .get_header(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if is_asking {
        session.write_continue_response().await.map_err(lost)?;
    }
    let mut body = BytesMut::new();
    while let Some(part) = session.read_request_body().await.map_err(lost)? {
        if body.len() + part.len() > BODY_BYTES_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

/// A body that is not read to its end leaves a connection that is of no more use.
fn refused(session: &mut ServerSession, status: StatusCode) -> http::Response<Bytes> {
    session.set_keepalive(None);
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
