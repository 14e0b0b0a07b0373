//! What the client must be able to do with a fixture server: `features.mjs` once more, in Rust.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use rmcp::ServiceError;
use serde_json::{Value, json};

use crate::{
    changes::{list_changed, resource_updated},
    host::Kind,
    peer::{Fault, List, Peer, at, check, typed},
};

const GREETING: &str = "fixture://static/greeting";
const NOTE: &str = "fixture://note/{id}";
const SHELF: &str = "fixture://shelf/{shelf}/{+path}";
const NOT_FOUND_LEGACY: i32 = -32002;
const INVALID_PARAMS: i32 = -32602;
const STEPS: usize = 3;

pub(crate) const FEATURES: [&str; 27] = [
    "tools_list",
    "tools_call",
    "tool_error",
    "unknown_tool",
    "param_header",
    "prompts_list",
    "prompts_get",
    "resources_list",
    "resources_read",
    "resource_missing",
    "templates_list",
    "template_read",
    "completion_prompt",
    "completion_template",
    "resource_links",
    "progress",
    "cancellation",
    "logging",
    "elicitation",
    "sampling",
    "roots",
    "rounds",
    "resource_updated",
    "tools_changed",
    "prompts_changed",
    "resources_changed",
    "ping",
];

/// What came of a feature that did not fail.
pub(crate) enum Seen {
    /// The same on every run, so that runs can be compared.
    Detail(Value),
    Skipped(&'static str),
}

/// A name that no other run of any client uses.
pub(crate) fn key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("rmcp-{}-{number}", process::id())
}

/// Runs one of [`FEATURES`].
pub(crate) async fn run(peer: &Peer, feature: &str) -> Result<Seen, Fault> {
    let nothing = match feature {
        "tools_list" => return names(peer, List::Tools, 18).await,
        "prompts_list" => return names(peer, List::Prompts, 10).await,
        "resources_list" => return names(peer, List::Resources, 10).await,
        "templates_list" => return templates(peer).await,
        "ping" if peer.is_modern() => return Ok(Seen::Skipped("2026-07-28 has no ping")),
        "tools_call" => tools_call(peer).await,
        "tool_error" => tool_error(peer).await,
        "unknown_tool" => unknown_tool(peer).await,
        "param_header" => param_header(peer).await,
        "prompts_get" => prompts_get(peer).await,
        "resources_read" => resources_read(peer).await,
        "resource_missing" => resource_missing(peer).await,
        "template_read" => template_read(peer).await,
        "completion_prompt" => completion_prompt(peer).await,
        "completion_template" => completion_template(peer).await,
        "resource_links" => resource_links(peer).await,
        "progress" => progress(peer).await,
        "cancellation" => cancellation(peer).await,
        "logging" => logging(peer).await,
        "elicitation" => elicitation(peer).await,
        "sampling" => sampling(peer).await,
        "roots" => roots(peer).await,
        "rounds" => rounds(peer).await,
        "resource_updated" => resource_updated(peer).await,
        "tools_changed" => list_changed(peer, List::Tools).await,
        "prompts_changed" => list_changed(peer, List::Prompts).await,
        "resources_changed" => list_changed(peer, List::Resources).await,
        "ping" => ping(peer).await,
        unknown => Err(format!("no feature {unknown}").into()),
    };
    nothing.map(|()| Seen::Detail(Value::Null))
}

// === Lists ===

/// The fixed entries of a list, of which there must be `count`.
async fn names(peer: &Peer, list: List, count: usize) -> Result<Seen, Fault> {
    let entries = peer.list(list).await?;
    let mut names: Vec<String> = entries.into_iter().map(|(name, _)| name).collect();
    names.retain(|name| !name.contains("extra_"));
    if names.len() == count {
        Ok(Seen::Detail(json!(names)))
    } else {
        Err(format!("not {count} entries: {names:?}").into())
    }
}

async fn templates(peer: &Peer) -> Result<Seen, Fault> {
    let entries = peer.list(List::Templates).await?;
    let names: Vec<&String> = entries.iter().map(|(name, _)| name).collect();
    check(&names, [NOTE, SHELF])?;
    Ok(Seen::Detail(Value::Null))
}

// === Calls ===

async fn tools_call(peer: &Peer) -> Result<(), Fault> {
    let message = "grüße 漢字 😀 \u{2028} \"quoted\" \\ back";
    let echo = peer.text("echo", json!({ "message": message })).await?;
    check(echo, format!("echo: {message}"))?;
    let sum = peer.call("add", json!({ "a": 2, "b": 40 })).await?;
    check(at(&sum, "/structuredContent"), json!({ "sum": 42 }))
}

