//! How one server is followed on behalf of a listener.

use crate::gateway::bridge::legacy_server;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::{Way, outward};
use crate::gateway::lists::{capabilities, catalog};
use crate::upstream::era;
use crate::upstream::watch::filter::Filter;
pub(super) use crate::upstream::watch::filter::updated;
use filters::json::object::Object;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use filters::mcp::rewrite;
use filters::route::names::Strategy;
use filters::route::uri;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// What is followed at one server.
pub(super) struct Followed {
    pub(super) honoured: Filter,
    _hold: Hold,
}

/// Ends what was begun for a listener.
struct Hold {
    over: CancellationToken,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

/// Follows one server as far as it lets itself be followed in time.
pub(super) async fn follow(
    way: &Way,
    inbound: &Inbound,
    wanted: &Filter,
    news: mpsc::Sender<String>,
    limit: Duration,
) -> Followed {
    let over = CancellationToken::new();
    let hold = Hold { over: over.clone() };
    let following = async {
        let lists = lists(way, inbound, wanted).await;
        let (inner, spelling) = own(way, wanted);
        let is_legacy =
            era::decide(&way.server.remote, &inbound.caller, Era::Modern).await == Era::Legacy;
        let granted = if is_legacy {
            legacy(way, inbound, &inner, news, over).await
        } else if inner.is_empty() {
            Filter::default()
        } else {
            modern(way, inbound, inner, news, over).await
        };
        let mut honoured = lists;
        let outer = |texts: &BTreeSet<String>| {
            let texts = texts.iter().filter_map(|text| spelling.get(text).cloned());
            texts.collect()
        };
        honoured.uris = outer(&granted.uris);
        honoured.tasks = outer(&granted.tasks);
        honoured
    };
    let honoured = tokio::time::timeout(limit, following).await;
    Followed {
        honoured: honoured.unwrap_or_default(),
        _hold: hold,
    }
}

/// Which list changes can be told of: those of lists that the server has.
async fn lists(way: &Way, inbound: &Inbound, wanted: &Filter) -> Filter {
    let capabilities = capabilities(inbound, None);
    let catalog = catalog(&way.server, &inbound.caller, &capabilities);
    let Some(profile) = catalog.profile().await else {
        return Filter::default();
    };
    let offered = Object::read(&profile.capabilities).unwrap_or_default();
    let has = |name: &str| offered.get(name).is_some();
    let lists = Filter {
        tools: wanted.tools && has("tools"),
        prompts: wanted.prompts && has("prompts"),
        resources: wanted.resources && has("resources"),
        ..Filter::default()
    };
    // What was never read cannot be seen to change.
    for (is_wanted, kind) in [
        (lists.tools, Kind::Tools),
        (lists.prompts, Kind::Prompts),
        (lists.resources, Kind::Resources),
        (lists.resources, Kind::Templates),
    ] {
        if is_wanted {
            catalog.list(kind).await;
        }
    }
    lists
}

/// What of a filter is one server's, as it spells it, and how the client spells that.
fn own(way: &Way, wanted: &Filter) -> (Filter, HashMap<String, String>) {
    let mut inner = Filter::default();
    let mut spelling = HashMap::new();
    for outer in &wanted.uris {
        if let Some(own) = own_uri(way, outer) {
            inner.uris.insert(own.to_owned());
            spelling.insert(own.to_owned(), outer.clone());
        }
    }
    for outer in &wanted.tasks {
        if let Some(own) = own_task(way, outer) {
            inner.tasks.insert(own.to_owned());
            spelling.insert(own.to_owned(), outer.clone());
        }
    }
    (inner, spelling)
}

/// What a server calls a resource that may be its own; nothing where it is another's.
pub(super) fn own_uri<'u>(way: &Way, outer: &'u str) -> Option<&'u str> {
    match &way.naming {
        Some(naming) if naming.strategy() == Strategy::Prefix => uri::split(outer)
            .filter(|(server, _)| **server == *way.server.id)
            .map(|(_, inner)| inner),
        Some(_) | None => Some(outer),
    }
}

/// What a server calls a task; nothing where it is another's.
pub(super) fn own_task<'t>(way: &'t Way, outer: &'t str) -> Option<&'t str> {
    match &way.naming {
        Some(naming) => rewrite::task_split(naming, outer)
            .filter(|(server, _)| **server == *way.server.id)
            .map(|(_, inner)| inner),
        None => Some(outer),
    }
}

async fn modern(
    way: &Way,
    inbound: &Inbound,
    wanted: Filter,
    news: mpsc::Sender<String>,
    over: CancellationToken,
) -> Filter {
    let Ok(watch) = way.server.watches.find(&way.server.remote, &inbound.caller) else {
        return Filter::default();
    };
    let follower = watch.follow(wanted.clone());
    let honoured = follower.honoured().await;
    let way = way.clone();
    let background = way.server.remote.background.clone();
    background.spawn(async move {
        let mut follower = follower;
        let relayed = relay(&way, &mut follower.notices, &wanted, &news);
        over.run_until_cancelled(relayed).await;
    });
    honoured
}

async fn legacy(
    way: &Way,
    inbound: &Inbound,
    wanted: &Filter,
    news: mpsc::Sender<String>,
    over: CancellationToken,
) -> Filter {
    let capabilities = inbound.context().capabilities;
    let Ok(group) = legacy_server::group(way, inbound, &capabilities) else {
        return Filter::default();
    };
    let Ok(mut follower) = group.follow().await else {
        return Filter::default();
    };
    let honoured = Filter {
        uris: follower.subscribe(&wanted.uris).await,
        ..Filter::default()
    };
    let wanted = honoured.clone();
    let way = way.clone();
    let background = way.server.remote.background.clone();
    background.spawn(async move {
        let relayed = relay(&way, &mut follower.notices, &wanted, &news);
        over.run_until_cancelled(relayed).await;
    });
    honoured
}

/// Passes a server's news on to one listener, under the client's names: what it did not ask for
/// takes no place of what it did.
async fn relay(
    way: &Way,
    notices: &mut broadcast::Receiver<Arc<str>>,
    wanted: &Filter,
    news: &mpsc::Sender<String>,
) {
    loop {
        match notices.recv().await {
            Ok(notice) => {
                let is_wanted = is_wanted(&notice, wanted);
                // List changes come from the catalog, once it has read what changed: it hears of
                // them here.
                if (is_wanted || is_list_change(&notice))
                    && let Some(message) = outward(way, &notice)
                    && is_wanted
                    && news.try_send(message).is_err()
                    && news.is_closed()
                {
                    return;
                }
            }
            // What was lost may have been any of it, and to read once too often does no harm.
            Err(RecvError::Lagged(_)) => {
                let updates = wanted.uris.iter().map(|uri| updated(uri));
                for message in updates.filter_map(|update| outward(way, &update)) {
                    // Who has as much to read as there may be hears of it soon enough.
                    news.try_send(message).ok();
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn is_wanted(notice: &str, wanted: &Filter) -> bool {
    Object::read(notice).is_some_and(|message| {
        let params = message.get("params").and_then(Object::read);
        let method = message.text("method").unwrap_or_default();
        wanted.wants(&method, &params.unwrap_or_default())
    })
}

fn is_list_change(message: &str) -> bool {
    Object::read(message).is_some_and(|message| {
        let method = message.text("method");
        Kind::ALL
            .into_iter()
            .any(|kind| method.as_deref() == Some(kind.changed()))
    })
}
