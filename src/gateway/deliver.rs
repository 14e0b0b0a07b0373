//! Messages of a client that want no answer: to whom they go.

use std::sync::Arc;

use filters::json::object::Object;
use filters::mcp::method::Method;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use filters::rpc::write;
use futures_util::future::join_all;

use crate::gateway::Ended;
use crate::gateway::guard::Watch;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::inward;
use crate::gateway::local::SETTLE_MAX;
use crate::gateway::reply::Reply;
use crate::state::session::{Link, Reply as Answer, Session};

/// A client's answer to a question: of a server's, or of the gateway's for one.
pub(super) async fn response(
    reply: &mut Reply<'_>,
    client: Option<&Arc<Session>>,
    id: Option<&str>,
    answer: Answer,
) -> Result<(), Ended> {
    let (Some(client), Some(id)) = (client, id) else {
        return Err(Refusal::ClientShape("no session to answer in").into());
    };
    if client.reply(id, answer.clone()) {
        return reply.accept().await;
    }
    // An answer that nobody waits for any more is accepted and dropped.
    if let Some((server, theirs)) = inward(id)
        && let Some(Link::Legacy(upstream)) = client.link(&server)
        && let Some(theirs) = Id::from_json(&theirs)
    {
        let exchange = &mut *reply.exchange;
        let known = exchange.snapshot.servers.get(&server).map(Arc::clone);
        let watch = known.map(|known| Watch::of(exchange, &known, Method::Other, None));
        let becomes = watch.and_then(|watch| watch.client_answer(None, &answer));
        let answer = becomes.unwrap_or(answer);
        exchange.outcome.server = Some(server.into());
        let text = match &answer {
            Answer::Result(result) => write::result(theirs, result),
            Answer::Error(error) => {
                format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#,
                    theirs.as_json()
                )
            }
        };
        if let Err(error) = upstream.tell(text).await {
            tracing::debug!(%error, "Answer could not be given to a server");
        }
    }
    reply.accept().await
}

/// A client's notification.
pub(super) async fn notification(
    reply: &mut Reply<'_>,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
) -> Result<(), Ended> {
    let Some(client) = client else {
        return reply.accept().await;
    };
    if inbound.method == Method::Cancelled {
        cancel(client, inbound).await;
    } else if !is_local(&inbound.name) {
        let exchange = &reply.exchange;
        let rules = &exchange.snapshot.acl.rules;
        let upstreams = client.upstreams().into_iter();
        let seen = upstreams.filter(|(server, _)| rules.sees(&exchange.principal, server));
        let told = seen.map(|(server, upstream)| {
            let text = String::from_utf8_lossy(&inbound.text).into_owned();
            async move {
                if let Err(error) = upstream.tell(text).await {
                    tracing::debug!(server.id = %server, %error, "Notification could not be passed on");
                }
            }
        });
        // A server that hangs is told in its own time.
        let told = tokio::spawn(join_all(told));
        tokio::time::timeout(SETTLE_MAX, told).await.ok();
    }
    reply.accept().await
}

/// What concerns no server, or names what only one of them knows: the gateway says itself when a
/// session with a server is initialized, and a progress token may be that of several.
fn is_local(name: &str) -> bool {
    matches!(name, "notifications/initialized" | "notifications/progress")
}

/// `notifications/cancelled` goes to the server that has the call; unknown ids are ignored (E48).
async fn cancel(client: &Arc<Session>, inbound: &Inbound) {
    let params = Object::read(inbound.params()).unwrap_or_default();
    let Some(running) = params.get("requestId").and_then(|id| client.running(id)) else {
        return;
    };
    if running.is_wait {
        running.cancel.cancel();
        return;
    }
    match client.link(&running.server) {
        Some(Link::Legacy(upstream)) => {
            let text = String::from_utf8_lossy(&inbound.text).into_owned();
            if let Err(error) = upstream.tell(text).await {
                tracing::debug!(%error, "Server could not be told of a cancelled call");
            }
        }
        Some(Link::Modern) | None => running.cancel.cancel(),
    }
}
