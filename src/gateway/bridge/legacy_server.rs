//! A modern client at a legacy server: the gateway holds the session that the client does not have.
//!
//! What the server asks during a call becomes an `input_required` result; the call is parked until
//! the client comes back with what was asked.

pub(in crate::gateway) mod relay;

use std::sync::Arc;
use std::time::Instant;

use filters::mcp::capability::{self};
use filters::mcp::input;
use filters::mcp::method::Method;
use filters::mcp::rewrite;
use filters::mcp::translate::{down, up};
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use filters::rpc::write;

use crate::gateway::Ended;
use crate::gateway::bridge::legacy_server::relay::relay;
use crate::gateway::bridge::park;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::inbound::{Context, Inbound};
use crate::gateway::link::Way;
use crate::gateway::pass::voice;
use crate::gateway::pass::{self, end, fail};
use crate::gateway::passage;
use crate::gateway::reply::{Reply, Wake};
use crate::state::parked::Call;
use crate::upstream::era;
use crate::upstream::error::Error;
use crate::upstream::fields::Caller;
use crate::upstream::group::{Group, Key};
use crate::upstream::session;

/// Serves a modern client's message at a legacy server.
pub(in crate::gateway) async fn serve(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
) -> Result<(), Ended> {
    let Dispatch {
        way,
        inbound,
        inner,
        ..
    } = *dispatch;
    let Some(id) = inbound.id() else {
        // Over HTTP the modern era has no notification that a server needs.
        return reply.accept().await;
    };
    let context = inbound.context();
    if is_unserved(inbound.method) {
        let refusal = Refusal::MethodNotFound {
            method: inbound.name.clone(),
        };
        return reply.refuse(refusal, Some(id), None).await;
    }
    let has_answers = matches!(
        inbound.method,
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead
    );
    if has_answers && let Some((answers, state)) = input::responses(inbound.params()) {
        let answers: Vec<(String, String)> = answers
            .into_iter()
            .map(|(key, answer)| (key.into_owned(), answer.into_owned()))
            .collect();
        // Without a state of ours it answers nothing that was asked here.
        if let Some(state) = state {
            return match park::resume(reply, inbound, &state, &answers).await? {
                Some(call) => relay(reply, way, inbound, &context, call).await,
                None => Ok(()),
            };
        }
    }
    if let Err(refusal) = Box::pin(pass::compare(way, inbound, inner)).await {
        return reply.refuse(refusal, Some(id), None).await;
    }
    let group = match group(way, inbound, &context.capabilities) {
        Ok(group) => group,
        Err(error) => return fail(reply, way, Some(id), &error).await,
    };
    if inbound.method == Method::ServerDiscover {
        return discover(reply, way, id, inbound, &group).await;
    }
    let Some(call) = begin(reply, dispatch, &context, &group).await? else {
        return Ok(());
    };
    relay(reply, way, inbound, &context, call).await
}

/// Methods of the modern era that no legacy server has.
fn is_unserved(method: Method) -> bool {
    matches!(method, Method::Tasks | Method::SubscriptionsListen)
}

/// The sessions of a modern client at a legacy server.
pub(in crate::gateway) fn group(
    way: &Way,
    inbound: &Inbound,
    capabilities: &str,
) -> Result<Arc<Group>, Error> {
    let revision = filters::mcp::revision::Revision::V2025_11_25;
    let capabilities = capability::for_legacy(&capability::canonical(capabilities), revision);
    let key = Key {
        principal: Arc::clone(&inbound.principal),
        authorization: way.server.remote.credential(&inbound.caller),
        capabilities,
    };
    way.server
        .groups
        .find(&key, &way.server.remote, &inbound.caller)
}

async fn discover(
    reply: &mut Reply<'_>,
    way: &Way,
    id: &str,
    inbound: &Inbound,
    group: &Arc<Group>,
) -> Result<(), Ended> {
    let session = match reply.wait(group.main()).await? {
        Wake::Done(Ok(session)) => session,
        Wake::Done(Err(error)) => {
            return refuse_open(reply, way, id, &inbound.caller, &error).await;
        }
        Wake::Gone => return Err(Ended::ClientGone),
    };
    let result = down::discover(&session.handshake, &["2026-07-28"]);
    answer_result(reply, id, &result).await
}

