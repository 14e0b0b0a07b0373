//! A message as `serde_json` reads it beside the same message as it is read here.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::acl::need::Need;
use crate::json::object::{Object, string};
use crate::json::reader::{Raw, Reader};
use crate::mcp::call::Call;
use crate::mcp::header::Headers;
use crate::refusal::Refusal;
use crate::rpc::parse::{self, Invalid, Message};

pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(parse::payload(data).is_err());
        return;
    };
    let mut reader = Reader::new(text);
    let ours = reader
        .value()
        .and_then(|value| reader.end().map(|()| value));
    let theirs: Option<&RawValue> = serde_json::from_str(text).ok();
    assert_eq!(ours.map(Raw::get).ok(), theirs.map(RawValue::get), "{text}");
    match parse::message(text) {
        Ok(message) => {
            told(&message, text);
            classify(message);
        }
        Err(invalid) => {
            match invalid {
                Invalid::Syntax => {}
                Invalid::Depth | Invalid::Shape(_) => assert!(ours.is_ok(), "{text}"),
            }
            is_json(&Refusal::from(invalid));
        }
    }
}

fn told(message: &Message<'_>, text: &str) {
    let whole = Object::read(text).unwrap_or_default();
    let once = |object: &Object<'_>, name| {
        let stands = object.members().filter(|(known, _)| *known == name).count();
        assert!(stands <= 1, "{name} stands {stands} times in {text}");
        object.get(name).map(str::to_owned)
    };
    let answer = ["result", "error"].map(|name| once(&whole, name));
    assert_eq!(
        message.method().is_none(),
        answer.iter().any(Option::is_some)
    );
    let id = once(&whole, "id");
    assert_eq!(
        once(&whole, "jsonrpc").as_deref().and_then(string),
        Some("2.0".into())
    );
    let method = once(&whole, "method");
    let method = method.as_deref().and_then(string);
    assert_eq!(message.method(), method.as_deref(), "{text}");
    if let Some(ours) = message.request_id() {
        assert_eq!(Some(ours.as_json()), id.as_deref());
    }
    let params = once(&whole, "params").filter(|params| params != "null");
    assert_eq!(message.params_text, params.as_deref());
    let object = Object::read(params.as_deref().unwrap_or("{}")).unwrap_or_default();
    let Some(read) = message.params() else {
        return;
    };
    for (name, value) in [
        ("_meta", read.meta),
        ("name", read.name),
        ("uri", read.uri),
        ("taskId", read.task_id),
        ("requestId", read.request_id),
        ("arguments", read.arguments),
        ("cursor", read.cursor),
    ] {
        let theirs = once(&object, name);
        assert_eq!(value.map(Raw::get), theirs.as_deref(), "{name} in {text}");
        let string = |text: &str| serde_json::from_str::<String>(text).ok();
        let unescaped = value.and_then(Raw::string).map(Cow::into_owned);
        assert_eq!(unescaped, theirs.as_deref().and_then(string));
    }
}

/// Whatever a message is, it is a call or is refused, and its target is the one that its server reads.
fn classify(message: Message<'_>) {
    let params = message.params_text.and_then(Object::read);
    match Call::classify(message, &Headers::default()) {
        Ok(call) => {
            if let Some(target) = &call.target {
                let params = params.unwrap_or_default();
                let mut named = ["name", "uri", "taskId"]
                    .into_iter()
                    .filter_map(|member| params.text(member));
                assert!(
                    named.any(|name| name == target.name()),
                    "{}",
                    params.write()
                );
            }
            // It is only that it ends, and in bounded room.
            drop(Need::of(&call));
        }
        Err(refusal) => is_json(&refusal),
    }
}

fn is_json(refusal: &Refusal) {
    let text = refusal.to_json(None);
    let answer: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let code = answer
        .as_ref()
        .and_then(|answer| answer.pointer("/error/code"));
    assert!(code.is_some_and(serde_json::Value::is_i64), "{text}");
}
