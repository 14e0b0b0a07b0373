//! Requests under `/conduit`, on their way to the control plane.

use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::{Ended, answer, body, fields};
use crate::state::ControlPlane;
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
    let body = body::read(session.as_downstream_mut(), BODY_BYTES_MAX).await?;
    let request = fields::to_http(session.req_header(), body);
    let (parts, body) = plane(request).await.into_parts();
    exchange.outcome.status = Status::Success;
    let header = ResponseHeader::from(parts);
    answer::write(session, header, body)
        .await
        .map_err(|_| Ended::ClientGone)
}
