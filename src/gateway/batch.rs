//! JSON-RPC batches, for clients of 2025-03-26 and before (E49).
use std::sync::Arc;

use pingora::proxy::Session;
use serde_json::value::RawValue;

use crate::gateway::Ended;
use crate::gateway::exchange::Exchange;
use crate::state::snapshot::Server;

pub(super) async fn serve(
    _session: &mut Session,
    _exchange: &mut Exchange,
    _server: &Arc<Server>,
    _entries: &[&RawValue],
) -> Result<(), Ended> {
    Err(filters::refusal::Refusal::ClientBatch.into())
}