async fn tool_error(peer: &Peer) -> Result<(), Fault> {
    let result = peer.call("fail", json!({})).await?;
    check(at(&result, "/isError"), true)?;
    check(at(&result, "/content/0/text"), "failed on purpose")
}

async fn unknown_tool(peer: &Peer) -> Result<(), Fault> {
    match peer.call("no_such_tool", json!({})).await {
        Ok(result) => check(at(&result, "/isError"), true),
        Err(error) => check(code(&error), INVALID_PARAMS),
    }
}

/// The region travels in a header, too, in the modern era over HTTP.
async fn param_header(peer: &Peer) -> Result<(), Fault> {
    peer.list(List::Tools).await?;
    for (region, city) in [("Łódź", "one"), ("eu west", "two")] {
        let arguments = json!({ "region": region, "city": city });
        let answer = peer.text("region", arguments).await?;
        check(answer, format!("{city} in {region}"))?;
    }
    Ok(())
}

async fn prompts_get(peer: &Peer) -> Result<(), Fault> {
    let plain = json!({ "name": peer.name("greeting") });
    let plain = json!(peer.service.get_prompt(typed(plain)?).await?);
    check(at(&plain, "/messages/0/content/text"), "Say hello.")?;
    let embedded = at(&plain, "/messages/1/content/resource/uri");
    check(embedded, peer.uri(GREETING))?;
    let arguments = json!({ "recipient": "Łódź", "tone": "kind" });
    let filled = json!({ "name": peer.name("letter"), "arguments": arguments });
    let filled = json!(peer.service.get_prompt(typed(filled)?).await?);
    let text = at(&filled, "/messages/0/content/text");
    check(text, "Dear Łódź, in a kind tone.")
}

async fn resources_read(peer: &Peer) -> Result<(), Fault> {
    let uri = peer.uri(GREETING);
    let greeting = peer.read(&uri).await?;
    check(at(&greeting, "/contents/0/text"), "Grüße aus dem Fixture")?;
    check(at(&greeting, "/contents/0/uri"), &uri)?;
    let pixel = peer.read(&peer.uri("fixture://static/pixel")).await?;
    check(at(&pixel, "/contents/0/mimeType"), "image/png")?;
    check(at(&pixel, "/contents/0/blob").is_string(), true)
}

async fn resource_missing(peer: &Peer) -> Result<(), Fault> {
    let answer = peer.read(&peer.uri("fixture://nowhere")).await;
    let code = answer.as_ref().err().and_then(code);
    let legacy = !peer.is_modern() && code == Some(NOT_FOUND_LEGACY);
    if legacy || code == Some(INVALID_PARAMS) {
        Ok(())
    } else {
        Err(format!("answered {answer:?}").into())
    }
}

async fn template_read(peer: &Peer) -> Result<(), Fault> {
    let uri = peer.uri(&NOTE.replace("{id}", "only%20one"));
    let note = peer.read(&uri).await?;
    check(at(&note, "/contents/0/text"), "This is note only one.")?;
    check(at(&note, "/contents/0/uri"), &uri)
}

async fn complete(peer: &Peer, params: Value) -> Result<Value, Fault> {
    let answer = json!(peer.service.complete(typed(params)?).await?);
    Ok(at(&answer, "/completion/values").clone())
}

async fn completion_prompt(peer: &Peer) -> Result<(), Fault> {
    let letter = json!({ "type": "ref/prompt", "name": peer.name("letter") });
    let first = json!({ "ref": letter, "argument": { "name": "recipient", "value": "ad" } });
    check(complete(peer, first).await?, ["ada", "adam"])?;
    let context = json!({ "arguments": { "recipient": "ada" } });
    let tone = json!({ "name": "tone", "value": "" });
    let second = json!({ "ref": letter, "argument": tone, "context": context });
    check(complete(peer, second).await?, ["ada-friendly"])
}

async fn completion_template(peer: &Peer) -> Result<(), Fault> {
    let note = json!({ "type": "ref/resource", "uri": peer.uri(NOTE) });
    let params = json!({ "ref": note, "argument": { "name": "id", "value": "on" } });
    check(complete(peer, params).await?, ["one", "only"])
}

async fn resource_links(peer: &Peer) -> Result<(), Fault> {
    let result = peer.call("link", json!({})).await?;
    let uri = at(&result, "/content/0/uri");
    check(at(&result, "/content/1/resource/uri"), uri)?;
    let read = peer.read(uri.as_str().unwrap_or_default()).await?;
    let embedded = at(&result, "/content/1/resource/text");
    check(at(&read, "/contents/0/text"), embedded)
}

// === What happens during a call ===

