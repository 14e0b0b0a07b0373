//! Tools that ask the client: its user, its model, its roots. They work in both eras.

use rmcp::model::{ElicitRequestParams, InputRequest, Tool};
use serde_json::{Value, json};

use super::{bare, tool, unknown};
use crate::{
    ask::{Reply, ask, form, roots, sample},
    call::{Answer, Call, failure, text},
};

pub(super) fn tools() -> Vec<Tool> {
    let prompt = || json!({ "prompt": { "type": "string" } });
    let message = || json!({ "message": { "type": "string" } });
    vec![
        tool(
            "test_sampling",
            "Lets the client's model answer a prompt",
            prompt(),
            &["prompt"],
        ),
        tool(
            "test_elicitation",
            "Asks the user for a name and an address",
            message(),
            &["message"],
        ),
        bare(
            "test_elicitation_sep1034_defaults",
            "Asks with a default for every field",
        ),
        bare(
            "test_elicitation_sep1330_enums",
            "Asks with every kind of choice",
        ),
        bare("test_list_roots", "Lists the client's roots"),
        tool(
            "ask_url",
            "Sends the user to an address (elicitation in url mode)",
            json!({ "url": { "type": "string" } }),
            &["url"],
        ),
    ]
}

pub(super) async fn call(call: &Call<'_>) -> Answer {
    let question = match call.tool.as_str() {
        "test_sampling" => sample(call.text("prompt")?),
        "test_elicitation" => form(call.text("message")?, person(), &["username", "email"]),
        "test_elicitation_sep1034_defaults" => form("Please check these values", defaults(), &[]),
        "test_elicitation_sep1330_enums" => form("Please choose", choices(), &[]),
        "test_list_roots" => roots(),
        "ask_url" => url(call.text("url")?),
        _ => return Err(unknown(call)),
    };
    match ask(call, "answer", question).await? {
        Reply::Given(reply) => text(tell(&call.tool, &reply)),
        Reply::Refused(why) => failure(format!("The client refused: {why}")),
        Reply::Wanted(result) => Ok(result.into()),
    }
}

fn tell(tool: &str, reply: &Value) -> String {
    let at = |path: &str| reply.pointer(path).cloned().unwrap_or_default();
    match tool {
        "test_sampling" => {
            let said = at("/content/text");
            format!("LLM response: {}", said.as_str().unwrap_or_default())
        }
        "test_list_roots" => format!("Roots: {}", at("/roots")),
        "test_elicitation" => {
            format!(
                "User response: action={}, content={}",
                word(&at("/action")),
                at("/content")
            )
        }
        _ => format!(
            "Elicitation completed: action={}, content={}",
            word(&at("/action")),
            at("/content")
        ),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn url(address: &str) -> InputRequest {
    let params = ElicitRequestParams::UrlElicitationParams {
        meta: None,
        message: "Please open this address".to_owned(),
        url: address.to_owned(),
        elicitation_id: "reference-1".to_owned(),
    };
    InputRequest::Elicitation(rmcp::model::ElicitRequest::new(params))
}

fn person() -> Value {
    json!({
        "username": { "type": "string", "description": "User's response" },
        "email": { "type": "string", "description": "User's email address" },
    })
}

fn defaults() -> Value {
    json!({
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": {
            "type": "string", "enum": ["active", "inactive", "pending"], "default": "active",
        },
        "verified": { "type": "boolean", "default": true },
    })
}

fn choices() -> Value {
    let options = ["option1", "option2", "option3"];
    let titled = |titles: [&str; 3]| {
        json!([
            { "const": "value1", "title": titles[0] },
            { "const": "value2", "title": titles[1] },
            { "const": "value3", "title": titles[2] },
        ])
    };
    json!({
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": {
            "type": "string",
            "oneOf": titled(["First Option", "Second Option", "Third Option"]),
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": {
            "type": "array",
            "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) },
        },
    })
}
