//! Messages that the gateway answers itself.

use std::sync::Arc;
use std::time::Duration;

use filters::json::object::Object;
use filters::mcp::translate::down;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use filters::rpc::write;
use futures_util::future::join_all;

use crate::gateway::Ended;
use crate::gateway::inbound::Inbound;
use crate::gateway::reply::Reply;
use crate::gateway::sessions;
use crate::state::session::Session;

/// How long a setting waits for all servers to have it.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(1);

/// Answers a request with a result, JSON text.
pub(super) async fn result(
    reply: &mut Reply<'_>,
    inbound: &Inbound,
    result: &str,
) -> Result<(), Ended> {
    match inbound.id().and_then(Id::from_json) {
        Some(id) => reply.answer(200, write::result(id, result)).await,
        None => reply.accept().await,
    }
}

/// `logging/setLevel`: kept for the servers that are called from now on, and told to those that have
/// a session.
pub(super) async fn set_level(
    reply: &mut Reply<'_>,
    client: &Arc<Session>,
    inbound: &Inbound,
) -> Result<(), Ended> {
    let params = Object::read(inbound.params()).unwrap_or_default();
    let level = params.text("level").unwrap_or_default();
    if !down::is_level(&level) {
        let what = "`level` must be one of debug, info, notice, warning, error, critical, alert, \
                    emergency";
        return reply
            .refuse(Refusal::ParamsInvalid { what }, inbound.id(), None)
            .await;
    }
    client.set_log_level(Some(level.to_string()));
    sessions::save_later(&reply.exchange.live, client);
    let told = client.upstreams().into_iter().map(|(server, upstream)| {
        let level = level.to_string();
        async move {
            if let Err(error) = upstream.set_log_level(&level).await {
                tracing::debug!(server.id = %server, %error, "Log level could not be set");
            }
        }
    });
    // A server that hangs is told in its own time.
    let told = tokio::spawn(join_all(told));
    tokio::time::timeout(SETTLE_MAX, told).await.ok();
    result(reply, inbound, "{}").await
}

/// A method that the endpoint does not have.
pub(super) async fn unknown_method(reply: &mut Reply<'_>, inbound: &Inbound) -> Result<(), Ended> {
    if inbound.id().is_none() {
        return reply.accept().await;
    }
    let refusal = Refusal::MethodNotFound {
        method: inbound.name.clone(),
    };
    match inbound.era {
        filters::mcp::revision::Era::Modern => reply.refuse(refusal, inbound.id(), None).await,
        // Before 2026-07-28 a JSON-RPC error is no HTTP error (E11).
        filters::mcp::revision::Era::Legacy => {
            reply.exchange.outcome.reason = Some(refusal.label());
            let text = refusal.to_json(inbound.id().and_then(Id::from_json));
            reply.answer(200, text).await
        }
    }
}
