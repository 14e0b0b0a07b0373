//! Tools for the gateway's own tests: load, size, cancellation, and what the server got to see.

use std::time::Duration;

use http::request::Parts;
use rmcp::model::{CallToolResult, ContentBlock, LoggingLevel, Tool};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{bare, tool, unknown};
use crate::call::{Answer, Call, failure, text};

const BYTES_MAX: u64 = 16 * 1024 * 1024;
const MILLISECONDS_MAX: u64 = 600_000;
const STEPS_MAX: u64 = 10_000;
const MESSAGES_MAX: u64 = 10_000;

pub(super) fn tools() -> Vec<Tool> {
    let number = || json!({ "type": "number" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let string = || json!({ "type": "string" });
    vec![
        tool(
            "add",
            "Adds two numbers",
            json!({ "a": number(), "b": number() }),
            &["a", "b"],
        ),
        tool(
            "echo",
            "Says what it was told",
            json!({ "message": string() }),
            &["message"],
        ),
        tool(
            "large",
            "Returns a text of so many bytes",
            json!({ "bytes": count() }),
            &["bytes"],
        ),
        tool(
            "chatter",
            "Logs so many messages, then answers",
            json!({ "messages": count() }),
            &["messages"],
        ),
        tool(
            "slow",
            "Runs for `ms` milliseconds in `steps` steps with progress after each, unless it is \
             cancelled; `run` names the run for `run_state`",
            json!({ "ms": count(), "steps": count(), "run": string() }),
            &["ms"],
        ),
        tool(
            "run_state",
            "Says whether a run of `slow` is running, finished, cancelled or unknown",
            json!({ "run": string() }),
            &["run"],
        ),
        bare(
            "seen",
            "Returns what the server saw of this request: headers, _meta, session",
        ),
    ]
}

pub(super) async fn call(call: &Call<'_>) -> Answer {
    match call.tool.as_str() {
        "add" => text((call.number("a")? + call.number("b")?).to_string()),
        "echo" => text(call.text("message")?),
        "large" => {
            let bytes = call.count("bytes", 0, BYTES_MAX)?;
            text("x".repeat(usize::try_from(bytes).unwrap_or_default()))
        }
        "chatter" => {
            for n in 0..call.count("messages", 0, MESSAGES_MAX)? {
                call.log(LoggingLevel::Info, &format!("message {n}")).await;
            }
            text("Said all")
        }
        "slow" => slow(call).await,
        "run_state" => {
            let state = call.world.runs.state(call.text("run")?);
            text(state.map_or("unknown", |state| state.name()))
        }
        "seen" => seen(call),
        _ => Err(unknown(call)),
    }
}

async fn slow(call: &Call<'_>) -> Answer {
    let length = Duration::from_millis(call.count("ms", 0, MILLISECONDS_MAX)?);
    let steps = call.count("steps", 1, STEPS_MAX)?.max(1);
    let run = match call.arguments.get("run") {
        Some(_) => Some(call.world.runs.start(call.text("run")?)),
        None => None,
    };
    let step_length = length / u32::try_from(steps).unwrap_or(u32::MAX);
    for step in 1..=steps {
        tokio::select! {
            () = call.context.ct.cancelled() => return failure("Cancelled"),
            () = sleep(step_length) => {}
        }
        #[expect(clippy::cast_precision_loss, reason = "steps are few")]
        call.progress(step as f64, steps as f64, "Working").await;
    }
    if let Some(run) = run {
        run.finish();
    }
    text("Finished")
}

fn seen(call: &Call<'_>) -> Answer {
    let headers: Value = call
        .context
        .extensions
        .get::<Parts>()
        .map_or(Value::Null, |parts| {
            let mut headers = serde_json::Map::new();
            for (name, value) in &parts.headers {
                let value = String::from_utf8_lossy(value.as_bytes());
                headers.insert(name.to_string(), Value::from(value));
            }
            headers.into()
        });
    let seen = json!({
        "headers": headers,
        "meta": call.context.meta,
        "protocolVersion": call.context.protocol_version(),
        "clientInfo": call.context.client_info(),
        "clientCapabilities": call.capabilities(),
        "session": call.session.number,
        "process": std::process::id(),
    });
    let mut result = CallToolResult::success(vec![ContentBlock::text(seen.to_string())]);
    result.structured_content = Some(seen);
    Ok(result.into())
}
