//! What only the servers themselves can tell about a configuration: whether the names they give are
//! unambiguous where nothing is put before them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use filters::mcp::list::Kind;
use filters::route::merge::{self, Conflict, Source};
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::app::build::parts::{Basis, Parts, servers};
use crate::app::build::{self, Workshop};
use crate::app::lifecycle;
use crate::config::Config;
use crate::state::live::Live;
use crate::state::snapshot::Server;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::upstream::catalog::{Listing, View};
use crate::upstream::fields::Caller;
use crate::upstream::found::Dialect;

/// How long children have to end afterwards.
const END_MAX: Duration = Duration::from_secs(15);

/// What the servers told.
#[derive(Debug, Default)]
pub struct Names {
    /// Names that several servers have, with the list they stand in.
    pub conflicts: Vec<(Kind, Conflict)>,
    /// Servers that did not give a list, and why.
    pub unread: Vec<(String, String)>,
}

impl Names {
    /// What makes them unusable, one line for each ambiguous name.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        self.conflicts.iter().map(|(kind, conflict)| {
            let [one, other] = &conflict.servers;
            format!(
                "router.namespace_strategy: {} {:?} is ambiguous: servers {one} and {other} both \
                 have it; write prefix, or rename one",
                kind.label(),
                conflict.name
            )
        })
    }

    /// What could not be found out, one line for each server.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.unread.iter().map(|(server, why)| {
            format!(
                "router.namespace_strategy: server {server} cannot be checked for ambiguous names: \
                 {why}"
            )
        })
    }
}

/// Asks all servers for their lists, and ends what was started for it.
///
/// # Errors
/// Where the parts that ask cannot be built.
pub fn names(config: &Config) -> anyhow::Result<Names> {
    let runtime = lifecycle::children_runtime(2).context("cannot start threads")?;
    let mut patient = config.clone();
    patient.router.lists.timeout = patient.router.lists.deadline;
    runtime.block_on(ask(&patient))
}

async fn ask(config: &Config) -> anyhow::Result<Names> {
    let (access, _writer) = AccessLog::start(std::io::sink()).context("cannot start a log")?;
    let metrics = Metrics::new().context("cannot register the metrics")?;
    let live = Arc::new(Live::new(metrics, access, build::live(config)?));
    // What is found out is for a gateway that runs.
    let (found, _) = mpsc::channel(1);
    let workshop = Workshop::new(live, found);
    let parts = config
        .servers
        .iter()
        .map(|server| {
            Parts::build(&workshop, Basis::of(config, server), Dialect::default()).map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let here = Handle::current();
    parts.iter().for_each(|parts| parts.start(&here));
    join_all(parts.iter().map(|parts| parts.listening())).await;
    let names = read(&servers(&parts)).await;
    let ended = join_all(parts.iter().map(|parts| parts.end()));
    tokio::time::timeout(END_MAX, ended).await.ok();
    Ok(names)
}

/// Asks these servers for their lists.
pub(super) async fn read(servers: &[Arc<Server>]) -> Names {
    let mut names = Names::default();
    for kind in Kind::ALL {
        let listed = join_all(servers.iter().map(|server| async move {
            let catalog = server.catalogs.find(&View::plain(), &Caller::default());
            catalog.reread(kind).await
        }))
        .await;
        let mut known: Vec<(&Server, Arc<Listing>)> = Vec::new();
        for (server, listed) in servers.iter().zip(listed) {
            match (listed.listing, listed.failure) {
                (Some(listing), None) => known.push((server, listing)),
                (_, failure) => {
                    let why = failure.unwrap_or_else(|| "no list".into()).to_string();
                    if !names.unread.iter().any(|(id, _)| **id == *server.id) {
                        names.unread.push((server.id.to_string(), why));
                    }
                }
            }
        }
        let sources: Vec<Source<'_>> = known
            .iter()
            .map(|(server, listing)| Source {
                server: &server.id,
                items: &listing.items,
            })
            .collect();
        let naming = filters::route::names::Naming::new(
            filters::route::names::Strategy::None,
            ".",
            None,
            servers.iter().map(|server| server.id.to_string()),
        );
        let merged = merge::merge(kind, &naming, &sources);
        let conflicts = merged.conflicts.into_iter();
        names
            .conflicts
            .extend(conflicts.map(|conflict| (kind, conflict)));
    }
    names
}
