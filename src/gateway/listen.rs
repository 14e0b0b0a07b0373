//! Changes that clients listen for: gathered from listen streams of modern servers and sessions of
//! legacy ones, told under the client's own names.
//!
//! **Invariant:** the acknowledgement comes first, and nothing that was not asked for follows (E26).

mod follow;
pub(super) mod subscribe;

use std::collections::BTreeSet;
use std::sync::Arc;

use filters::acl::need::{Named, Need};
use filters::json::object::Object;
use filters::mcp::capability;
use filters::mcp::list::Kind;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use filters::rpc::write;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::gateway::exchange::Exchange;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::Way;
use crate::gateway::listen::follow::{follow, own_task, own_uri};
use crate::gateway::reply::{Reply, Wake};
use crate::gateway::{Ended, access, guard};
use crate::state::snapshot::Profile;
use crate::upstream::catalog::Change;
use crate::upstream::watch::filter::Filter;

/// Messages that wait for a slow client before they are lost.
const WAITING_MAX: usize = 512;

/// `subscriptions/listen` at several servers.
pub(super) async fn several(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    inbound: &Inbound,
) -> Result<(), Ended> {
    let ways = profile.servers.iter().map(|server| Way {
        server: Arc::clone(server),
        naming: Some(Arc::clone(&profile.naming)),
    });
    serve(reply, ways.collect(), &profile.retired, inbound).await
}

/// `subscriptions/listen` at one legacy server.
pub(super) async fn single(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
) -> Result<(), Ended> {
    serve(reply, vec![way.clone()], &way.server.retired, inbound).await
}

/// Serves it until `retired`: the client listens anew, and to the servers that there are then.
async fn serve(
    reply: &mut Reply<'_>,
    ways: Vec<Way>,
    retired: &CancellationToken,
    inbound: &Inbound,
) -> Result<(), Ended> {
    let Some(id) = inbound.id() else {
        return reply.accept().await;
    };
    let Some(wanted) = wanted(inbound) else {
        let what = "`notifications` must be an object";
        return reply
            .refuse(Refusal::ParamsInvalid { what }, Some(id), None)
            .await;
    };
    let limit = reply.exchange.snapshot.lists.deadline;
    let mut changes = reply.exchange.live.changes.subscribe();
    let (sender, mut news) = mpsc::channel(WAITING_MAX);
    let permitted = permitted(reply.exchange, &ways, &wanted)?;
    let followed = ways.iter().zip(&permitted);
    let followed = followed.map(|(way, own)| follow(way, inbound, own, sender.clone(), limit));
    let followed = futures_util::future::join_all(followed);
    let followed = match reply.wait(followed).await? {
        Wake::Done(followed) => followed,
        Wake::Gone => return Err(Ended::ClientGone),
    };
    let mut honoured = Filter::default();
    followed.iter().for_each(|one| honoured.add(&one.honoured));
    let subscription = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{},"_meta":{subscription}}}}}"#,
        honoured.write()
    );
    reply.event(&acknowledged).await?;
    reply.exchange.user = None;
    let draining = reply.exchange.live.draining.clone();
    let acl = Arc::clone(&reply.exchange.snapshot.acl);
    loop {
        let next = async {
            tokio::select! {
                biased;
                () = draining.cancelled() => None,
                () = retired.cancelled() => None,
                () = acl.replaced.cancelled() => None,
                news = news.recv() => news.map(|message| vec![message]),
                change = changes.recv() => Some(heard(change, &ways)),
            }
        };
        match reply.wait(next).await? {
            Wake::Done(None) => break,
            Wake::Done(Some(messages)) => {
                for message in messages {
                    if let Some(event) = tag(&message, &wanted, &subscription) {
                        reply.event(&event).await?;
                    }
                }
            }
            Wake::Gone => return Err(Ended::ClientGone),
        }
    }
    let result = format!(r#"{{"resultType":"complete","_meta":{subscription}}}"#);
    let Some(id) = Id::from_json(id) else {
        return Err(Refusal::Internal.into());
    };
    reply.answer(200, write::result(id, &result)).await
}

