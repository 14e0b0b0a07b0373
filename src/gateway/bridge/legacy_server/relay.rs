//! What a legacy server says during a modern client's call, until it is answered or parked.

use crate::gateway::Ended;
use crate::gateway::bridge::park;
use crate::gateway::inbound::{Context, Inbound};
use crate::gateway::link::{Way, outward};
use crate::gateway::pass::voice;
use crate::gateway::pass::{end, fail};
use crate::gateway::reply::{Reply, Wake};
use crate::state::parked::{Call, Question};
use crate::upstream::error::Error;
use bytes::Bytes;
use filters::json::object::Object;
use filters::mcp::capability::{self, Need};
use filters::mcp::input;
use filters::mcp::rewrite;
use filters::mcp::translate::down;
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Answer, Body, Id};
use filters::rpc::write;
use std::sync::Arc;

/// Relays a call's messages until it is answered, parked or abandoned.
pub(super) async fn relay(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    context: &Context,
    mut call: Call,
) -> Result<(), Ended> {
    let id = inbound.id().unwrap_or_default();
    let mut unmet = None;
    reply.exchange.outcome.replica = Some(call.talk.replica);
    loop {
        let message = match reply.wait(call.next()).await {
            Ok(Wake::Done(Ok(Some(message)))) => message,
            Ok(Wake::Done(Ok(None))) => {
                let said = Bytes::new();
                return end::refused(reply, way, inbound, &mut call.talk, said, true).await;
            }
            Ok(Wake::Done(Err(error))) => {
                if matches!(error, Error::Timeout(_)) {
                    let session = Arc::clone(&call.lease.session);
                    voice::cancel(way, session, &call.id, "timed out at the gateway");
                }
                return fail(reply, way, Some(id), &error).await;
            }
            Ok(Wake::Gone) | Err(_) => return Err(leave(way, &call)),
        };
        let Ok(text) = std::str::from_utf8(&message) else {
            continue;
        };
        let Ok(parsed) = parse::message(text) else {
            if !call.talk.is_stream() {
                return end::refused(reply, way, inbound, &mut call.talk, message, true).await;
            }
            continue;
        };
        match parsed.body {
            Body::Response { answer, .. } => {
                let talk = &call.talk;
                let told = talk.challenge.as_ref();
                let told = told.filter(|_| matches!(answer, Answer::Error(_)));
                let status = end::challenge(reply, way, talk.status, told);
                return conclude(reply, way, inbound, answer, unmet, status).await;
            }
            Body::Notification { method, .. } => {
                if let Some(event) = notification(way, context, &call, &method, text)
                    && reply.event(&event).await.is_err()
                {
                    return Err(leave(way, &call));
                }
            }
            Body::Request { .. } => {
                let Some(question) = question(text) else {
                    continue;
                };
                if let Some(answer) = answer_at_once(&question, context) {
                    unmet = unmet.or_else(|| capability::need(&question.method, &question.params));
                    call.lease.session.tell(answer).await.ok();
                    continue;
                }
                match park::park(reply, inbound, context, call, question).await? {
                    Some(kept) => call = kept,
                    None => return Ok(()),
                }
            }
        }
    }
}

/// Whether a call failed, in either way that it can.
fn is_failure(answer: &Answer<'_>) -> bool {
    match answer {
        Answer::Error(_) => true,
        Answer::Result(result) => {
            Object::read(result.get()).is_some_and(|result| result.get("isError") == Some("true"))
        }
    }
}

/// The question that a message is; nothing where it is none.
pub(in crate::gateway) fn question(text: &str) -> Option<Question> {
    let Body::Request { id, method, .. } = parse::message(text).ok()?.body else {
        return None;
    };
    let message = Object::read(text)?;
    Some(Question {
        key: method.to_string(),
        id: id.as_json().to_owned(),
        method: method.into_owned(),
        params: message.get("params").unwrap_or("{}").to_owned(),
    })
}

