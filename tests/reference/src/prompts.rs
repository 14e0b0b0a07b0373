//! The prompts the suite gets by name, and completion of their arguments.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, Prompt, PromptArgument,
        PromptMessage, ProtocolVersion, ResourceContents, Role,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    ask::{form, put, want},
    call::invalid,
    tools::content::PNG,
};

/// What the argument completion chooses from.
const WORDS: [&str; 6] = ["paris", "park", "party", "tea", "test", "text"];

pub(crate) fn all() -> Vec<Prompt> {
    let arguments = vec![
        PromptArgument::new("arg1")
            .with_description("The first argument")
            .with_required(true),
        PromptArgument::new("arg2")
            .with_description("The second argument")
            .with_required(true),
    ];
    let uri = PromptArgument::new("resourceUri")
        .with_description("The address of the resource to embed")
        .with_required(false);
    vec![
        Prompt::new("test_simple_prompt", Some("No arguments"), None),
        Prompt::new(
            "test_prompt_with_arguments",
            Some("Repeats its arguments"),
            Some(arguments),
        ),
        Prompt::new(
            "test_prompt_with_embedded_resource",
            Some("Embeds a resource"),
            Some(vec![uri]),
        ),
        Prompt::new("test_prompt_with_image", Some("Shows an image"), None),
        Prompt::new(
            "test_input_required_result_prompt",
            Some("Needs an answer from the user first"),
            None,
        ),
    ]
}

pub(crate) async fn get(
    mut request: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let is_modern = context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
    let given = answer(&request)?;
    let GetPromptResponse::InputRequired(wanted) = &given else {
        return Ok(given);
    };
    if is_modern {
        return Ok(given);
    }
    // The legacy era has no rounds: the question goes to the client while its request waits.
    let questions = wanted.input_requests.clone().unwrap_or_default();
    let answers = put(context, questions).await;
    request.input_responses = Some(answers.map_err(invalid)?);
    answer(&request)
}

fn answer(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let argument = |name: &str| {
        request
            .arguments
            .as_ref()
            .and_then(|all| all.get(name))
            .and_then(Value::as_str)
    };
    let user = |block| PromptMessage::new(Role::User, block);
    let messages = match request.name.as_str() {
        "test_simple_prompt" => vec![user(ContentBlock::text(
            "This is a simple prompt for testing.",
        ))],
        "test_prompt_with_arguments" => {
            let (first, second) = (
                argument("arg1").unwrap_or_default(),
                argument("arg2").unwrap_or_default(),
            );
            vec![user(ContentBlock::text(format!(
                "Prompt with arguments: arg1='{first}', arg2='{second}'"
            )))]
        }
        "test_prompt_with_embedded_resource" => {
            let uri = argument("resourceUri").unwrap_or("test://example-resource");
            let resource = ResourceContents::text("Embedded resource content for testing.", uri);
            vec![
                user(ContentBlock::resource(resource)),
                user(ContentBlock::text(
                    "Please process the embedded resource above.",
                )),
            ]
        }
        "test_prompt_with_image" => vec![
            user(ContentBlock::image(PNG, "image/png")),
            user(ContentBlock::text("Please analyze the image above.")),
        ],
        "test_input_required_result_prompt" => return Ok(in_two_rounds(request)),
        unknown => return Err(invalid(format!("no prompt `{unknown}`"))),
    };
    Ok(GetPromptResult::new(messages).into())
}

fn in_two_rounds(request: &GetPromptRequestParams) -> GetPromptResponse {
    let given = request
        .input_responses
        .as_ref()
        .and_then(|responses| responses.get("user_context"))
        .filter(|response| response.is_object());
    let Some(given) = given else {
        let properties = json!({ "context": { "type": "string" } });
        let question = form(
            "What context should the prompt use?",
            properties,
            &["context"],
        );
        return want([("user_context", question)], None).into();
    };
    let context = given
        .pointer("/content/context")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let message = PromptMessage::new_text(Role::User, format!("Use this context: {context}"));
    GetPromptResult::new(vec![message]).into()
}

pub(crate) fn complete(request: &CompleteRequestParams) -> Result<CompleteResult, ErrorData> {
    let typed = request.argument.value.as_str();
    let words = WORDS.iter().filter(|word| word.starts_with(typed));
    let values = words.map(|word| (*word).to_owned()).collect();
    let completion = CompletionInfo::with_all_values(values)
        .map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(completion))
}
