//! Answers that are one document, and what a client is told where there is none.
//!
//! **Invariant:** a challenge reaches a client only where its credential goes to the server (E19).

use bytes::Bytes;
use filters::mcp::header::SESSION_ID;
use filters::refusal::Refusal;
use http::header::WWW_AUTHENTICATE;
use pingora::http::ResponseHeader;

use crate::gateway::Ended;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::Way;
use crate::gateway::pass::voice::Voice;
use crate::gateway::pass::{Passed, answer, fail, is_wrong_era};
use crate::gateway::reply::Reply;
use crate::upstream::error::Error;
use crate::upstream::talk::Talk;

/// Status of a session that is not there (2025-11-25, "Session Management").
const NOT_FOUND: u16 = 404;

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
/// the gateway's words: where there are other servers beside it, or no answer of its own to put it in.
fn page(reply: &Reply<'_>, way: &Way, voice: &mut Voice) -> Option<Box<ResponseHeader>> {
    if way.naming.is_some() || !reply.is_untold() {
        return None;
    }
    let is_in_session = matches!(voice, Voice::Session { .. });
    let talk = voice.talk_mut();
    if is_in_session && talk.status == NOT_FOUND {
        // To the client, it would mean that its session with the gateway is lost.
        return None;
    }
    let mut header = talk.refusal.take()?;
    header.remove_header(SESSION_ID);
    if !way.server.forwards_authorization {
        header.remove_header(&WWW_AUTHENTICATE);
    }
    Some(header)
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
    let what = if talk.is_stream() {
        "ended its stream without answering"
    } else {
        "answered with something that is not MCP"
    };
    let refusal = Refusal::UpstreamBroken {
        server: way.server.id.to_string(),
        what,
    };
    let error = format!("HTTP {}", talk.status);
    reply.refuse(refusal, inbound.id(), Some(error)).await
}
