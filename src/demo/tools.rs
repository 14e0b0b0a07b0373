//! The tools. Each is a method; rmcp makes its schema from the argument type and its description
//! from the comment.

use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use rmcp::{
    ErrorData, Json, RoleServer,
    handler::server::{
        tool::{InputResponses, RequestState},
        wrapper::Parameters,
    },
    model::{CallToolResponse, CallToolResult, ContentBlock, ElicitationSchema, LoggingLevel},
    service::RequestContext,
    tool, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    caller::Reply,
    resources::{NOTES, note_uri},
    server::Server,
};

const SECONDS_MAX: f64 = 60.0;
const STEPS_MAX: u32 = 100;
const GUESTS_MAX: i64 = 12;
const NAME_CHARS_MAX: u32 = 80;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Message {
    /// What to say.
    message: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Addends {
    a: f64,
    b: f64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Sum {
    sum: f64,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Time {
    /// The time in UTC, as RFC 3339 writes it.
    utc: String,
    /// Whole seconds since 1970.
    unix_seconds: i64,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Work {
    /// How long to work, in seconds (5 if left out).
    #[serde(default = "Work::seconds")]
    #[schemars(range(min = 0.0, max = 60.0))]
    seconds: f64,
    /// In how many steps, with a progress notification after each (5 if left out).
    #[serde(default = "Work::steps")]
    #[schemars(range(min = 1, max = 100))]
    steps: u32,
}

impl Work {
    fn seconds() -> f64 {
        5.0
    }

    fn steps() -> u32 {
        5
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Restaurant {
    /// Where to book.
    restaurant: String,
}

/// What `book_table` asks the user.
#[derive(Deserialize)]
struct Party {
    guests: u8,
    name: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Note {
    /// 1 to 64 letters, digits, `-` or `_`.
    name: String,
    /// At most 4096 bytes.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct NoteName {
    /// The name of the note.
    name: String,
}

#[tool_router(vis = "pub(super)")]
impl Server {
    /// Says what it was told.
    #[tool(
        title = "Echo",
        annotations(
            title = "Echo",
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn echo(&self, Parameters(Message { message }): Parameters<Message>) -> String {
        message
    }

    /// Adds two numbers.
    #[tool(
        title = "Add",
        annotations(
            title = "Add",
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn add(&self, Parameters(Addends { a, b }): Parameters<Addends>) -> Json<Sum> {
        Json(Sum { sum: a + b })
    }

    /// Tells the time.
    #[tool(
        title = "Now",
        annotations(
            title = "Now",
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn now(&self) -> Json<Time> {
        let now = Utc::now();
        Json(Time {
            utc: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            unix_seconds: now.timestamp(),
        })
    }

    /// Works for a while and reports how far it is. Can be cancelled at any time.
    #[tool(
        title = "Slow",
        annotations(
            title = "Slow",
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn slow(
        &self,
        Parameters(Work { seconds, steps }): Parameters<Work>,
        request: RequestContext<RoleServer>,
    ) -> CallToolResult {
        if !(0.0..=SECONDS_MAX).contains(&seconds) || !(1..=STEPS_MAX).contains(&steps) {
            return failure(format!(
                "`seconds` is 0 to {SECONDS_MAX}, `steps` 1 to {STEPS_MAX}"
            ));
        }
        let caller = self.caller(&request);
        let step_length = Duration::from_secs_f64(seconds) / steps;
        for step in 1..=steps {
            tokio::select! {
                () = request.ct.cancelled() => return failure("cancelled"),
                () = sleep(step_length) => {}
            }
            caller
                .progress(step, steps, &format!("step {step} of {steps}"))
                .await;
        }
        success(format!("worked for {seconds} s in {steps} steps"))
    }

    /// Books a table at a restaurant (not really). Asks the user for how many, and the name.
    #[tool(
        title = "Book a table",
        annotations(
            title = "Book a table",
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn book_table(
        &self,
        Parameters(Restaurant { restaurant }): Parameters<Restaurant>,
        RequestState(state): RequestState,
        InputResponses(answers): InputResponses,
        request: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // State comes with an answer only. It ties the answer to the question it was given to.
        if let Some(state) = state {
            self.check_seal(&state, &restaurant)?;
        } else if answers.is_some() {
            return Err(ErrorData::invalid_params(
                "an answer needs its requestState",
                None,
            ));
        }
        let caller = self.caller(&request);
        let question = format!("A table at {restaurant}: for how many, and under which name?");
        let state = self.seal(&restaurant);
        let reply = caller
            .ask(&question, party_form(), answers.as_ref(), state)
            .await?;
        Ok(match reply {
            Reply::Answered(Party { guests, name }) => success(format!(
                "A table for {guests} at {restaurant} is booked under the name {name}."
            ))
            .into(),
            Reply::Declined => success("Nothing was booked: the user declined.").into(),
            Reply::Unasked(why) => failure(format!("Nothing was booked: {why}.")).into(),
            Reply::Later(result) => result.into(),
        })
    }

    /// Keeps a new note. It can be read as the resource `demo://note/{name}`.
    #[tool(
        title = "Remember",
        annotations(
            title = "Remember",
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn remember(
        &self,
        Parameters(Note { name, text }): Parameters<Note>,
        request: RequestContext<RoleServer>,
    ) -> CallToolResult {
        if let Err(refused) = self.world().notes.remember(&name, &text) {
            return failure(refused.to_string());
        }
        self.note_changed(&name).await;
        self.caller(&request)
            .log(LoggingLevel::Info, format!("remembered {name}"))
            .await;
        success(format!("remembered as {}", note_uri(&name)))
    }

    /// Drops a note for good.
    #[tool(
        title = "Forget",
        annotations(
            title = "Forget",
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn forget(
        &self,
        Parameters(NoteName { name }): Parameters<NoteName>,
        request: RequestContext<RoleServer>,
    ) -> CallToolResult {
        if !self.world().notes.forget(&name) {
            return success(format!("there was no note `{name}`"));
        }
        self.note_changed(&name).await;
        self.caller(&request)
            .log(LoggingLevel::Info, format!("forgot {name}"))
            .await;
        success(format!("forgot `{name}`"))
    }
}

impl Server {
    async fn note_changed(&self, name: &str) {
        self.world()
            .audience
            .tell(&[NOTES.to_owned(), note_uri(name)])
            .await;
    }
}

fn party_form() -> ElicitationSchema {
    ElicitationSchema::builder()
        .required_integer_with("guests", |guests| {
            guests.title("Guests").range(1, GUESTS_MAX)
        })
        .required_string_with("name", |name| name.title("Name").length(1, NAME_CHARS_MAX))
        .build_unchecked()
}

fn success(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

/// The tool ran and failed; the user should read why.
fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}
