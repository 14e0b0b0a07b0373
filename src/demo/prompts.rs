//! The prompts, and completion of their arguments.

use rmcp::{
    ErrorData,
    handler::server::wrapper::Parameters,
    model::{
        CompleteRequestParams, CompleteResult, CompletionInfo, ContentBlock, PromptMessage,
        Reference, ResourceContents, Role,
    },
    prompt, prompt_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{notes::Notes, resources::NOTES, server::Server};

/// The languages `greet` offers.
const LANGUAGES: [&str; 8] = [
    "danish",
    "dutch",
    "english",
    "french",
    "german",
    "italian",
    "portuguese",
    "spanish",
];

#[derive(Deserialize, JsonSchema)]
pub(super) struct Greeting {
    /// Whom to greet.
    name: String,
    /// In which language (English if left out).
    language: Option<String>,
}

#[prompt_router(vis = "pub(super)")]
impl Server {
    /// Asks the model to greet someone.
    #[prompt(title = "Greet")]
    async fn greet(
        &self,
        Parameters(Greeting { name, language }): Parameters<Greeting>,
    ) -> Vec<PromptMessage> {
        let language = language.as_deref().unwrap_or("english");
        let text = format!("Greet {name} warmly, in one sentence, in this language: {language}.");
        vec![PromptMessage::new_text(Role::User, text)]
    }

    /// Asks the model to sum up all notes.
    #[prompt(title = "Summarize the notes")]
    async fn summarize(&self) -> Vec<PromptMessage> {
        let notes = ResourceContents::text(self.world().notes.page(), NOTES)
            .with_mime_type("text/markdown");
        vec![
            PromptMessage::new(Role::User, ContentBlock::resource(notes)),
            PromptMessage::new_text(Role::User, "Sum up these notes in a few sentences."),
        ]
    }
}

/// Completes the language of `greet` and the name of a note.
pub(super) fn complete(
    request: &CompleteRequestParams,
    notes: &Notes,
) -> Result<CompleteResult, ErrorData> {
    let all = match (&request.r#ref, request.argument.name.as_str()) {
        (Reference::Prompt(prompt), "language") if prompt.name == "greet" => {
            LANGUAGES.map(str::to_owned).to_vec()
        }
        (Reference::Resource(_), "name") => notes.names(),
        (Reference::Prompt(_) | Reference::Resource(_) | _, _) => Vec::new(),
    };
    let typed = request.argument.value.to_lowercase();
    let fitting = all
        .into_iter()
        .filter(|value| value.to_lowercase().starts_with(&typed));
    // A store of at most a hundred notes never has more than a completion may hold.
    let completion = CompletionInfo::with_all_values(fitting.collect())
        .map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(completion))
}

#[cfg(test)]
mod tests {
    use rmcp::model::{ArgumentInfo, CompleteRequestParams, Reference};

    use super::{Notes, complete};

    fn values(reference: Reference, argument: &str, typed: &str) -> Vec<String> {
        let notes = Notes::default();
        notes.remember("milk", "").unwrap();
        notes.remember("mail", "").unwrap();
        let argument = ArgumentInfo::new(argument, typed);
        complete(&CompleteRequestParams::new(reference, argument), &notes)
            .unwrap()
            .completion
            .values
    }

    #[test]
    fn languages_complete_whatever_the_case() {
        assert_eq!(
            values(Reference::for_prompt("greet"), "language", "D"),
            ["danish", "dutch"]
        );
    }

    #[test]
    fn note_names_complete_in_the_template() {
        let template = || Reference::for_resource("demo://note/{name}");
        assert_eq!(values(template(), "name", "mi"), ["milk"]);
        assert_eq!(values(template(), "name", ""), ["mail", "milk"]);
    }

    #[test]
    fn an_argument_without_choices_completes_to_nothing() {
        assert!(values(Reference::for_prompt("greet"), "name", "").is_empty());
        assert!(values(Reference::for_prompt("summarize"), "language", "").is_empty());
    }
}
