//! Entries of a batch (2025-03-26) at one server: each as if it had come alone.

use serde_json::{Value, json};

use super::ask::{Ask, call};
use super::site::{Gate, Place, Say, Site, Speech};
use super::{Bed, config, told};
use crate::support::gateway::Gateway;
use crate::support::message::post;
use crate::support::upstream::{end, event, sse_head};
use crate::support::wire::{self, Answer, Request};

fn cached(speech: Speech) -> Place {
    let place = Place::new("s").speaks(speech);
    place.cache(json!({ "default_ttl": 3600, "list_ttl": 3600 }))
}

/// What a message of the revision that has batches is sent with.
fn dated(text: String) -> Request {
    post("/mcp/s", text).header("mcp-protocol-version", "2025-03-26")
}

/// A message that comes alone.
fn alone(ask: &Ask) -> Request {
    dated(ask.clone().legacy().message())
}

/// A batch of these, numbered from 1.
fn batch(entries: &[Ask]) -> Request {
    let numbered = entries.iter().zip(1_u32..);
    let messages = numbered.map(|(ask, n)| ask.clone().legacy().id(&n.to_string()).message());
    dated(format!("[{}]", messages.collect::<Vec<_>>().join(",")))
}

async fn send(bed: &Bed, request: &Request) -> Answer {
    wire::ask(bed.gateway.address, request).await
}

/// The ids and texts of a batch's answers, in their order.
fn texts(answer: &Answer) -> Vec<String> {
    let answers = answer.json();
    let answers = answers.as_array().unwrap().iter();
    let text = |one: &Value| {
        let said = one["result"]["content"][0]["text"].as_str();
        let said = said.map_or_else(|| one["error"]["code"].to_string(), str::to_owned);
        format!("{} {said}", one["id"])
    };
    answers.map(text).collect()
}

