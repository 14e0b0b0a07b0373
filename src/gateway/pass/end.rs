//! Answers that are one document, and what a client is told where there is none.
//!
//! **Invariant:** a challenge reaches a client only where its credential goes to the server (E19).

use bytes::Bytes;
use filters::mcp::header::SESSION_ID;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use pingora::http::ResponseHeader;

use crate::gateway::Ended;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::{Unlinked, Way, failed};
use crate::gateway::pass::voice::Voice;
use crate::gateway::pass::{Passed, answer, fail, is_wrong_era};
use crate::gateway::reply::Reply;
use crate::upstream::error::Error;
use crate::upstream::session::open::OpenError;
use crate::upstream::talk::Talk;

/// Status of a session that is not there (2025-11-25, "Session Management").
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;

/// Relays an answer that is one document.
pub(super) async fn document(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    mut voice: Voice,
    text: Bytes,
    judges: bool,
) -> Result<Passed, Ended> {
    let talk = voice.talk();
    let status = talk.status;
    if judges && is_wrong_era(inbound.era, status, &String::from_utf8_lossy(&text)) {
        return Ok(Passed::WrongEra);
    }
    // As its server spells it.
    reply.hear(&text).await;
    let answer = answer(way, inbound.method, &text).filter(|_| talk.is_json());
    match (page(reply, way, &mut voice), answer) {
        (Some(header), _) => reply.page(header, text).await?,
        (None, Some(answer)) => reply.document(status, answer).await?,
        (None, None) => silent(reply, way, inbound, voice.talk()).await?,
    }
    Ok(Passed::Home)
}

/// The head under which a server's refusal is passed on as it is; nothing where it must be told in
/// the gateway's words.
fn page(reply: &Reply<'_>, way: &Way, voice: &mut Voice) -> Option<Box<ResponseHeader>> {
    let is_in_session = matches!(voice, Voice::Session { .. });
    let head = voice.talk_mut().refusal.take()?;
    outward(reply, way, &head, is_in_session)
}

/// The head of a refusal as a client may have it; nothing where there are other servers beside this
/// one, or no answer of its own to put it in.
pub(in crate::gateway) fn outward(
    reply: &Reply<'_>,
    way: &Way,
    head: &ResponseHeader,
    is_in_session: bool,
) -> Option<Box<ResponseHeader>> {
    if way.naming.is_some() || !reply.is_untold() {
        return None;
    }
    if is_in_session && head.status == NOT_FOUND {
        // To the client, it would mean that its session with the gateway is lost.
        return None;
    }
    let mut head = Box::new(head.clone());
    head.remove_header(SESSION_ID);
    if !way.server.forwards_authorization {
        head.remove_header(&WWW_AUTHENTICATE);
    }
    Some(head)
}

/// Has a server's challenge to the client's own credential told with the answer, and gives the status that
/// it came with; nothing where the credential is not the client's, or there are other servers.
pub(in crate::gateway) fn challenge(
    reply: &mut Reply<'_>,
    way: &Way,
    status: u16,
    challenge: Option<&HeaderValue>,
) -> Option<u16> {
    let is_told = matches!(status, 401 | 403)
        && way.server.forwards_authorization
        && way.naming.is_none()
        && reply.is_untold();
    let challenge = challenge.filter(|_| is_told)?;
    reply.exchange.challenge = Some(challenge.clone());
    Some(status)
}

/// Tells the client why it has no link to its server.
pub(in crate::gateway) async fn unlinked(
    reply: &mut Reply<'_>,
    way: &Way,
    id: Option<&str>,
    unlinked: Unlinked,
) -> Result<(), Ended> {
    // Whatever its server was asked, the message itself was not sent.
    reply.exchange.unspend();
    match unlinked {
        Unlinked::Session(error) => unopened(reply, way, id, &error).await,
        Unlinked::Ended(ended) => Err(ended),
    }
}

/// Tells the client that its server opened no session. One that wants the client's credential, or
/// another one, says so by its status, as it does where it answers a message so.
pub(in crate::gateway) async fn unopened(
    reply: &mut Reply<'_>,
    way: &Way,
    id: Option<&str>,
    error: &OpenError,
) -> Result<(), Ended> {
    let status = match error {
        OpenError::Refused {
            status,
            challenge: told,
            ..
        } => {
            let is_told = matches!(status, 401 | 403) && way.naming.is_none() && reply.is_untold();
            challenge(reply, way, *status, told.as_ref()).or_else(|| is_told.then_some(*status))
        }
        OpenError::Upstream(_) | OpenError::Disagreed { .. } => None,
    };
    match (failed(&way.server.id, error), status) {
        (Ended::Refused { refusal, error, .. }, None) => reply.refuse(refusal, id, error).await,
        (Ended::Refused { refusal, error, .. }, Some(status)) => {
            reply.exchange.outcome.error = error;
            reply.exchange.outcome.reason = Some(refusal.label());
            let text = refusal.to_json(id.and_then(Id::from_json));
            reply.answer(status, text).await
        }
        (other @ (Ended::ClientGone | Ended::Broken { .. }), _) => Err(other),
    }
}

/// Passes on what a server said instead of an answer, where it refused so; else tells the client that
/// there is none. For servers of another era than the client's.
pub(in crate::gateway) async fn refused(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    talk: &mut Talk,
    text: Bytes,
    is_in_session: bool,
) -> Result<(), Ended> {
    let head = talk.refusal.take();
    // A legacy client is in a session, if with the gateway alone.
    let is_in_session = is_in_session || inbound.era == Era::Legacy;
    match head.and_then(|head| outward(reply, way, &head, is_in_session)) {
        Some(head) => reply.page(head, text).await,
        None => silent(reply, way, inbound, talk).await,
    }
}

/// Tells the client that its server gave no answer.
pub(super) async fn silent(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    talk: &Talk,
) -> Result<(), Ended> {
    if inbound.id().is_none() {
        return if talk.status < 300 {
            reply.accept().await
        } else {
            fail(reply, way, None, &Error::NotHttp("no MCP answer")).await
        };
    }
    if !talk.is_stream() {
        return tell(reply, way, inbound, talk.status).await;
    }
    let refusal = Refusal::UpstreamBroken {
        server: way.server.id.to_string(),
        what: "ended its stream without answering",
    };
    let error = format!("HTTP {}", talk.status);
    reply.refuse(refusal, inbound.id(), Some(error)).await
}

/// Tells the client that its server answered with something else than MCP.
pub(in crate::gateway) async fn tell(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    status: u16,
) -> Result<(), Ended> {
    let refusal = Refusal::UpstreamBroken {
        server: way.server.id.to_string(),
        what: "answered with something that is not MCP",
    };
    let error = format!("HTTP {status}");
    reply.refuse(refusal, inbound.id(), Some(error)).await
}
