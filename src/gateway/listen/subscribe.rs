//! Subscriptions of legacy clients at modern servers.

use crate::gateway::Ended;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::link::{Way, outward};
use crate::gateway::listen::follow::updated;
use crate::gateway::local;
use crate::gateway::reply::{Reply, Wake};
use crate::gateway::sessions;
use crate::state::session::Session;
use crate::upstream::fields::Caller;
use crate::upstream::watch::Follower;
use crate::upstream::watch::filter::Filter;
use filters::json::object::{Object, quoted};
use filters::refusal::Refusal;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// `resources/subscribe` of a legacy client at a modern server.
pub(in crate::gateway) async fn subscribe(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    client: &Arc<Session>,
) -> Result<(), Ended> {
    let Dispatch {
        way,
        inbound,
        inner,
        ..
    } = *dispatch;
    let outer = inbound.target.clone().unwrap_or_default();
    let inner = inner.unwrap_or(&outer).to_owned();
    if !client.subscribe(&outer) {
        return reply
            .refuse(Refusal::SessionsFull, inbound.id(), None)
            .await;
    }
    let watch = match way.server.watches.find(&way.server.remote, &inbound.caller) {
        Ok(watch) => watch,
        Err(error) => return crate::gateway::pass::fail(reply, way, inbound.id(), &error).await,
    };
    let follower = watch.follow(Filter {
        uris: [inner].into(),
        ..Filter::default()
    });
    let limit = reply.exchange.snapshot.lists.deadline;
    let honoured = reply
        .wait(tokio::time::timeout(limit, follower.honoured()))
        .await?;
    match honoured {
        Wake::Done(Ok(honoured)) if !honoured.uris.is_empty() => {}
        Wake::Done(_) => {
            client.unsubscribe(&outer);
            let refusal = Refusal::UpstreamBroken {
                server: way.server.id.to_string(),
                what: "does not tell of changes of this resource",
            };
            return reply.refuse(refusal, inbound.id(), None).await;
        }
        Wake::Gone => return Err(Ended::ClientGone),
    }
    feed(client, way, &outer, follower);
    sessions::save_later(&reply.exchange.live, client);
    local::result(reply, inbound, "{}").await
}

/// Follows what a session that another instance served is subscribed to at a modern server.
pub(in crate::gateway) fn resume(client: &Arc<Session>, way: &Way) {
    for outer in client.subscriptions() {
        let inner = match &way.naming {
            None => Some(outer.as_str()),
            Some(naming) => filters::route::uri::split(&outer)
                .filter(|(server, _)| naming.server(server) == Some(&way.server.id))
                .map(|(_, inner)| inner),
        };
        let Some(inner) = inner else {
            continue;
        };
        let filter = Filter {
            uris: [inner.to_owned()].into(),
            ..Filter::default()
        };
        match way
            .server
            .watches
            .find(&way.server.remote, &Caller::default())
        {
            Ok(watch) => feed(client, way, &outer, watch.follow(filter)),
            Err(error) => {
                tracing::debug!(server.id = %way.server.id, %error, "Subscription could not be resumed");
            }
        }
    }
}

/// Passes what a follower hears on to a legacy client, for as long as it is subscribed.
fn feed(client: &Arc<Session>, way: &Way, outer: &str, mut follower: Follower) {
    let over = client.follow(outer);
    let client = Arc::downgrade(client);
    let way = way.clone();
    let background = way.server.remote.background.clone();
    let changed = updated(outer);
    let outer = quoted(outer);
    background.spawn(async move {
        let passed = async {
            loop {
                match follower.notices.recv().await {
                    Ok(notice) => {
                        let Some(client) = client.upgrade() else {
                            return;
                        };
                        if let Some(message) =
                            outward(&way, &notice).and_then(|text| plain(&text, &outer))
                        {
                            client.outlet.send(message);
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        let Some(client) = client.upgrade() else {
                            return;
                        };
                        client.outlet.send(changed.as_str());
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        over.run_until_cancelled(passed).await;
    });
}

/// An update of the resource as a legacy client knows it; nothing where it is another's.
fn plain(message: &str, outer: &str) -> Option<String> {
    let mut message = Object::read(message)?;
    if message.text("method")? != "notifications/resources/updated" {
        return None;
    }
    let params = message.get("params")?.to_owned();
    let mut params = Object::read(&params)?;
    if params.get("uri")? != outer {
        return None;
    }
    params.remove("_meta");
    message.set("params", params.write());
    Some(message.write())
}