async fn refuse_open(
    reply: &mut Reply<'_>,
    way: &Way,
    id: &str,
    caller: &Caller,
    error: &session::open::OpenError,
) -> Result<(), Ended> {
    if error.is_of_era() {
        // What was believed of its era may not hold any more.
        way.server.remote.eras.doubt();
        let asked = era::ask(&way.server.remote, caller);
        if matches!(reply.wait(asked).await?, Wake::Gone) {
            return Err(Ended::ClientGone);
        }
        passage::stay(&way.server)?;
    }
    end::unopened(reply, way, Some(id), error).await
}

async fn answer_result(reply: &mut Reply<'_>, id: &str, result: &str) -> Result<(), Ended> {
    let Some(id) = Id::from_json(id) else {
        return Err(Refusal::Internal.into());
    };
    reply.answer(200, write::result(id, result)).await
}

/// Sends the call in a session: one of its own where the server may ask or log, else a shared one.
async fn begin(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    context: &Context,
    group: &Arc<Group>,
) -> Result<Option<Call>, Ended> {
    let (way, inbound) = (dispatch.way, dispatch.inbound);
    let remote = &way.server.remote;
    let deadline = remote.deadline();
    let needs_own = group.capabilities() != "{}" || context.log_level.is_some();
    let id = inbound.id().unwrap_or_default();
    for attempt in 0..2 {
        let leased = async {
            if needs_own {
                group.take(deadline).await
            } else {
                group.share().await
            }
        };
        let lease = match reply.wait(leased).await? {
            Wake::Done(Ok(lease)) => lease,
            Wake::Done(Err(error)) => {
                refuse_open(reply, way, id, &inbound.caller, &error).await?;
                return Ok(None);
            }
            Wake::Gone => return Err(Ended::ClientGone),
        };
        // What the server asks on the session's own stream may come before the head.
        let notices = lease.session.notices();
        let ours = remote.serial().to_string();
        let body = translate(inbound, dispatch.inner, context, &ours);
        let sent = async {
            if let Some(level) = &context.log_level {
                lease.session.set_log_level(level).await?;
            }
            let is_repeatable = inbound.method.is_safe_to_repeat();
            lease
                .session
                .send(
                    &inbound.caller,
                    body,
                    &inbound.name,
                    is_repeatable,
                    deadline,
                )
                .await
        };
        match reply.wait(sent).await? {
            Wake::Done(Ok(talk)) => {
                return Ok(Some(Call {
                    lease,
                    talk,
                    n_resumes: 0,
                    id: ours,
                    notices,
                }));
            }
            // It refused what it does not know, so it did nothing: a new session can be asked.
            Wake::Done(Err(Error::SessionLost)) if attempt == 0 => {}
            Wake::Done(Err(error)) => {
                fail(reply, way, Some(id), &error).await?;
                return Ok(None);
            }
            Wake::Gone => {
                let session = Arc::clone(&lease.session);
                voice::cancel(way, session, &ours, "the client closed the request");
                return Err(Ended::ClientGone);
            }
        }
    }
    fail(reply, way, Some(id), &Error::SessionLost).await?;
    Ok(None)
}

/// A modern client's message as a legacy request of this id.
pub(in crate::gateway) fn translate(
    inbound: &Inbound,
    inner: Option<&str>,
    context: &Context,
    ours: &str,
) -> String {
    let respelled =
        inner.and_then(|inner| rewrite::params(inbound.method, inbound.params(), inner));
    let params = respelled.as_deref().or(inbound.params.as_deref());
    // Tokens are ours: two clients may both use 1 (E25).
    let token = context.progress_token.as_ref().map(|_| ours);
    let params = up::legacy_params(params, token);
    up::request(ours, &inbound.name, params.as_deref())
}

/// Until when what was asked may be answered.
pub(super) fn until(reply: &Reply<'_>) -> Instant {
    Instant::now() + reply.exchange.live.parking.limits.ttl
}
