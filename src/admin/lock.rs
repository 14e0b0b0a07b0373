//! `GET /conduit/lock` and `POST /conduit/lock/approve`: what of servers' tools is approved, what is not,
//! and how it becomes so.
//!
//! **Invariant:** what is approved is what was shown: who approves names its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use filters::lock::Mode;
use filters::lock::book::{Before, Tools};
use filters::lock::compare::{self, Row, Sightings, Standing};
use filters::lock::definition::{Definition, Digest};
use filters::lock::diff;
use filters::lock::screen::Lens;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lock::ledger::Sighting;
use crate::state::Shared;
use crate::state::snapshot::{FirstUse, Server, Snapshot};
use crate::upstream::catalog::{Change, Listing};

type Answer = (StatusCode, Json<Value>);

/// What is to be approved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    server: String,
    /// One tool; without one, all that is pending of the server.
    tool: Option<String>,
    /// The digest that was shown: of the tool's definition, or of all that is pending.
    digest: String,
    /// What was approved before stays so, too.
    #[serde(default)]
    also: bool,
}

/// What is changed in the book.
#[derive(Default)]
struct Amendment {
    approved: Vec<(Arc<Definition>, Before)>,
    forgotten: Vec<String>,
    left: Vec<String>,
}

/// One server, as far as its tools are concerned.
struct Look {
    tools: Option<Arc<Tools>>,
    sightings: Vec<Sighting>,
    listings: Vec<Arc<Listing>>,
}

/// How all servers' tools stand.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot.load_full();
    let lock = &shared.live.lock;
    let book = lock.book();
    let mut ids: BTreeSet<&str> = book.servers().map(|(id, _)| id).collect();
    if let Some(policy) = &snapshot.tool_lock {
        ids.extend(policy.modes.keys().map(String::as_str));
    }
    let locked = ids.iter().filter(|id| mode(&snapshot, id) != Mode::Off);
    let locked = locked.filter_map(|id| snapshot.servers.get(*id));
    let read = join_all(locked.map(|server| server.catalogs.plain().list(Kind::Tools)));
    // What is not known in time is shown as it is.
    let deadline = snapshot.lists.deadline;
    tokio::time::timeout(deadline, read).await.ok();
    let servers = ids.iter().map(|id| show_server(&shared, &snapshot, id));
    let first_use = match snapshot.tool_lock.as_ref().map(|policy| policy.first_use) {
        Some(FirstUse::Trust) => "trust",
        Some(FirstUse::Refuse) | None => "refuse",
    };
    Json(json!({
        "file": lock.path().display().to_string(),
        "first_use": first_use,
        "servers": servers.collect::<Vec<_>>(),
    }))
}

fn show_server(shared: &Shared, snapshot: &Snapshot, id: &str) -> Value {
    let server = snapshot.servers.get(id);
    let look = Look::at(shared, snapshot, id);
    let sightings = look.sightings();
    let rows = compare::compare(look.tools.as_deref(), &sightings);
    let tools: Vec<Value> = rows.iter().map(|row| show_row(&look, row)).collect();
    let failure = server.and_then(|server| server.catalogs.plain().last(Kind::Tools).failure);
    json!({
        "server": id,
        "mode": match mode(snapshot, id) {
            Mode::Off => "off",
            Mode::Warn => "warn",
            Mode::Block => "block",
        },
        "is_configured": server.is_some(),
        "is_listed": sightings.listed.is_some(),
        "failure": failure.as_deref().filter(|_| sightings.listed.is_none()),
        "digest": look.tools.as_ref().map(|tools| tools.digest()),
        "pending_digest": compare::digest(&rows),
        "tools": tools,
    })
}

fn show_row(look: &Look, row: &Row<'_>) -> Value {
    let tools = look.tools.as_deref();
    let before = tools.and_then(|tools| tools.approved(row.tool).next());
    let seen = row.seen.iter().map(|definition| {
        json!({
            "digest": definition.digest,
            "definition": definition.text,
            "diff": diff::diff(before.map(|one| one.text.as_str()), &definition.text),
        })
    });
    let seen: Vec<Value> = seen.collect();
    let mut shown = json!(row);
    if let Value::Object(members) = &mut shown {
        members.insert("seen".to_owned(), seen.into());
        let at = before.map(|one| one.at.as_str());
        members.insert("approved_at".to_owned(), at.into());
    }
    shown
}

fn mode(snapshot: &Snapshot, server: &str) -> Mode {
    let policy = snapshot.tool_lock.as_ref();
    let mode = policy.and_then(|policy| policy.modes.get(server));
    mode.copied().unwrap_or_default()
}

impl Look {
    /// Looks at what is known of a server.
    fn at(shared: &Shared, snapshot: &Snapshot, id: &str) -> Self {
        let live = &shared.live;
        let tools = live.lock.tools(id);
        let is_on = mode(snapshot, id) != Mode::Off;
        let server = snapshot.servers.get(id).filter(|_| is_on);
        let listings = server.map_or_else(Vec::new, listings);
        let lens = Lens {
            tools: tools.as_deref(),
            mode: Mode::Warn,
            era: Era::Modern,
        };
        let mut current = BTreeSet::new();
        for listing in &listings {
            let items: Vec<&str> = listing.items.iter().map(String::as_str).collect();
            // Nothing is changed with a warning.
            let shown = lens.items(&items, |seen| {
                live.note_tool(id, &seen);
                let digest = seen.definition.ok().map(|one| one.digest);
                current.insert((seen.name.to_owned(), digest));
            });
            debug_assert!(shown.is_none(), "a warning changes nothing");
        }
        let read = listings.iter().map(|listing| listing.read).max();
        let mut sightings = live.lock.seen(id);
        sightings.retain(|one| {
            let digest = one.definition.as_ref().ok().map(|one| one.digest);
            // What was seen elsewhere counts until the lists are read again.
            let is_since = read.is_none_or(|read| one.at >= read);
            is_since || current.contains(&(one.tool.clone(), digest))
        });
        sightings.sort_by(|one, other| one.tool.cmp(&other.tool));
        Self {
            tools,
            sightings,
            listings,
        }
    }