/// The client left: a modern call ends with it.
fn leave(way: &Way, call: &Call) -> Ended {
    let session = Arc::clone(&call.lease.session);
    voice::cancel(way, session, &call.id, "the client closed the request");
    Ended::ClientGone
}

/// What is answered without asking the client: pings, and what it did not say it can do.
pub(in crate::gateway) fn answer_at_once(question: &Question, context: &Context) -> Option<String> {
    let id = Id::from_json(&question.id)?;
    if question.method == "ping" {
        return Some(write::result(id, "{}"));
    }
    let need: Option<Need> = capability::need(&question.method, &question.params);
    let is_declared = need.is_some_and(|need| capability::declares(&context.capabilities, need));
    (!is_declared).then(|| {
        write::error(
            Some(id),
            &write::Failure {
                code: -32601,
                message: "the client did not declare this capability",
                data: None,
            },
        )
    })
}

/// A notification as the client's call is to have it; nothing where it is not for it.
pub(in crate::gateway) fn notification(
    way: &Way,
    context: &Context,
    call: &Call,
    method: &str,
    text: &str,
) -> Option<String> {
    match down::modern_notification(method) {
        down::Relay::Request => {
            let mut message = Object::read(text)?;
            let params = message.get("params").unwrap_or("{}").to_owned();
            let mut params = Object::read(&params)?;
            if params.get("progressToken") == Some(call.id.as_str()) {
                params.set("progressToken", context.progress_token.clone()?);
            } else if method == "notifications/progress" {
                return None;
            }
            message.set("params", params.write());
            Some(message.write())
        }
        down::Relay::Log => {
            let wanted = context.log_level.as_deref()?;
            let message = Object::read(text)?;
            let params = message.get("params").and_then(Object::read)?;
            down::is_severe_enough(&params.text("level")?, wanted).then(|| text.to_owned())
        }
        down::Relay::Listen => {
            // Whoever listens gets it from the session; the catalog hears of it here.
            outward(way, text);
            call.lease.publish(text);
            None
        }
        down::Relay::Drop => None,
    }
}

/// Gives the answer in the modern form. `unmet` is what the server asked for and the client does not
/// have: a call that fails without it is refused for that. `challenged` is the status of an error that
/// came with a challenge to the client.
async fn conclude(
    reply: &mut Reply<'_>,
    way: &Way,
    inbound: &Inbound,
    answer: Answer<'_>,
    unmet: Option<Need>,
    challenged: Option<u16>,
) -> Result<(), Ended> {
    if let Some(need) = unmet.filter(|_| is_failure(&answer)) {
        let required = need.required();
        let refusal = Refusal::CapabilityMissing { required };
        return reply.refuse(refusal, inbound.id(), None).await;
    }
    let Some(id) = inbound.id().and_then(Id::from_json) else {
        return Err(Refusal::Internal.into());
    };
    match answer {
        Answer::Result(result) => {
            let respelled = way
                .namespace()
                .and_then(|namespace| rewrite::result(namespace, inbound.method, result.get()));
            let result = respelled.as_deref().unwrap_or_else(|| result.get());
            let result = down::modern_result(inbound.method, result, None);
            reply.answer(200, write::result(id, &result)).await
        }
        Answer::Error(error) => {
            let declared = &inbound.context().capabilities;
            if let Some(asked) = input::url_required(error.get())
                && capability::declares(declared, Need::ElicitationUrl)
            {
                // The client comes back with the same request once the user has been there.
                let keys: Vec<String> = (1..=asked.len()).map(|n| format!("url-{n}")).collect();
                let asked: Vec<(&str, &str, &str)> = keys
                    .iter()
                    .zip(&asked)
                    .map(|(key, params)| (key.as_str(), "elicitation/create", params.as_str()))
                    .collect();
                let result = input::write_required(&asked, "", None);
                return reply.answer(200, write::result(id, &result)).await;
            }
            let (status, error) = down::modern_error(inbound.method, error.get());
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#,
                id.as_json()
            );
            reply.answer(challenged.unwrap_or(status), text).await
        }
    }
}
