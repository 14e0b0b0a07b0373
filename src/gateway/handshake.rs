//! `initialize` and `server/discover`: what the gateway is to a client, and how a session begins.
//!
//! **Invariant:** what is offered is what can be served (E37): the union of what the servers offer.

use std::sync::Arc;

use filters::json::object::{Object, quoted};
use filters::mcp::capability;
use filters::mcp::revision::{Era, Revision};
use filters::mcp::translate::down;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use futures_util::future::join_all;

use crate::gateway::Ended;
use crate::gateway::hear;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::{self, Way};
use crate::gateway::lists::{capabilities, catalog};
use crate::gateway::local;
use crate::gateway::pass::fail;
use crate::gateway::passage;
use crate::gateway::reply::{Reply, Wake};
use crate::gateway::sessions;
use crate::state::session::{Link, Opening, Session};
use crate::state::sessions::Full;
use crate::state::snapshot::Profile;
use crate::upstream::CLIENT_INFO;
use crate::upstream::catalog;
use crate::upstream::era::{self, Standing};
use crate::upstream::session::Session as Upstream;
use crate::upstream::session::open::OpenError;

/// Statuses that tell a client what to do, whatever comes with them.
const TELLING: [u16; 4] = [401, 403, 429, 503];

/// What a legacy client asks for in `initialize`.
struct Asked {
    revision: Revision,
    capabilities: String,
    client_info: Option<String>,
}

/// Reads the params of `initialize`; the revision is the client's own, or the latest before
/// 2026-07-28 where that is none (2025-11-25, "Version Negotiation").
fn read(inbound: &Inbound) -> Asked {
    let params = Object::read(inbound.params()).unwrap_or_default();
    let asked = params.text("protocolVersion");
    let revision = asked
        .as_deref()
        .and_then(Revision::parse)
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::V2025_11_25);
    Asked {
        revision,
        capabilities: params.get("capabilities").unwrap_or("{}").to_owned(),
        client_info: params.get("clientInfo").map(str::to_owned),
    }
}

/// Opens a client's session; it is told its id with the answer.
async fn open(
    reply: &mut Reply<'_>,
    inbound: &Inbound,
    scope: &str,
    asked: Asked,
) -> Result<Arc<Session>, Ended> {
    let opening = Opening {
        principal: Arc::clone(&inbound.principal),
        scope: scope.to_owned(),
        revision: asked.revision,
        capabilities: asked.capabilities,
        client_info: asked.client_info,
        authorization: inbound.caller.authorization.clone(),
    };
    let live = &reply.exchange.live;
    let opened = match reply.client() {
        // An HTTP+SSE client has its session from its stream.
        Some(shell) => live.sessions.reopen(&shell, opening),
        None => live.sessions.open(opening),
    };
    let session = opened.map_err(|full| match full {
        Full::All | Full::Client => Refusal::SessionsFull,
        Full::Randomness => Refusal::Internal,
    })?;
    reply.exchange.opened = Some(Arc::clone(&session.id));
    Ok(session)
}

/// `initialize` at one server.
pub(super) async fn single(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    scope: &str,
) -> Result<(), Ended> {
    reply.hold();
    let server = &way.server;
    let id = inbound.id();
    let chosen = reply
        .wait(era::decide(&server.remote, &inbound.caller, Era::Legacy))
        .await?;
    passage::stay(server)?;
    if matches!(chosen, Wake::Done(Era::Legacy)) {
        let opening = Upstream::open_quietly(&server.remote, &inbound.caller, inbound.params());
        match reply.wait(opening).await? {
            Wake::Done(Ok(upstream)) => {
                server.remote.eras.note(Era::Legacy, Standing::Yes);
                return adopt(reply, way, inbound, scope, upstream).await;
            }
            Wake::Done(Err(OpenError::Upstream(error))) => {
                return fail(reply, way, id, &error).await;
            }
            Wake::Done(Err(error)) => {
                let asked = era::ask(&server.remote, &inbound.caller);
                if matches!(reply.wait(asked).await?, Wake::Gone) {
                    return Err(Ended::ClientGone);
                }
                passage::stay(server)?;
                if server.remote.eras.serves(Era::Modern) != Standing::Yes {
                    return match error {
                        OpenError::Refused {
                            status,
                            body,
                            challenge,
                        } => {
                            // Another's challenge is for the gateway's credential (E19).
                            let is_clients = server.forwards_authorization;
                            reply.exchange.challenge = challenge.filter(|_| is_clients);
                            refused(reply, way, inbound, status, &body).await
                        }
                        OpenError::Disagreed { .. } | OpenError::Upstream(_) => {
                            Err(link::failed(&server.id, &error))
                        }
                    };
                }
                server.remote.eras.note(Era::Legacy, Standing::No);
            }
            Wake::Gone => return Err(Ended::ClientGone),
        }
    }
    let discovered = match reply
        .wait(era::introduce(&server.remote, &inbound.caller))
        .await?
    {
        Wake::Done(Ok(discovered)) => discovered,
        Wake::Done(Err(error)) => return fail(reply, way, id, &error).await,
        Wake::Gone => return Err(Ended::ClientGone),
    };
    let asked = read(inbound);
    let fallback = format!(r#"{{"name":{},"version":"unknown"}}"#, quoted(&server.id));
    let result = down::initialize(&discovered, asked.revision, &fallback);
    let session = open(reply, inbound, scope, asked).await?;
    session.connect(&server.id, Link::Modern);
    if reply.client().is_some() {
        hear::attend(server, &session);
    }
    sessions::save(&reply.exchange.live, &session).await;
    local::result(reply, inbound, &result).await
}

/// Answers with the server's own handshake, in a session of ours around its own.
async fn adopt(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    scope: &str,
    upstream: Arc<Upstream>,
) -> Result<(), Ended> {
    let handshake = upstream.handshake.clone();
    // A server without sessions is called without one, unless the transport has them.
    if upstream.id.is_some() || reply.client().is_some() {
        let mut asked = read(inbound);
        if let Some(revision) = Revision::parse(&upstream.revision) {
            asked.revision = revision;
        }
        let session = match open(reply, inbound, scope, asked).await {
            Ok(session) => session,
            Err(ended) => {
                upstream.close_later();
                return Err(ended);
            }
        };
        session.connect(&way.server.id, Link::Legacy(Arc::clone(&upstream)));
        if reply.client().is_some() {
            link::adopt(&reply.exchange.live, &session, way, &upstream).await;
        }
        sessions::save(&reply.exchange.live, &session).await;
    }
    local::result(reply, inbound, &handshake).await
}

/// Passes a server's refusal on.
async fn refused(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    status: u16,
    body: &str,
) -> Result<(), Ended> {
    let said = Object::read(body);
    if said
        .as_ref()
        .is_some_and(|said| said.get("jsonrpc").is_some())
    {
        return reply.document(status, body.to_owned().into()).await;
    }
    let id = inbound.id();
    let Some(mut error) = said.filter(|said| said.get("code").is_some()) else {
        let refusal = Refusal::UpstreamBroken {
            server: way.server.id.to_string(),
            what: "answered with something that is not MCP",
        };
        let error = format!("HTTP {status}");
        if !TELLING.contains(&status) {
            return reply.refuse(refusal, id, Some(error)).await;
        }
        reply.exchange.outcome.error = Some(error);
        reply.exchange.outcome.reason = Some(refusal.label());
        let text = refusal.to_json(id.and_then(Id::from_json));
        return reply.document(status, text.into()).await;
    };
    if error.get("message").is_none() {
        error.set_text("message", "");
    }
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{},"error":{}}}"#,
        id.unwrap_or("null"),
        error.write()
    );
    reply.document(status, text.into()).await
}

