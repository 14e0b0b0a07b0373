//! A message to a server of its own era: its target spelled as the server has it, and what comes
//! back spelled as the client has it.
//!
//! **Invariant:** what needs no other spelling passes byte for byte.

pub(super) mod end;
pub(super) mod voice;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use filters::json::object::Object;
use filters::json::outcome::TopLevel;
use filters::mcp::era::Verdict;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::mcp::rewrite;
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Body};
use memchr::memmem;

use crate::gateway::Ended;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::fields;
use crate::gateway::guard::{self, Asked};
use crate::gateway::inbound::Inbound;
use crate::gateway::link::{self, Way, outward};
use crate::gateway::pass::voice::{Voice, abandon, give_up, go_on};
use crate::gateway::reply::{Reply, Wake};
use crate::state::session::{Link, Session};
use crate::upstream::error::Error;
use crate::upstream::fields::{Caller, Mcp};
use crate::upstream::remote::{Post, Transport};
use crate::upstream::session::Session as Upstream;
use crate::upstream::talk::{Patience, Talk};

/// How a message passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// The client has its answer.
    Home,
    /// The server does not speak its era: it did nothing, and the client knows nothing of it.
    WrongEra,
}

/// Sends a modern client's message to a modern server. With `judges`, a refusal that no modern server
/// gives is not passed on.
pub(super) async fn modern(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    judges: bool,
) -> Result<Passed, Ended> {
    let Dispatch {
        way,
        inbound,
        inner,
        ..
    } = *dispatch;
    let remote = &way.server.remote;
    if remote.transport == Transport::Pipe {
        Box::pin(compare(way, inbound, inner)).await?;
    }
    let post = Post {
        mcp: Mcp {
            era: Era::Modern,
            revision: Some(inbound.revision.as_str()),
            method: Some(&inbound.name),
            name: dispatch.target(),
            params: &inbound.mirrored,
            session: None,
            last_event: None,
            accept: None,
        },
        is_repeatable: inbound.method.is_safe_to_repeat(),
    };
    let body = respell(inbound, inner)?;
    let patience = Patience::Call {
        deadline: remote.deadline(),
    };
    let id = inbound.id();
    let begun = reply
        .wait(remote.post(&inbound.caller, post, body, patience))
        .await?;
    let talk = match begun {
        Wake::Done(Ok(talk)) => talk,
        Wake::Done(Err(error)) => {
            fail(reply, way, id, &error).await?;
            return Ok(Passed::Home);
        }
        Wake::Gone => return Err(Ended::ClientGone),
    };
    relay(reply, way, inbound, Voice::Plain(talk), judges).await
}

/// Sends a legacy client's message to a legacy server without sessions, or before there is one.
pub(super) async fn bare(reply: &mut Reply<'_>, dispatch: &Dispatch<'_>) -> Result<(), Ended> {
    let Dispatch {
        way,
        inbound,
        inner,
        ..
    } = *dispatch;
    let remote = &way.server.remote;
    let post = Post {
        mcp: bare_mcp(inbound),
        is_repeatable: inbound.method.is_safe_to_repeat(),
    };
    let patience = Patience::Call {
        deadline: remote.deadline(),
    };
    let body = respell(inbound, inner)?;
    // Owned, as it goes on where the client leaves.
    let request = remote.request(&inbound.caller, &post, body);
    let cluster = Arc::clone(&remote.cluster);
    let mut sent = Box::pin(async move { Talk::begin(&cluster, request, patience).await });
    let talk = match reply.wait(sent.as_mut()).await {
        Ok(Wake::Done(Ok(talk))) => talk,
        Ok(Wake::Done(Err(error))) => return fail(reply, way, inbound.id(), &error).await,
        Ok(Wake::Gone) | Err(_) => {
            go_on(reply, way, async move {
                if let Ok(talk) = sent.await {
                    Voice::Plain(talk).discard().await;
                }
            });
            return Err(Ended::ClientGone);
        }
    };
    relay(reply, way, inbound, Voice::Plain(talk), false).await?;
    Ok(())
}

