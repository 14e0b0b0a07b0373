//! What only the servers themselves can tell about a configuration: whether the names they give are
//! unambiguous where nothing is put before them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use filters::mcp::list::Kind;
use filters::route::merge::{self, Conflict, Source};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::app::build;
use crate::app::lifecycle;
use crate::config::Config;
use crate::state::live::Live;
use crate::state::snapshot::Server;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::upstream::catalog::{Listing, View};
use crate::upstream::fields::Caller;

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
    let live = Live::new(metrics, access, build::live(config)?);
    let built = build::build(config, &live)?;
    let stop = CancellationToken::new();
    let running: Vec<_> = built
        .tasks
        .supervisors
        .iter()
        .map(|supervisor| {
            let (supervisor, stop) = (Arc::clone(supervisor), stop.clone());
            tokio::spawn(lifecycle::supervise(supervisor, stop))
        })
        .collect();
    for supervisor in &built.tasks.supervisors {
        supervisor.listening().await;
    }
    let everything = built.snapshot.profiles.get(filters::route::EVERYTHING);
    let everything = everything.context("no profile of all servers")?;
    let names = read(&everything.servers).await;
    live.background.stop.cancel();
    stop.cancel();
    tokio::time::timeout(END_MAX, join_all(running)).await.ok();
    Ok(names)
}

async fn read(servers: &[Arc<Server>]) -> Names {
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
