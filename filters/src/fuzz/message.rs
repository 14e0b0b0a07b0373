//! The body of the fuzz target of messages: against serde's own view of the same text.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::acl::need::Need;
use crate::bounds::DEPTH_MAX;
use crate::json::scan;
use crate::mcp::call::Call;
use crate::mcp::header::Headers;
use crate::refusal::Refusal;
use crate::rpc::parse::{self, Body, Invalid, Message, Payload};

pub(super) fn run(data: &[u8]) {
    match parse::payload(data) {
        Ok(Payload::One(message)) => {
            assert!(scan::nests_within(data, DEPTH_MAX), "{data:?}");
            compare(&message, data);
            classify(message);
        }
        Ok(Payload::Batch(entries)) => {
            for entry in entries {
                match parse::message(entry.get()) {
                    Ok(message) => {
                        compare(&message, entry.get().as_bytes());
                        classify(message);
                    }
                    Err(invalid) => told(invalid),
                }
            }
        }
        Err(invalid) => told(invalid),
    }
}

/// What was read of a message is what anybody reads of it.
fn compare(message: &Message<'_>, data: &[u8]) {
    let is_json = serde_json::from_slice::<IgnoredAny>(data).is_ok();
    assert!(is_json, "{data:?}");
    // Numbers that fit no double are JSON, and no values of serde's.
    let Ok(whole) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let same = |text: &str, member: &Value| {
        let value: Option<Value> = serde_json::from_str(text).ok();
        assert_eq!(value.as_ref(), Some(member), "{whole}");
    };
    assert_eq!(whole["jsonrpc"], "2.0", "{whole}");
    assert_eq!(message.method(), whole["method"].as_str(), "{whole}");
    match &message.body {
        Body::Request { id, .. } => same(id.as_json(), &whole["id"]),
        Body::Notification { .. } => assert!(whole.get("id").is_none(), "{whole}"),
        Body::Response { .. } => assert!(whole.get("method").is_none(), "{whole}"),
    }
    if let Some(params) = message.params_text {
        same(params, &whole["params"]);
    }
    let Some(params) = message.params() else {
        return;
    };
    for (name, read) in [
        ("_meta", params.meta),
        ("name", params.name),
        ("uri", params.uri),
        ("taskId", params.task_id),
        ("requestId", params.request_id),
        ("arguments", params.arguments),
        ("cursor", params.cursor),
    ] {
        match read {
            Some(raw) => same(raw.get(), &whole["params"][name]),
            None => assert!(
                whole["params"].get(name).is_none_or(Value::is_null),
                "{whole}"
            ),
        }
    }
}

/// Whatever it is, it is a call or is refused, and its target is the one that its server reads.
fn classify(message: Message<'_>) {
    let params: Value = message
        .params_text
        .and_then(|params| serde_json::from_str(params).ok())
        .unwrap_or_default();
    match Call::classify(message, &Headers::default()) {
        Ok(call) => {
            if let Some(target) = &call.target {
                let named = ["name", "uri", "taskId"].map(|member| params[member].as_str());
                assert!(named.contains(&Some(target.name())), "{params}");
            }
            // It is only that it ends, and in bounded room.
            drop(Need::of(&call));
        }
        Err(refusal) => is_json(&refusal),
    }
}

fn told(invalid: Invalid) {
    is_json(&Refusal::from(invalid));
}

fn is_json(refusal: &Refusal) {
    let text = refusal.to_json(None);
    let answer: Option<Value> = serde_json::from_str(&text).ok();
    let code = answer.map(|answer| answer["error"]["code"].is_i64());
    assert_eq!(code, Some(true), "{text}");
}