/// The headers of a legacy client's message that goes without a session: its own, so that the server
/// knows which revision the client speaks and what else it said.
pub(in crate::gateway) fn bare_mcp(inbound: &Inbound) -> Mcp<'_> {
    Mcp {
        revision: inbound.bare.version.as_deref(),
        params: &inbound.mirrored,
        accept: inbound.bare.accept.as_deref(),
        ..Mcp::BARE
    }
}

/// Compares what a modern client's call says in headers with its arguments, for a server that does
/// not see them.
pub(super) async fn compare(
    way: &Way,
    inbound: &Inbound,
    inner: Option<&str>,
) -> Result<(), Refusal> {
    if inbound.method != Method::ToolsCall {
        return Ok(());
    }
    let params = Object::read(inbound.params()).unwrap_or_default();
    let header = |name: &str| {
        let mut given = inbound.mirrored.iter();
        given
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let tool = inner.or(inbound.target.as_deref()).unwrap_or_default();
    fields::compare(&way.server, tool, params.get("arguments"), header).await
}

/// Sends a legacy client's message in its session with a legacy server.
pub(super) async fn legacy(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    client: &Arc<Session>,
    upstream: Arc<Upstream>,
) -> Result<(), Ended> {
    let Dispatch {
        way,
        inbound,
        inner,
        ..
    } = *dispatch;
    let id = inbound.id();
    let registered = id.map(|id| client.register(id, &way.server.id));
    let body = respell(inbound, inner)?;
    let deadline = way.server.remote.deadline();
    let mut upstream = upstream;
    let mut is_repeat = inbound.is_repeat;
    loop {
        let letter = Letter {
            caller: inbound.caller.clone(),
            body: body.clone(),
            method: inbound.name.clone(),
            is_repeatable: inbound.method.is_safe_to_repeat(),
            is_repeat,
            deadline,
        };
        let mut sent = Box::pin(send(Arc::clone(&upstream), letter));
        let talk = match reply.wait(sent.as_mut()).await {
            Ok(Wake::Done(Ok(talk))) => talk,
            // It refused what it does not know, so it did nothing: a new session can be asked.
            Ok(Wake::Done(Err(Error::SessionLost))) if !is_repeat => {
                is_repeat = true;
                tracing::info!(server.id = %way.server.id, "Session with a server is opened anew");
                let live = Arc::clone(&reply.exchange.live);
                match link::find(&live, client, way, &inbound.caller).await {
                    Ok(Link::Legacy(renewed)) => upstream = renewed,
                    Ok(Link::Modern) => {
                        return fail(reply, way, id, &Error::SessionLost).await;
                    }
                    Err(unlinked) => return end::unlinked(reply, way, id, unlinked).await,
                }
                continue;
            }
            Ok(Wake::Done(Err(error))) => return fail(reply, way, id, &error).await,
            Ok(Wake::Gone) | Err(_) => {
                go_on(reply, way, async move {
                    if let Ok(talk) = sent.await {
                        Voice::in_session(upstream, talk, registered)
                            .discard()
                            .await;
                    }
                });
                return Err(Ended::ClientGone);
            }
        };
        let voice = Voice::in_session(upstream, talk, registered);
        relay(reply, way, inbound, voice, false).await?;
        return Ok(());
    }
}

/// A request to a session, ready to be sent.
struct Letter {
    caller: Caller,
    body: Bytes,
    method: String,
    is_repeatable: bool,
    /// An earlier session refused it: what this one says is the answer.
    is_repeat: bool,
    deadline: Instant,
}

async fn send(upstream: Arc<Upstream>, letter: Letter) -> Result<Talk, Error> {
    let (method, is_repeatable) = (&letter.method, letter.is_repeatable);
    if letter.is_repeat {
        let sent = upstream.send_anyway(
            &letter.caller,
            letter.body,
            method,
            is_repeatable,
            letter.deadline,
        );
        return sent.await;
    }
    let sent = upstream.send(
        &letter.caller,
        letter.body,
        method,
        is_repeatable,
        letter.deadline,
    );
    sent.await
}

/// The message with its target as the server spells it.
pub(super) fn respell(inbound: &Inbound, inner: Option<&str>) -> Result<Bytes, Ended> {
    let Some(inner) = inner else {
        return Ok(inbound.text.clone());
    };
    let lost = || Ended::from(Refusal::Internal);
    let text = std::str::from_utf8(&inbound.text).map_err(|_| lost())?;
    let params = rewrite::params(inbound.method, inbound.params(), inner).ok_or_else(lost)?;
    // The params stand in the text as they are: everything around them stays.
    if let Some(at) = memmem::find(text.as_bytes(), inbound.params().as_bytes())
        && let (Some(head), Some(tail)) = (text.get(..at), text.get(at + inbound.params().len()..))
    {
        return Ok([head, &params, tail].concat().into());
    }
    let mut object = Object::read(text).ok_or_else(lost)?;
    object.set("params", params);
    Ok(object.write().into())
}

/// Tells the client that its server failed.
pub(super) async fn fail(
    reply: &mut Reply<'_>,
    way: &Way,
    id: Option<&str>,
    error: &Error,
) -> Result<(), Ended> {
    let refusal = error.to_refusal(&way.server.id);
    reply.refuse(refusal, id, Some(error.to_string())).await
}

/// Relays an answer to its end.
async fn relay(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    mut voice: Voice,
    judges: bool,
) -> Result<Passed, Ended> {
    reply.exchange.outcome.replica = Some(voice.talk().replica);
    let id = inbound.id();
    loop {
        let message = match reply.wait(voice.next()).await {
            Ok(Wake::Done(Ok(Some(message)))) => message,
            Ok(Wake::Done(Ok(None))) => Bytes::new(),
            Ok(Wake::Done(Err(error))) => {
                give_up(inbound, way, &voice, &error);
                fail(reply, way, id, &error).await?;
                return Ok(Passed::Home);
            }
            Ok(Wake::Gone) | Err(_) => {
                abandon(reply, inbound, way, voice);
                return Err(Ended::ClientGone);
            }
        };
        if !voice.talk().is_stream() {
            return end::document(reply, way, inbound, voice, message, judges).await;
        }
        if message.is_empty() {
            end::silent(reply, way, inbound, voice.talk()).await?;
            return Ok(Passed::Home);
        }
        let Ok(text) = std::str::from_utf8(&message) else {
            continue;
        };
        let is_answer = matches!(
            parse::message(text),
            Ok(parse::Message {
                body: Body::Response { .. },
                ..
            })
        );
        let told = if is_answer {
            // As its server spells it.
            reply.hear(&message).await;
            let text = answer(way, inbound.method, &message).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            reply.answer(200, text).await?;
            return Ok(Passed::Home);
        } else {
            let asked = guard::asked(reply.watch.as_deref(), text, None);
            let text = match &asked {
                Asked::AsItIs => text,
                Asked::Becomes(text) => text,
                Asked::Refused(answer) => {
                    voice.tell(answer).await;
                    continue;
                }
            };
            match outward(way, text) {
                Some(text) => reply.event(&text).await,
                None => Ok(()),
            }
        };
        if told.is_err() {
            abandon(reply, inbound, way, voice);
            return Err(Ended::ClientGone);
        }
    }
}

/// Whether a refusal is one that no modern server gives. An unknown method is: both eras have that.
pub(super) fn is_wrong_era(era: Era, status: u16, answer: &str) -> bool {
    era == Era::Modern
        && matches!(status, 400 | 404..=406 | 422)
        && filters::mcp::era::probe(status, answer) == Verdict::Legacy
        && !answer.contains("-32601")
}

/// An answer with everything spelled as the client has it; nothing where it is none.
fn answer(way: &Way, method: Method, message: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(message).ok()?;
    let mut seen = TopLevel::default();
    seen.observe(message);
    if !seen.is_response() {
        return None;
    }
    // The common case is decided without taking the answer apart.
    let namespace = way
        .namespace()
        .filter(|namespace| rewrite::may_change(*namespace, text));
    let Some(namespace) = namespace else {
        return Some(message.clone());
    };
    let mut object = Object::read(text)?;
    let result = object.get("result");
    match result.and_then(|result| rewrite::result(namespace, method, result)) {
        Some(result) => {
            object.set("result", result);
            Some(object.write().into())
        }
        None => Some(message.clone()),
    }
}
