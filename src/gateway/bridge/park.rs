//! Parks a modern client's call while a legacy server waits for the client, and takes it up again.
//!
//! The `requestState` names the call and is sealed for its principal: nobody else can use it, or
//! make one.
//!
//! **Invariant:** a server that asked gets an answer, whatever becomes of the client.

use std::sync::Arc;
use std::time::Duration;

use filters::mcp::input;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use filters::rpc::write;
use filters::seal;
use pingora_timeout::fast_timeout::fast_timeout;

use crate::gateway::Ended;
use crate::gateway::bridge::legacy_server::relay::{answer_at_once, question};
use crate::gateway::bridge::legacy_server::until;
use crate::gateway::cached::write::Write;
use crate::gateway::inbound::{Context, Inbound};
use crate::gateway::reply::Reply;
use crate::state::parked::{Call, Parked, Question};
use crate::upstream::session::Session;

/// What a sealed state is made for, beside its principal.
const CONTEXT: &[u8] = b"parked call";
/// How long is waited for further questions after one: a server that needs several answers at once
/// asks them one right after the other, each in a message of its own.
const TOGETHER: Duration = Duration::from_millis(50);
/// Most questions that are put to a client at once.
const QUESTIONS_MAX: usize = 16;

/// Parks a call with what its server asks, and tells the client. A call that there is no place for
/// goes on: its server is told that the client cannot answer.
pub(super) async fn park(
    reply: &mut Reply<'_>,
    inbound: &Inbound,
    context: &Context,
    mut call: Call,
    question: Question,
) -> Result<Option<Call>, Ended> {
    let mut questions = vec![question];
    gather(&mut call, context, &mut questions).await;
    set_aside(reply, inbound, call, questions).await
}

/// Parks a call with its questions.
async fn set_aside(
    reply: &mut Reply<'_>,
    inbound: &Inbound,
    call: Call,
    mut questions: Vec<Question>,
) -> Result<Option<Call>, Ended> {
    name(&mut questions);
    let live = Arc::clone(&reply.exchange.live);
    let mut key = [0; 16];
    let mut nonce = [0; seal::NONCE_BYTES];
    if getrandom::fill(&mut key).is_err() || getrandom::fill(&mut nonce).is_err() {
        return Err(Refusal::Internal.into());
    }
    let parked = Parked {
        principal: Arc::clone(&inbound.principal),
        request: digest(inbound),
        call,
        questions: questions.clone(),
        reach: reply.write.as_ref().and_then(Write::reach).cloned(),
        until: until(reply),
    };
    if let Err(parked) = live.parking.park(key, parked) {
        tracing::warn!(client.id = %inbound.principal, "Too many calls wait for their clients");
        refuse_all(&parked.call.lease.session, &parked.questions).await;
        return Ok(Some(parked.call));
    }
    let state = live.key().await.seal(nonce, &scope(inbound), &key);
    let asked: Vec<(&str, &str, &str)> = questions
        .iter()
        .map(|one| (one.key.as_str(), one.method.as_str(), one.params.as_str()))
        .collect();
    let result = input::write_required(&asked, &state, None);
    let Some(id) = inbound.id().and_then(Id::from_json) else {
        return Err(Refusal::Internal.into());
    };
    reply.answer(200, write::result(id, &result)).await?;
    Ok(None)
}

/// Takes up a parked call with the client's answers. Nothing where the client was told why not, or
/// that something is still missing.
pub(super) async fn resume(
    reply: &mut Reply<'_>,
    inbound: &Inbound,
    state: &str,
    answers: &[(String, String)],
) -> Result<Option<Call>, Ended> {
    let live = Arc::clone(&reply.exchange.live);
    let key = live
        .key()
        .await
        .open(&scope(inbound), state)
        .and_then(|key| <[u8; 16]>::try_from(key).ok());
    let parked = key.and_then(|key| {
        live.parking
            .take(&key, &inbound.principal, &digest(inbound))
    });
    let Some(mut parked) = parked else {
        reply
            .refuse(Refusal::StateInvalid, inbound.id(), None)
            .await?;
        return Ok(None);
    };
    let session = Arc::clone(&parked.call.lease.session);
    let mut missing = Vec::new();
    for question in std::mem::take(&mut parked.questions) {
        let Some((_, answer)) = answers.iter().find(|(key, _)| *key == question.key) else {
            missing.push(question);
            continue;
        };
        let Some(id) = Id::from_json(&question.id) else {
            continue;
        };
        if let Err(error) = session.tell(write::result(id, answer)).await {
            tracing::debug!(%error, "Answer could not be given to a server");
        }
    }
    let call = parked.call;
    if missing.is_empty() {
        return Ok(Some(call));
    }
    // What else is missing stays open until it is asked for in the next round.
    Box::pin(ask_again(reply, inbound, call, missing)).await
}

/// Asks once more for what the client left out.
async fn ask_again(
    reply: &mut Reply<'_>,
    inbound: &Inbound,
    mut call: Call,
    missing: Vec<Question>,
) -> Result<Option<Call>, Ended> {
    let context = inbound.context();
    let mut questions = missing;
    gather(&mut call, &context, &mut questions).await;
    set_aside(reply, inbound, call, questions).await
}

/// Adds what the server asks at the same time: questions that are there already.
async fn gather(call: &mut Call, context: &Context, questions: &mut Vec<Question>) {
    while questions.len() < QUESTIONS_MAX {
        let Ok(Ok(Some(message))) = fast_timeout(TOGETHER, call.next()).await else {
            return;
        };
        let asked = std::str::from_utf8(&message).ok().and_then(question);
        let Some(question) = asked else {
            call.talk.put_back(message);
            return;
        };
        match answer_at_once(&question, context) {
            Some(answer) => {
                call.lease.session.tell(answer).await.ok();
            }
            None => questions.push(question),
        }
    }
}

/// Gives each question a key of its own.
fn name(questions: &mut [Question]) {
    for (index, question) in questions.iter_mut().enumerate() {
        question.key = if index == 0 {
            question.method.clone()
        } else {
            format!("{}-{}", question.method, index + 1)
        };
    }
}

/// What a state is sealed for.
fn scope(inbound: &Inbound) -> Vec<u8> {
    seal::context(&[CONTEXT, inbound.principal.as_bytes(), &digest(inbound)])
}

/// What makes two requests the same.
fn digest(inbound: &Inbound) -> [u8; 32] {
    let params = input::bare_params(inbound.params());
    seal::digest(&[inbound.name.as_bytes(), params.as_bytes()])
}

/// Tells a server that its client does not answer.
pub(in crate::gateway) async fn refuse_all(session: &Session, questions: &[Question]) {
    for question in questions {
        let Some(id) = Id::from_json(&question.id) else {
            continue;
        };
        let answer = if question.method == "elicitation/create" {
            write::result(id, r#"{"action":"cancel"}"#)
        } else {
            let failure = write::Failure {
                code: -31408,
                message: "the client did not answer in time",
                data: None,
            };
            write::error(Some(id), &failure)
        };
        if let Err(error) = session.tell(answer).await {
            tracing::debug!(%error, "Server could not be told that its client does not answer");
        }
    }
}
