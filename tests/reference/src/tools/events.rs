//! Tools that send something before they answer: log messages, progress, change notifications.

use std::time::Duration;

use rmcp::model::{LoggingLevel, Tool};
use serde_json::json;
use tokio::time::sleep;

use super::{bare, tool, unknown};
use crate::{
    audience::Change,
    call::{Answer, Call, text},
};

/// The suite expects a pause of about this length between two events.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn tools() -> Vec<Tool> {
    vec![
        bare(
            "test_tool_with_logging",
            "Sends three log messages while it runs",
        ),
        bare(
            "test_tool_with_progress",
            "Reports 0, 50 and 100 of 100 while it runs",
        ),
        bare(
            "test_logging_tool",
            "Sends a log message if the request names a level",
        ),
        bare(
            "test_reconnection",
            "Over a legacy session: hangs up before it answers",
        ),
        bare(
            "test_trigger_tool_change",
            "Tells the audience that the list of tools changed",
        ),
        bare(
            "test_trigger_prompt_change",
            "Tells the audience that the list of prompts changed",
        ),
        bare(
            "change_resources",
            "Tells the audience that the list of resources changed",
        ),
        tool(
            "touch",
            "Tells the watchers of a resource that it changed",
            json!({ "uri": { "type": "string" } }),
            &["uri"],
        ),
    ]
}

pub(super) async fn call(call: &Call<'_>) -> Answer {
    let change = match call.tool.as_str() {
        "test_tool_with_logging" => return logging(call).await,
        "test_tool_with_progress" => return progress(call).await,
        "test_logging_tool" => {
            call.log(
                LoggingLevel::Info,
                "Logged because the request asked for it",
            )
            .await;
            return text("Logged if asked");
        }
        "test_reconnection" => {
            // Long enough that the answer comes after the hang-up, not with it.
            sleep(PAUSE * 2).await;
            return text("Answered after the client came back");
        }
        "test_trigger_tool_change" => Change::Tools,
        "test_trigger_prompt_change" => Change::Prompts,
        "change_resources" => Change::Resources,
        "touch" => Change::Resource(call.text("uri")?.to_owned()),
        _ => return Err(unknown(call)),
    };
    let told = call.world.audience.tell(&change).await;
    text(format!("Told {told}"))
}

async fn logging(call: &Call<'_>) -> Answer {
    call.log(LoggingLevel::Info, "Tool execution started").await;
    sleep(PAUSE).await;
    call.log(LoggingLevel::Info, "Tool processing data").await;
    sleep(PAUSE).await;
    call.log(LoggingLevel::Info, "Tool execution completed")
        .await;
    text("Logged three times")
}

async fn progress(call: &Call<'_>) -> Answer {
    call.progress(0.0, 100.0, "Started").await;
    sleep(PAUSE).await;
    call.progress(50.0, 100.0, "Half way").await;
    sleep(PAUSE).await;
    call.progress(100.0, 100.0, "Done").await;
    text("Reported three times")
}
