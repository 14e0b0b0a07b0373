//! Asking the client for something, in the way its era allows.
//!
//! Legacy: a request to the client while its own request waits. Modern: the call ends with
//! `input_required` and comes back with the answer (SEP-2322).

use futures_util::future::try_join_all;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, CreateMessageRequest, CreateMessageRequestParams, InputRequest,
        InputRequests, InputRequiredResult, InputResponses, ListRootsRequest, SamplingMessage,
        ServerRequest,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::call::Call;

const SAMPLE_TOKENS_MAX: u32 = 100;

/// What came of a question.
pub(crate) enum Reply {
    /// The client's result, as JSON.
    Given(Value),
    /// Legacy: the client answered with an error or not at all.
    Refused(String),
    /// Modern: return this and wait for the next round.
    Wanted(InputRequiredResult),
}

/// Asks `question`, to be answered under `key`.
///
/// # Errors
///
/// -32021 if a modern client did not declare that it can answer.
pub(crate) async fn ask(
    call: &Call<'_>,
    key: &str,
    question: InputRequest,
) -> Result<Reply, ErrorData> {
    if !call.is_modern() {
        let sent = send(&call.context, question).await;
        return Ok(sent.map_or_else(Reply::Refused, Reply::Given));
    }
    if let Some(given) = call
        .responses
        .get(key)
        .filter(|response| response.is_object())
    {
        return Ok(Reply::Given(given.clone()));
    }
    require(call, &question)?;
    Ok(Reply::Wanted(want([(key, question)], None)))
}

/// Legacy: puts everything that a round wants to the client, all questions at once.
///
/// # Errors
///
/// Why there is no answer.
pub(crate) async fn put(
    context: &RequestContext<RoleServer>,
    questions: InputRequests,
) -> Result<InputResponses, String> {
    let sent = questions.into_iter().map(async |(key, question)| {
        let answer = send(context, question).await?;
        Ok((key, answer))
    });
    try_join_all(sent).await.map(InputResponses::from_iter)
}

async fn send(
    context: &RequestContext<RoleServer>,
    question: InputRequest,
) -> Result<Value, String> {
    let request = legacy(question).ok_or_else(|| "no such question in this era".to_owned())?;
    let result = context.peer.send_request(request).await;
    let result = result.map_err(|error| error.to_string())?;
    serde_json::to_value(result).map_err(|error| error.to_string())
}

/// The result that asks `questions` and hands out `state`.
pub(crate) fn want<const N: usize>(
    questions: [(&str, InputRequest); N],
    state: Option<String>,
) -> InputRequiredResult {
    let questions = questions.map(|(key, question)| (key.to_owned(), question));
    InputRequiredResult::new(Some(InputRequests::from(questions)), state)
}

/// A form for the user. `properties` is what the schema's `properties` holds.
pub(crate) fn form(message: &str, properties: Value, required: &[&str]) -> InputRequest {
    let request = json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": message,
            "requestedSchema": {
                "type": "object", "properties": properties, "required": required,
            },
        },
    });
    serde_json::from_value(request).expect("callers pass literal, well-formed properties")
}

/// A prompt for the client's model.
pub(crate) fn sample(prompt: &str) -> InputRequest {
    let messages = vec![SamplingMessage::user_text(prompt)];
    let params = CreateMessageRequestParams::new(messages, SAMPLE_TOKENS_MAX);
    InputRequest::CreateMessage(CreateMessageRequest::new(params))
}

/// The client's roots.
pub(crate) fn roots() -> InputRequest {
    InputRequest::ListRoots(ListRootsRequest::default())
}

fn legacy(question: InputRequest) -> Option<ServerRequest> {
    match question {
        InputRequest::CreateMessage(request) => Some(request.into()),
        InputRequest::Elicitation(request) => Some(request.into()),
        InputRequest::ListRoots(request) => Some(request.into()),
        _ => None,
    }
}

fn require(call: &Call<'_>, question: &InputRequest) -> Result<(), ErrorData> {
    let declared = call.capabilities();
    let able = ClientCapabilities::builder;
    let (can, capability) = match question {
        InputRequest::CreateMessage(_) => (
            declared.sampling.is_some(),
            able().enable_sampling().build(),
        ),
        InputRequest::Elicitation(_) => (
            declared.elicitation.is_some(),
            able().enable_elicitation().build(),
        ),
        InputRequest::ListRoots(_) => (declared.roots.is_some(), able().enable_roots().build()),
        _ => return Ok(()),
    };
    if can {
        Ok(())
    } else {
        Err(ErrorData::missing_required_client_capability(capability))
    }
}