#[tokio::test]
async fn equal_entries_are_asked_once_and_found_by_whoever_comes_next() {
    for speech in [Speech::LegacyJson, Speech::LegacySse, Speech::ModernJson] {
        let bed = Bed::plain(vec![cached(speech)]).await;
        let (read, other) = (call("read", "{}"), call("read", r#"{"a":1}"#));
        let equal = batch(&[read.clone(), read.clone(), read.clone()]);
        for _ in 0..2 {
            let answer = send(&bed, &equal).await;
            assert_eq!(texts(&answer), ["1 #1.", "2 #1.", "3 #1."], "{speech:?}");
        }
        let mixed = send(&bed, &batch(&[other.clone(), read.clone(), other])).await;
        assert_eq!(texts(&mixed), ["1 #2.", "2 #1.", "3 #2."], "{speech:?}");
        let single = send(&bed, &alone(&read)).await;
        assert_eq!(told(&single), "HIT #1", "{speech:?}");
        assert_eq!(bed.site.count("s", "tools/call", "read"), 2, "{speech:?}");
    }
}

#[tokio::test]
async fn what_is_being_fetched_for_a_message_is_awaited_by_an_entry() {
    let gate = Gate::default();
    let hold = gate.clone();
    let place = cached(Speech::LegacyJson).says(move |asked| match asked.target() {
        "read" => Say::Held(hold.clone()),
        _ => Say::Usual,
    });
    let bed = Bed::plain(vec![place]).await;
    let single = alone(&call("read", "{}"));
    let request = batch(&[call("read", "{}"), call("plain", "{}")]);
    let entries = async {
        gate.reached().await;
        let entries = send(&bed, &request);
        let joined = async {
            let joined = r#""coalesced":1"#;
            super::until("the entry to wait", || async {
                let inflight = Request::get("/conduit/dedup/inflight");
                let shown = wire::ask(bed.gateway.address, &inflight).await.text();
                shown.contains(joined).then_some(())
            })
            .await;
            gate.open();
        };
        tokio::join!(entries, joined).0
    };
    let (single, entries) = tokio::join!(send(&bed, &single), entries);
    assert_eq!(told(&single), "MISS #1");
    assert_eq!(texts(&entries), ["1 #1.", "2 #1."]);
    assert_eq!(bed.site.count("s", "tools/call", "read"), 1);
}

#[tokio::test]
async fn lists_are_found_too() {
    let bed = Bed::plain(vec![cached(Speech::LegacyJson)]).await;
    let list = Ask::new("prompts/list");
    for _ in 0..2 {
        let answer = send(&bed, &batch(&[list.clone(), list.clone()]))
            .await
            .json();
        assert_eq!(answer[0]["id"], 1);
        assert_eq!(answer[0]["result"], answer[1]["result"]);
        assert!(answer[0]["result"]["prompts"].is_array(), "{answer}");
    }
    assert_eq!(bed.site.count("s", "prompts/list", ""), 1);
}

#[tokio::test]
async fn an_entry_that_destroys_makes_stale_what_the_next_batch_would_have_found() {
    let bed = Bed::plain(vec![cached(Speech::LegacyJson)]).await;
    let read = batch(&[call("read", "{}")]);
    assert_eq!(texts(&send(&bed, &read).await), ["1 #1."]);
    let write = batch(&[call("destroy", "{}"), call("plain", "{}")]);
    assert_eq!(texts(&send(&bed, &write).await), ["1 #1.", "2 #1."]);
    for _ in 0..2 {
        assert_eq!(texts(&send(&bed, &read).await), ["1 #2."]);
    }
}

#[tokio::test]
async fn nobody_is_given_what_was_stored_for_somebody_else() {
    let place = cached(Speech::LegacyJson).config("forward_authorization", json!(true));
    let bed = Bed::plain(vec![place]).await;
    let read = batch(&[call("read", "{}"), call("read", "{}")]);
    for (who, wanted) in [("alice", "#1."), ("bob", "#2."), ("alice", "#1.")] {
        let request = read
            .clone()
            .header("authorization", &format!("Bearer {who}"));
        let told = texts(&send(&bed, &request).await);
        assert_eq!(
            told,
            [format!("1 {wanted}"), format!("2 {wanted}")],
            "{who}"
        );
    }
}

#[tokio::test]
async fn what_a_caller_may_not_do_is_not_found_for_it() {
    let place = cached(Speech::LegacyJson);
    let place = place.cache(json!({ "default_ttl": 3600, "share": "public" }));
    let site = Site::start(vec![place]).await;
    let mut wanted = config(&site, json!({}), None);
    wanted["auth"] = json!({ "method": "api-key", "api_keys": [
        { "key": "key-a", "client_id": "alice" }, { "key": "key-b", "client_id": "bob" }] });
    wanted["acl"] = json!({ "enabled": true, "default_action": "allow", "policies": [
        { "name": "not-bob", "clients": ["bob"],
          "deny": [{ "server": "s", "tools": ["read"] }],
          "allow": [{ "server": "s", "tools": ["*"] }] }] });
    let gateway = Gateway::with(wanted).await;
    let request = batch(&[call("read", "{}"), call("plain", "{}")]);
    for (key, is_denied) in [("key-a", false), ("key-b", true), ("key-a", false)] {
        let request = request.clone().header("x-api-key", key);
        let answers = wire::ask(gateway.address, &request).await.json();
        assert_eq!(answers[0]["error"].is_object(), is_denied, "{answers}");
        assert!(answers[1]["result"].is_object(), "{answers}");
    }
    assert_eq!(site.count("s", "tools/call", "read"), 1);
}

#[tokio::test]
async fn progress_of_an_entry_that_is_stored_is_heard_by_who_asked_first() {
    let place = cached(Speech::LegacyJson).says(|asked| {
        if asked.target() != "read" {
            return Say::Usual;
        }
        let token = &asked.params()["_meta"]["progressToken"];
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": token, "progress": 1, "message": "halfway" } });
        let answer = json!({ "jsonrpc": "2.0", "id": asked.message["id"],
            "result": { "content": [{ "type": "text", "text": "#1." }] } });
        Say::Steps(vec![sse_head(), event(&progress), event(&answer), end()])
    });
    let bed = Bed::plain(vec![place]).await;
    let ask = |token: &str| {
        let ask = call("read", "{}").legacy();
        batch(&[ask.meta(&format!(r#""progressToken":"{token}""#))])
    };
    let first = send(&bed, &ask("mine")).await;
    assert_eq!(first.headers.get("content-type"), Some("text/event-stream"));
    let text = first.text();
    assert!(text.contains("halfway") && text.contains("mine"), "{text}");
    assert!(text.contains("#1."), "{text}");
    assert_eq!(texts(&send(&bed, &ask("yours")).await), ["1 #1."]);
}