    fn sightings(&self) -> Sightings<'_> {
        let mut seen: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for one in &self.sightings {
            let definition = one.definition.as_ref().map(AsRef::as_ref);
            let of_tool = seen.entry(one.tool.as_str()).or_default();
            of_tool.push(definition.map_err(|unclear| *unclear));
        }
        for definitions in seen.values_mut() {
            definitions.sort_by_key(|one| one.ok().map(|one| one.digest));
        }
        let names = self.listings.iter().flat_map(|listing| listing.keys());
        let listed = (!self.listings.is_empty()).then(|| names.collect());
        Sightings { seen, listed }
    }
}

fn listings(server: &Arc<Server>) -> Vec<Arc<Listing>> {
    server.catalogs.listings(Kind::Tools)
}

/// Approves what was shown.
pub(super) async fn approve(State(shared): State<Arc<Shared>>, Json(order): Json<Order>) -> Answer {
    let Some(digest) = Digest::parse(&order.digest) else {
        return refused(StatusCode::BAD_REQUEST, "`digest` is no digest: sha256:…");
    };
    let snapshot = shared.snapshot.load_full();
    let is_known = snapshot.servers.contains_key(&order.server)
        || shared.live.lock.tools(&order.server).is_some();
    if !is_known {
        return refused(StatusCode::NOT_FOUND, "there is no such server");
    }
    let look = Look::at(&shared, &snapshot, &order.server);
    let amendment = match &order.tool {
        Some(tool) => one(&shared, &look, &order, tool, digest),
        None => all(&look, &order, digest),
    };
    let Some(amendment) = amendment else {
        let why = "this is not what is pending now: look at it again and approve what you see";
        return refused(StatusCode::CONFLICT, why);
    };
    write(&shared, &order.server, amendment).await
}

fn one(
    shared: &Shared,
    look: &Look,
    order: &Order,
    tool: &str,
    digest: Digest,
) -> Option<Amendment> {
    let mut amendment = Amendment::default();
    if let Some(definition) = shared.live.lock.find(&order.server, tool, digest) {
        amendment.approved.push((definition, order.before()));
        return Some(amendment);
    }
    let sightings = look.sightings();
    let rows = compare::compare(look.tools.as_deref(), &sightings);
    let row = rows.iter().find(|row| row.tool == tool)?;
    let is_gone = row.standing == Standing::Removed && row.approved.contains(&digest);
    is_gone.then(|| {
        amendment.forgotten.push(tool.to_owned());
        amendment
    })
}

fn all(look: &Look, order: &Order, digest: Digest) -> Option<Amendment> {
    let sightings = look.sightings();
    let rows = compare::compare(look.tools.as_deref(), &sightings);
    if compare::digest(&rows) != digest {
        return None;
    }
    let mut amendment = Amendment::default();
    for row in &rows {
        match row.standing {
            Standing::Approved => {}
            Standing::Unclear => amendment.left.push(row.tool.to_owned()),
            Standing::Removed => amendment.forgotten.push(row.tool.to_owned()),
            Standing::Changed | Standing::Added => {
                let mut before = order.before();
                for definition in &row.seen {
                    let definition = Arc::new((*definition).clone());
                    amendment.approved.push((definition, before));
                    before = Before::Kept;
                }
            }
        }
    }
    Some(amendment)
}

impl Order {
    fn before(&self) -> Before {
        match self.also {
            true => Before::Kept,
            false => Before::Replaced,
        }
    }
}

async fn write(shared: &Shared, server: &str, amendment: Amendment) -> Answer {
    let Amendment {
        approved,
        forgotten,
        left,
    } = amendment;
    let names: BTreeSet<String> = approved.iter().map(|(one, _)| one.name.clone()).collect();
    let removed = forgotten.clone();
    let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let id = server.to_owned();
    let lock = &shared.live.lock;
    let amended = lock.amend(move |book| {
        let tools = book.open(&id);
        for (definition, before) in &approved {
            tools.approve(definition, &at, *before)?;
        }
        for name in &forgotten {
            tools.forget(name);
        }
        Ok::<_, filters::lock::book::Full>(tools.digest())
    });
    match amended.await {
        Ok(Ok(digest)) => {
            lock.settle(server);
            for tool in &removed {
                lock.forget(server, tool);
            }
            tracing::info!(server.id = %server, approved = ?names, ?removed, "Tools approved");
            tell(shared, server);
            let done = json!({
                "server": server, "approved": names, "removed": removed, "left": left,
                "digest": digest,
            });
            (StatusCode::OK, Json(done))
        }
        Ok(Err(_)) => refused(
            StatusCode::CONFLICT,
            "the tool has as many approved definitions as it may have: approve one in their place",
        ),
        Err(error) => {
            tracing::error!(%error, "Approval cannot be written");
            refused(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

/// Tells clients that other tools are listed from now on.
fn tell(shared: &Shared, server: &str) {
    let change = Change {
        server: server.into(),
        kind: Kind::Tools,
    };
    // Nobody may be listening.
    shared.live.changes.send(change).ok();
}

fn refused(status: StatusCode, why: &str) -> Answer {
    (status, Json(json!({ "error": why })))
}