/// The tool takes its next step only once the client saw the last one and called `advance`.
async fn progress(peer: &Peer) -> Result<(), Fault> {
    let (key, mark) = (key(), peer.inbox.mark());
    let advance = async {
        for step in 1..=STEPS {
            let enough = |events: &[Value]| events.len() >= step;
            peer.inbox.wait(mark, Kind::Progress, enough).await?;
            peer.text("advance", json!({ "key": key, "step": step }))
                .await?;
        }
        Ok(())
    };
    let (done, ()) = tokio::try_join!(peer.text("progress", json!({ "key": key })), advance)?;
    check(done, "done")?;
    let events = peer.inbox.since(mark, Kind::Progress);
    let steps: Vec<_> = events.iter().map(|event| at(event, "/progress")).collect();
    check(steps, [1.0, 2.0, 3.0])
}

/// `hold` ends only when its server hears of the cancellation; it reports progress once it runs.
async fn cancellation(peer: &Peer) -> Result<(), Fault> {
    let (key, mark) = (key(), peer.inbox.mark());
    let started = peer
        .inbox
        .wait(mark, Kind::Progress, |events| !events.is_empty());
    tokio::select! {
        // Dropping the call cancels it.
        result = peer.call("hold", json!({ "key": key })) => {
            return Err(format!("it ended: {result:?}").into());
        }
        started = started => drop(started?),
    }
    let count = peer.text("cancelled_count", json!({ "key": key })).await?;
    check(count, "1")
}

/// The levels of the `count` messages that come at this level, sorted: this SDK hands each
/// notification to a task of its own, so that they may change places.
async fn levels_at(peer: &Peer, level: &str, count: usize) -> Result<Vec<String>, Fault> {
    let (key, mark) = (key(), peer.inbox.mark());
    let mut meta = json!({});
    if peer.is_modern() {
        meta = json!({ "io.modelcontextprotocol/logLevel": level });
    } else {
        let params = typed(json!({ "level": level }))?;
        peer.service.set_level(params).await?;
    }
    peer.call_with("log", json!({ "key": key }), meta).await?;
    let ours = |event: &&Value| at(event, "/data/key") == &key;
    let enough = |events: &[Value]| events.iter().filter(ours).count() >= count;
    let events = peer.inbox.wait(mark, Kind::Log, enough).await?;
    let levels = events.iter().filter(ours).map(|event| at(event, "/level"));
    let mut levels: Vec<String> = levels.map(ToString::to_string).collect();
    levels.sort();
    Ok(levels)
}

async fn logging(peer: &Peer) -> Result<(), Fault> {
    let warnings = levels_at(peer, "warning", 2).await?;
    check(warnings, [r#""error""#, r#""warning""#])?;
    let all = levels_at(peer, "debug", 4).await?;
    check(
        all,
        [r#""debug""#, r#""error""#, r#""info""#, r#""warning""#],
    )
}

// === What the server asks ===

async fn elicitation(peer: &Peer) -> Result<(), Fault> {
    let mark = peer.inbox.mark();
    let accepted = peer.text("ask_elicitation", json!({})).await?;
    check(accepted, "elicited: accept Ada")?;
    let asked = peer.inbox.since(mark, Kind::Elicitation);
    let messages: Vec<_> = asked.iter().map(|params| at(params, "/message")).collect();
    check(messages, ["What is your name?"])?;
    peer.inbox.decline(true);
    let declined = peer.text("ask_elicitation", json!({})).await;
    peer.inbox.decline(false);
    check(declined?, "elicited: decline")
}

async fn sampling(peer: &Peer) -> Result<(), Fault> {
    let mark = peer.inbox.mark();
    let answer = peer.text("ask_sampling", json!({})).await?;
    check(answer, "sampled: Paris, says the model")?;
    let asked = peer.inbox.since(mark, Kind::Sampling);
    let tokens: Vec<_> = asked
        .iter()
        .map(|params| at(params, "/maxTokens"))
        .collect();
    check(tokens, [100])
}

async fn roots(peer: &Peer) -> Result<(), Fault> {
    let answer = peer.text("ask_roots", json!({})).await?;
    check(answer, "roots: file:///srv/one")
}

/// Three questions in one call.
async fn rounds(peer: &Peer) -> Result<(), Fault> {
    let answer = peer.text("interview", json!({})).await?;
    check(
        answer,
        "interview: Ada, Paris, says the model, file:///srv/one",
    )
}

async fn ping(peer: &Peer) -> Result<(), Fault> {
    let ping = rmcp::model::PingRequest::default();
    peer.service.send_request(ping.into()).await?;
    Ok(())
}

fn code(error: &ServiceError) -> Option<i32> {
    let ServiceError::McpError(error) = error else {
        return None;
    };
    Some(error.code.0)
}
