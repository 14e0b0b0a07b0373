//! The tasks extension (SEP-2663): calls that answer with a task to be polled.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, InputRequest, Tool,
    },
    task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{bare, tool, unknown};
use crate::{
    ask::{form, want},
    call::{Answer, Call, invalid, text},
};

const POLL_MS: u64 = 250;
const SECONDS_MAX: f64 = 600.0;
/// Long enough for a client to see the task at work.
const SHORT_WORK: Duration = Duration::from_millis(200);
const FAILING_WORK: Duration = Duration::from_secs(1);

pub(super) fn tools() -> Vec<Tool> {
    vec![
        tool(
            "greet",
            "Greets, never as a task",
            json!({ "name": { "type": "string" } }),
            &["name"],
        ),
        tool(
            "slow_compute",
            "Takes its time, as a task if the client can",
            json!({ "seconds": { "type": "number" }, "label": { "type": "string" } }),
            &[],
        ),
        bare("failing_job", "A task that completes with a tool error"),
        bare(
            "protocol_error_job",
            "Fails with a protocol error, as a task if the client can",
        ),
        tool(
            "confirm_delete",
            "A task that needs a confirmation",
            json!({ "filename": { "type": "string" } }),
            &[],
        ),
        bare("multi_input", "A task that needs two answers at once"),
        bare("test_tool_with_task", "Needs a name, then becomes a task"),
    ]
}

pub(super) async fn call(call: &Call<'_>) -> Answer {
    let can = call.capabilities().supports_tasks();
    match call.tool.as_str() {
        "greet" => text(format!("Hello, {}!", call.text("name")?)),
        "slow_compute" => {
            let seconds = match call.arguments.get("seconds") {
                Some(_) => call.number("seconds")?,
                None => 1.0,
            };
            if !(0.0..=SECONDS_MAX).contains(&seconds) {
                return Err(invalid(format!("`seconds` must be 0 to {SECONDS_MAX}")));
            }
            let length = Duration::from_secs_f64(seconds);
            if can {
                return start(call, move |task| Box::pin(compute(task, length)));
            }
            sleep(length).await;
            text("Computed")
        }
        "protocol_error_job" if can => start(call, |_| {
            Box::pin(async {
                sleep(SHORT_WORK).await;
                Err(TaskExit::Error(broken()))
            })
        }),
        "protocol_error_job" => Err(broken()),
        // All that follow cannot do without a task.
        _ if !can => {
            let missing = ClientCapabilities::builder().enable_tasks().build();
            Err(ErrorData::missing_required_client_capability(missing))
        }
        "failing_job" => start(call, |_| {
            Box::pin(async {
                sleep(FAILING_WORK).await;
                Ok(CallToolResult::error(vec![ContentBlock::text(
                    "The job failed, as it should",
                )]))
            })
        }),
        "confirm_delete" => {
            let file = match call.arguments.get("filename") {
                Some(_) => call.text("filename")?.to_owned(),
                None => "file.txt".to_owned(),
            };
            start(call, move |task| Box::pin(confirm_delete(task, file)))
        }
        "multi_input" => start(call, |task| Box::pin(multi_input(task))),
        "test_tool_with_task" => name_then_task(call),
        _ => Err(unknown(call)),
    }
}

fn start(call: &Call<'_>, work: impl FnOnce(TaskContext) -> TaskFuture) -> Answer {
    let options = TaskOptions::new().with_poll_interval_ms(POLL_MS);
    Ok(CreateTaskResult::new(call.world.tasks.spawn(options, work)).into())
}

fn name_then_task(call: &Call<'_>) -> Answer {
    let Some(given) = call
        .responses
        .get("user_name")
        .filter(|given| given.is_object())
    else {
        let question = form(
            "What is your name?",
            json!({ "name": { "type": "string" } }),
            &["name"],
        );
        return Ok(want([("user_name", question)], None).into());
    };
    let name = given
        .pointer("/content/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    start(call, move |_| {
        Box::pin(async move {
            sleep(SHORT_WORK).await;
            done(format!("Hello, {name}, from a task"))
        })
    })
}

async fn compute(task: TaskContext, length: Duration) -> Result<CallToolResult, TaskExit> {
    tokio::select! {
        () = task.cancelled() => Err(TaskExit::Cancelled),
        () = sleep(length) => done("Computed".to_owned()),
    }
}

async fn confirm_delete(task: TaskContext, file: String) -> Result<CallToolResult, TaskExit> {
    let properties = json!({ "confirm": { "type": "boolean" } });
    let question = form(&format!("Delete {file}?"), properties, &["confirm"]);
    let given = task.request_input("confirm", question).await?;
    let confirmed = given.pointer("/content/confirm") == Some(&Value::Bool(true));
    done(format!(
        "{file}: {}",
        if confirmed { "deleted" } else { "kept" }
    ))
}

async fn multi_input(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let question = |what: &str| -> InputRequest {
        form(
            &format!("Which {what}?"),
            json!({ "value": { "type": "string" } }),
            &["value"],
        )
    };
    let (first, second) = tokio::join!(
        task.request_input("first", question("first value")),
        task.request_input("second", question("second value")),
    );
    done(format!("{} and {}", first?, second?))
}

fn done(said: String) -> Result<CallToolResult, TaskExit> {
    Ok(CallToolResult::success(vec![ContentBlock::text(said)]))
}

fn broken() -> ErrorData {
    ErrorData::internal_error("the job broke the protocol, as it should", None)
}
