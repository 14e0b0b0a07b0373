//! Requests under `/conduit`, on their way to the control plane.

use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::{Ended, admit, answer, body, fields};
use crate::state::{ControlPlane, Peer};
use crate::telemetry::outcome::Status;

/// Largest body of a request to the control plane, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Has the control plane answer a request.
pub(super) async fn call(
    session: &mut Session,
    exchange: &mut Exchange,
    plane: &ControlPlane,
) -> Result<(), Ended> {
    exchange.is_counted = false;
    let bounds = &exchange.snapshot.bounds;
    let body = body::read(session.as_downstream_mut(), BODY_BYTES_MAX, bounds).await?;
    let mut request = fields::to_http(session.req_header(), body);
    let peer = admit::source(session).map_or(Peer::Unknown, Peer::Host);
    request.extensions_mut().insert(peer);
    if let Some(certificate) = admit::certificate(session) {
        request.extensions_mut().insert(certificate.clone());
    }
    let (parts, body) = plane(request).await.into_parts();
    exchange.outcome.status = if parts.status.is_client_error() || parts.status.is_server_error() {
        Status::Error
    } else {
        Status::Success
    };
    let header = ResponseHeader::from(parts);
    answer::write(session, header, body)
        .await
        .map_err(|_| Ended::ClientGone)
}