/// `initialize` at several servers.
pub(super) async fn aggregate(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    inbound: &Inbound,
    scope: &str,
) -> Result<(), Ended> {
    reply.hold();
    let asked = read(inbound);
    let Some(offer) = offer(reply, profile, inbound, &asked.capabilities).await? else {
        return Err(Ended::ClientGone);
    };
    let mut result = Object::default();
    result.set_text("protocolVersion", asked.revision.as_str());
    result.set("capabilities", offer.capabilities);
    result.set("serverInfo", CLIENT_INFO);
    if let Some(instructions) = &offer.instructions {
        result.set_text("instructions", instructions);
    }
    let result = result.write();
    let session = open(reply, inbound, scope, asked).await?;
    if reply.client().is_some() {
        for server in &profile.servers {
            hear::attend(server, &session);
        }
    }
    sessions::save(&reply.exchange.live, &session).await;
    local::result(reply, inbound, &result).await
}

/// `server/discover` at several servers.
pub(super) async fn discover(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    inbound: &Inbound,
) -> Result<(), Ended> {
    let capabilities = capabilities(inbound, None);
    let Some(offer) = offer(reply, profile, inbound, &capabilities).await? else {
        return Err(Ended::ClientGone);
    };
    let mut result = Object::default();
    result.set_text("resultType", "complete");
    result.set("supportedVersions", Revision::SUPPORTED_MODERN_JSON);
    result.set("capabilities", offer.capabilities);
    if let Some(instructions) = &offer.instructions {
        result.set_text("instructions", instructions);
    }
    result.set("ttlMs", "0");
    result.set_text("cacheScope", "private");
    let mut meta = Object::default();
    meta.set("io.modelcontextprotocol/serverInfo", CLIENT_INFO);
    result.set("_meta", meta.write());
    local::result(reply, inbound, &result.write()).await
}

/// What several servers offer together.
struct Offer {
    capabilities: String,
    instructions: Option<String>,
}

async fn offer(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    inbound: &Inbound,
    capabilities: &str,
) -> Result<Option<Offer>, Ended> {
    let catalogs: Vec<_> = profile
        .servers
        .iter()
        .map(|server| catalog(server, &inbound.caller, capabilities))
        .collect();
    let deadline = reply.exchange.snapshot.lists.deadline;
    let all = async {
        let all = join_all(catalogs.iter().map(|catalog| catalog.profile()));
        match tokio::time::timeout(deadline, all).await {
            Ok(profiles) => profiles,
            Err(_) => catalogs.iter().map(|one| one.standing().0).collect(),
        }
    };
    let profiles: Vec<Option<Arc<catalog::Profile>>> = match reply.wait(all).await? {
        Wake::Done(profiles) => profiles,
        Wake::Gone => return Ok(None),
    };
    for server in &profile.servers {
        passage::stay(server)?;
    }
    let known = profiles.iter().flatten();
    let merged = capability::merge_servers(known.map(|one| one.capabilities.as_str()), inbound.era);
    let told: Vec<String> = profile
        .servers
        .iter()
        .zip(&profiles)
        .filter_map(|(server, known)| {
            let instructions = known.as_ref()?.instructions.as_ref()?;
            Some(format!("## {}\n\n{instructions}", server.id))
        })
        .collect();
    Ok(Some(Offer {
        capabilities: merged,
        instructions: (!told.is_empty()).then(|| told.join("\n\n")),
    }))
}
