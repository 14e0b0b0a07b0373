//! Puts what a modern server needs to a legacy client.

use super::Round;
use crate::gateway::Ended;
use crate::gateway::guard::Watch;
use crate::gateway::link::Way;
use crate::gateway::reply::{Reply, Wake};
use crate::state::session::{Reply as Answered, Session};
use filters::guard::scope::Kind;
use filters::mcp::capability;
use filters::mcp::input;
use filters::mcp::translate::up;
use filters::refusal::Refusal;
use std::sync::Arc;
use std::time::Instant;

/// The client's answers by key, and the state to send back, JSON text.
pub(super) type Answers = (Vec<(String, String)>, Option<String>);

/// Puts what the server needs to the client, all at once, and awaits the answers.
pub(super) async fn ask(
    reply: &mut Reply<'_>,
    way: &Way,
    client: Option<&Arc<Session>>,
    round: &Round<'_>,
    result: &str,
) -> Result<Result<Answers, Refusal>, Ended> {
    let Some(required) = input::required(result) else {
        return Err(Refusal::Internal.into());
    };
    let state = required.state.map(str::to_owned);
    if required.requests.is_empty() {
        return Ok(Ok((Vec::new(), state)));
    }
    let broken = |what| Refusal::UpstreamBroken {
        server: way.server.id.to_string(),
        what,
    };
    let Some(client) = client.filter(|_| reply.has_stream()) else {
        return Ok(Err(broken("needs input, which needs a session")));
    };
    let watch = Watch::of(
        reply.exchange,
        &way.server,
        round.inbound.method,
        round.target,
    );
    let mut waiting = Vec::new();
    for request in &required.requests {
        let need = capability::need(&request.method, &request.params);
        if !need.is_some_and(|need| capability::declares(round.capabilities, need)) {
            return Ok(Err(broken("asked for what the client cannot do")));
        }
        let Some((id, answer)) = client.question() else {
            return Ok(Err(Refusal::ClientSilent));
        };
        let elicitation = filters::json::object::string(&id).unwrap_or_default();
        let params = input::legacy_params(request, &elicitation);
        let params = match watch.question(&request.method, &params) {
            Ok(changed) => changed.unwrap_or(params),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let text = up::request(&id, &request.method, Some(&params));
        reply.event(&text).await?;
        waiting.push((request.key.to_string(), request.method.to_string(), answer));
    }
    let until = Instant::now() + reply.exchange.live.parking.limits.ttl;
    let mut answers = Vec::new();
    for (key, method, answer) in waiting {
        let left = until.saturating_duration_since(Instant::now());
        let answered = tokio::time::timeout(left, answer);
        let answer = match reply.wait(answered).await? {
            Wake::Done(Ok(Ok(Answered::Result(result)))) => result,
            // A client that fails to ask its user has not been allowed to.
            Wake::Done(Ok(Ok(Answered::Error(_)))) if method == "elicitation/create" => {
                r#"{"action":"cancel"}"#.to_owned()
            }
            Wake::Done(_) => return Ok(Err(Refusal::ClientSilent)),
            Wake::Gone => return Err(Ended::ClientGone),
        };
        let given = Answered::Result(answer.clone());
        let answer = match watch.client_answer(Kind::asked(&method), &given) {
            None => answer,
            Some(Answered::Result(changed)) => changed,
            Some(Answered::Error(_)) => {
                let message = "a guardrail refuses what the client answered".to_owned();
                return Ok(Err(Refusal::Guardrail { message }));
            }
        };
        answers.push((key, answer));
    }
    Ok(Ok((answers, state)))
}
