//! Calls in several rounds (SEP-2322), as the suite plays them.
//!
//! The legacy era has no rounds: there, each question goes to the client while its call waits.

use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, ClientCapabilities, InputRequest, InputRequests, InputRequiredResult,
        Tool,
    },
};
use serde_json::{Value, json};

use super::{bare, unknown};
use crate::{
    ask::{form, put, roots, sample, want},
    call::{Answer, Call, failure, invalid, text},
};

/// How often a legacy call asks before it gives up; no tool here needs more.
const LEGACY_ROUNDS_MAX: usize = 3;

pub(super) fn tools() -> Vec<Tool> {
    vec![
        bare(
            "test_input_required_result_elicitation",
            "Needs an answer from the user",
        ),
        bare(
            "test_input_required_result_sampling",
            "Needs an answer from the model",
        ),
        bare(
            "test_input_required_result_list_roots",
            "Needs the client's roots",
        ),
        bare(
            "test_input_required_result_request_state",
            "Needs a confirmation, keeps state",
        ),
        bare(
            "test_input_required_result_tampered_state",
            "Needs a confirmation, keeps state",
        ),
        bare(
            "test_input_required_result_multiple_inputs",
            "Needs three answers at once",
        ),
        bare(
            "test_input_required_result_multi_round",
            "Needs two answers, one after the other",
        ),
        bare(
            "test_input_required_result_capabilities",
            "Asks only what the client can answer",
        ),
        bare("test_streaming_elicitation", "Always needs an answer"),
        bare(
            "test_missing_capability",
            "Works for clients with a model only",
        ),
    ]
}

pub(super) async fn call(mut call: Call<'_>) -> Answer {
    for _ in 0..LEGACY_ROUNDS_MAX {
        let answer = round(&call)?;
        let CallToolResponse::InputRequired(wanted) = &answer else {
            return Ok(answer);
        };
        if call.is_modern() {
            return Ok(answer);
        }
        let questions = wanted.input_requests.clone().unwrap_or_default();
        match put(&call.context, questions).await {
            Ok(answers) => call.responses = answers,
            Err(why) => return failure(format!("The client refused: {why}")),
        }
        call.state.clone_from(&wanted.request_state);
    }
    failure("Still not enough answers")
}

fn round(call: &Call<'_>) -> Answer {
    match call.tool.as_str() {
        "test_input_required_result_elicitation" => match response(call, "user_name") {
            Some(given) => text(format!("Hello, {}!", field(given, "/content/name"))),
            None => Ok(want([("user_name", name("What is your name?"))], None).into()),
        },
        "test_input_required_result_sampling" => match response(call, "capital_question") {
            Some(given) => text(format!("The model says: {}", field(given, "/content/text"))),
            None => {
                let question = sample("What is the capital of France?");
                Ok(want([("capital_question", question)], None).into())
            }
        },
        "test_input_required_result_list_roots" => match response(call, "client_roots") {
            Some(given) => text(format!("Your roots: {}", given["roots"])),
            None => Ok(want([("client_roots", roots())], None).into()),
        },
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => confirm(call),
        "test_input_required_result_multiple_inputs" => three_at_once(call),
        "test_input_required_result_multi_round" => one_after_the_other(call),
        "test_input_required_result_capabilities" => what_the_client_can(call),
        "test_streaming_elicitation" => Ok(want([("value", name("What value?"))], None).into()),
        "test_missing_capability" => {
            if call.capabilities().sampling.is_some() {
                return text("Sampling is declared");
            }
            if !call.is_modern() {
                // No code for it in this era: a server finds out by asking.
                return Ok(want([("value", sample("Are you there?"))], None).into());
            }
            let missing = ClientCapabilities::builder().enable_sampling().build();
            Err(ErrorData::missing_required_client_capability(missing))
        }
        _ => Err(unknown(call)),
    }
}

fn confirm(call: &Call<'_>) -> Answer {
    let state = open(call)?;
    if state.is_some() && response(call, "confirm").is_some() {
        return text("Confirmed: state-ok");
    }
    let properties = json!({ "ok": { "type": "boolean" } });
    let question = form("Please confirm", properties, &["ok"]);
    Ok(want([("confirm", question)], Some(seal(call, "confirming"))).into())
}

fn three_at_once(call: &Call<'_>) -> Answer {
    let state = open(call)?;
    let keys = ["user_name", "greeting", "client_roots"];
    if state.is_some() && keys.iter().all(|key| response(call, key).is_some()) {
        return text("All three are here");
    }
    let questions = [
        ("user_name", name("What is your name?")),
        ("greeting", sample("Generate a greeting")),
        ("client_roots", roots()),
    ];
    Ok(want(questions, Some(seal(call, "gathering"))).into())
}

fn one_after_the_other(call: &Call<'_>) -> Answer {
    match open(call)?.as_deref() {
        Some("asked step1") if response(call, "step1").is_some() => {
            let properties = json!({ "color": { "type": "string" } });
            let question = form(
                "Step 2: What is your favorite color?",
                properties,
                &["color"],
            );
            Ok(want([("step2", question)], Some(seal(call, "asked step2"))).into())
        }
        Some("asked step2") if response(call, "step2").is_some() => text("Both steps are done"),
        _ => {
            let question = name("Step 1: What is your name?");
            Ok(want([("step1", question)], Some(seal(call, "asked step1"))).into())
        }
    }
}

fn what_the_client_can(call: &Call<'_>) -> Answer {
    if !call.responses.is_empty() {
        return text("Thank you");
    }
    let declared = call.capabilities();
    let possible = [
        (
            declared.elicitation.is_some(),
            "user_name",
            name("What is your name?"),
        ),
        (
            declared.sampling.is_some(),
            "greeting",
            sample("Generate a greeting"),
        ),
        (declared.roots.is_some(), "client_roots", roots()),
    ];
    let questions: InputRequests = possible
        .into_iter()
        .filter(|(can, _, _)| *can)
        .map(|(_, key, question)| (key.to_owned(), question))
        .collect();
    if questions.is_empty() {
        return text("The client can answer nothing");
    }
    Ok(InputRequiredResult::from_input_requests(questions).into())
}

/// The answer under `key`; what is not an object is no answer, so it is asked for again.
fn response<'a>(call: &'a Call<'_>, key: &str) -> Option<&'a Value> {
    call.responses
        .get(key)
        .filter(|response| response.is_object())
}

fn field<'a>(given: &'a Value, path: &str) -> &'a str {
    given
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn name(message: &str) -> InputRequest {
    form(message, json!({ "name": { "type": "string" } }), &["name"])
}

fn seal(call: &Call<'_>, step: &str) -> String {
    call.world.seal.seal(step.as_bytes())
}

/// What [`seal`] put into the request state; state that is not ours is refused.
fn open(call: &Call<'_>) -> Result<Option<String>, ErrorData> {
    let Some(sealed) = &call.state else {
        return Ok(None);
    };
    let refused = || invalid("the requestState was not issued by this server".to_owned());
    let step = call.world.seal.open(sealed).map_err(|_| refused())?;
    String::from_utf8(step).map(Some).map_err(|_| refused())
}