/// What a listener asks for, as far as it said that it understands it; nothing where it asks for
/// nothing that could be read.
fn wanted(inbound: &Inbound) -> Option<Filter> {
    let params = Object::read(inbound.params())?;
    let notifications = params.get("notifications")?;
    let mut wanted = notifications
        .starts_with('{')
        .then(|| Filter::read(notifications))?;
    // One stream listens at a server for all who do: it declares what somebody declared.
    if !capability::has_tasks(&inbound.context().capabilities) {
        wanted.tasks.clear();
    }
    Some(wanted)
}

/// What of a filter each server may be asked for. What only one of them can have, and may not tell of,
/// is refused.
fn permitted(exchange: &mut Exchange, ways: &[Way], wanted: &Filter) -> Result<Vec<Filter>, Ended> {
    let lists = Filter {
        uris: BTreeSet::new(),
        tasks: BTreeSet::new(),
        ..*wanted
    };
    let mut filters = vec![lists; ways.len()];
    for outer in &wanted.uris {
        let admit = |way: &Way| {
            let own = own_uri(way, outer)?;
            Some(admit_uri(exchange, way, own))
        };
        grant(ways, &mut filters, admit, |filter| {
            filter.uris.insert(outer.clone());
        })?;
    }
    for outer in &wanted.tasks {
        let admit = |way: &Way| {
            own_task(way, outer)?;
            let admitted = access::admit(exchange, &way.server, None, || Need::Task);
            Some(admitted.map(|_| true))
        };
        grant(ways, &mut filters, admit, |filter| {
            filter.tasks.insert(outer.clone());
        })?;
    }
    Ok(filters)
}

/// Whether a server may be asked to tell of a resource, as it spells that.
fn admit_uri(exchange: &mut Exchange, way: &Way, own: &str) -> Result<bool, Ended> {
    let need = || Need::Item(Named::Resource(own.into()));
    access::admit(exchange, &way.server, None, need)?;
    match way.naming {
        Some(_) => Ok(guard::admits_uri(exchange, &way.server, own)?),
        // A message for one server was looked at as a whole.
        None => Ok(true),
    }
}

/// Takes note of which servers may tell of something.
fn grant(
    ways: &[Way],
    filters: &mut [Filter],
    mut admit: impl FnMut(&Way) -> Option<Result<bool, Ended>>,
    take: impl Fn(&mut Filter),
) -> Result<(), Ended> {
    let (mut denied, mut is_taken) = (None, false);
    for (way, filter) in ways.iter().zip(filters) {
        match admit(way) {
            Some(Ok(true)) => {
                take(filter);
                is_taken = true;
            }
            Some(Err(refused)) => denied = Some(refused),
            Some(Ok(false)) | None => {}
        }
    }
    match denied.filter(|_| !is_taken) {
        Some(refused) => Err(refused),
        None => Ok(()),
    }
}

/// The notifications that tell of a change.
fn heard(change: Result<Change, RecvError>, ways: &[Way]) -> Vec<String> {
    match change {
        Ok(change) => {
            let is_ours = ways.iter().any(|way| *way.server.id == *change.server);
            let changed = is_ours.then(|| changed(change.kind));
            changed.into_iter().collect()
        }
        // What was missed may have been a change of anything.
        Err(RecvError::Lagged(_)) => Kind::ALL.map(changed).into(),
        Err(RecvError::Closed) => Vec::new(),
    }
}

/// The notification that a list changed.
fn changed(kind: Kind) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, kind.changed())
}

/// A notification as an event of a client's subscription; nothing where it did not ask for it.
fn tag(message: &str, wanted: &Filter, subscription: &str) -> Option<String> {
    let mut message = Object::read(message)?;
    let method = message.text("method")?.into_owned();
    let params = message.get("params").unwrap_or("{}").to_owned();
    let mut params = Object::read(&params)?;
    if !wanted.wants(&method, &params) {
        return None;
    }
    let given = params.get("_meta").unwrap_or("{}").to_owned();
    let mut meta = Object::read(&given).unwrap_or_default();
    let ours = Object::read(subscription)?;
    for (name, value) in ours.members() {
        meta.set(name.to_owned(), value.to_owned());
    }
    params.set("_meta", meta.write());
    message.set("params", params.write());
    Some(message.write())
}
