//! Writes that race with reads, changes that servers tell of, and calls that were never sent.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;

use super::ask::{Ask, call, read};
use super::site::{Gate, Place, Say, Speech};
use super::{Bed, TIERS, told};
use crate::support::gateway::Gateway;
use crate::support::message::post;
use crate::support::upstream::{Step, Upstream, answer, chunk, event, friendly, sse_head};
use crate::support::wire::{self, Connection};
use crate::support::{until, within};

/// A server whose first reading waits at the gate.
fn held(gate: &Gate, n: usize) -> Place {
    let gate = gate.clone();
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    place.says(move |asked| match asked.target() {
        "read" if asked.n == n => Say::Held(gate.clone()),
        _ => Say::Usual,
    })
}

#[tokio::test]
async fn a_read_that_began_before_a_write_and_ends_after_it_is_not_stored() {
    for tier in TIERS {
        let gate = Gate::default();
        let bed = Bed::start(tier, json!({}), vec![held(&gate, 1)]).await;
        let ask = call("read", "{}");
        let early = async {
            let answer = bed.ask("s", &ask).await;
            told(&answer)
        };
        let write = async {
            gate.reached().await;
            assert_eq!(bed.tells("s", &call("destroy", "{}")).await, "SKIP #1");
            gate.open();
        };
        let (early, ()) = tokio::join!(early, write);
        assert_eq!(early, "MISS #1", "{tier:?}");
        assert_eq!(bed.tells("s", &ask).await, "MISS #2", "{tier:?}");
        assert_eq!(bed.tells("s", &ask).await, "HIT #2", "{tier:?}");
    }
}

#[tokio::test]
async fn who_asks_after_a_write_does_not_wait_for_a_read_that_began_before_it() {
    for tier in TIERS {
        let gate = Gate::default();
        let bed = Bed::start(tier, json!({}), vec![held(&gate, 1)]).await;
        let ask = call("read", "{}");
        let after = async {
            gate.reached().await;
            assert_eq!(bed.tells("s", &call("destroy", "{}")).await, "SKIP #1");
            // The first reading is still on its way.
            assert_eq!(bed.tells("s", &ask).await, "MISS #2", "{tier:?}");
            assert_eq!(bed.tells("s", &ask).await, "HIT #2", "{tier:?}");
            gate.open();
        };
        let (early, ()) = tokio::join!(bed.tells("s", &ask), after);
        assert_eq!(early, "MISS #1", "{tier:?}");
        assert_eq!(bed.tells("s", &ask).await, "HIT #2", "{tier:?}");
    }
}

#[tokio::test]
async fn a_read_during_a_write_is_not_given_after_it() {
    for tier in TIERS {
        let gate = Gate::default();
        let hold = gate.clone();
        let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
        let place = place.says(move |asked| match asked.target() {
            "destroy" => Say::Held(hold.clone()),
            _ => Say::Usual,
        });
        let bed = Bed::start(tier, json!({}), vec![place]).await;
        let ask = call("read", "{}");
        let during = async {
            gate.reached().await;
            assert_eq!(bed.tells("s", &ask).await, "MISS #1", "{tier:?}");
            assert_eq!(bed.tells("s", &ask).await, "HIT #1", "{tier:?}");
            gate.open();
        };
        let write = call("destroy", "{}");
        let (write, ()) = tokio::join!(bed.tells("s", &write), during);
        assert_eq!(write, "SKIP #1");
        assert_eq!(bed.tells("s", &ask).await, "MISS #2", "{tier:?}");
    }
}

#[tokio::test]
async fn an_administrators_word_keeps_what_is_being_read_from_being_stored() {
    for tier in TIERS {
        let gate = Gate::default();
        let bed = Bed::start(tier, json!({}), vec![held(&gate, 1)]).await;
        let ask = call("read", "{}");
        let forget = async {
            gate.reached().await;
            super::forget(&bed.gateway, "/server/s").await;
            gate.open();
        };
        let (early, ()) = tokio::join!(bed.tells("s", &ask), forget);
        assert_eq!(early, "MISS #1", "{tier:?}");
        assert_eq!(bed.tells("s", &ask).await, "MISS #2", "{tier:?}");
    }
}

#[tokio::test]
async fn one_servers_writes_do_not_touch_another() {
    for tier in TIERS {
        let place = |id: &str| Place::new(id).cache(json!({ "default_ttl": 3600 }));
        let bed = Bed::start(tier, json!({}), vec![place("s"), place("t")]).await;
        for server in ["s", "t"] {
            assert_eq!(bed.tells(server, &call("read", "{}")).await, "MISS #1");
        }
        assert_eq!(bed.tells("s", &call("destroy", "{}")).await, "SKIP #1");
        assert_eq!(bed.tells("t", &call("read", "{}")).await, "HIT #1");
        assert_eq!(bed.tells("s", &call("read", "{}")).await, "MISS #2");
    }
}

#[tokio::test]
async fn a_write_at_any_endpoint_makes_stale_what_all_endpoints_give() {
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let bed = Bed::plain(vec![place]).await;
    for n in 1..3 {
        assert_eq!(
            bed.tells("s", &call("read", "{}")).await,
            format!("MISS #{n}")
        );
        let write = bed.ask_at("/mcp", &call("s.destroy", "{}")).await;
        assert_eq!(told(&write), format!("SKIP #{n}"));
    }
}

#[tokio::test]
async fn a_write_in_a_batch_at_all_servers_makes_stale_what_it_names() {
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let bed = Bed::plain(vec![place]).await;
    let ask = call("read", "{}");
    assert_eq!(bed.tells("s", &ask).await, "MISS #1");
    let write = call("s.destroy", "{}").legacy().message();
    let batch = post("/mcp", format!("[{write}]")).header("mcp-protocol-version", "2025-03-26");
    assert_eq!(wire::ask(bed.gateway.address, &batch).await.status, 200);
    assert_eq!(bed.tells("s", &ask).await, "MISS #2");
}

#[tokio::test]
async fn a_write_in_a_batch_at_one_server_makes_stale_what_it_names() {
    for speech in [Speech::LegacyJson, Speech::ModernJson] {
        let place = Place::new("s").speaks(speech);
        let bed = Bed::plain(vec![place.cache(json!({ "default_ttl": 3600 }))]).await;
        let ask = call("read", "{}").legacy();
        assert_eq!(bed.tells("s", &ask).await, "MISS #1", "{speech:?}");
        let write = call("destroy", "{}").legacy().message();
        let batch =
            post("/mcp/s", format!("[{write}]")).header("mcp-protocol-version", "2025-03-26");
        assert_eq!(wire::ask(bed.gateway.address, &batch).await.status, 200);
        assert_eq!(bed.tells("s", &ask).await, "MISS #2", "{speech:?}");
    }
}

#[tokio::test]
async fn a_write_whose_client_left_makes_stale_what_it_names() {
    for (speech, is_legacy) in [
        (Speech::ModernJson, false),
        (Speech::LegacyJson, true),
        (Speech::LegacyJson, false),
    ] {
        let gate = Gate::default();
        let hold = gate.clone();
        let place = Place::new("s").speaks(speech);
        let place = place.cache(json!({ "default_ttl": 3600 }));
        let place = place.says(move |asked| match asked.target() {
            "destroy" => Say::Held(hold.clone()),
            _ => Say::Usual,
        });
        let bed = Bed::plain(vec![place]).await;
        let in_era = |ask: Ask| if is_legacy { ask.legacy() } else { ask };
        let ask = in_era(call("read", "{}"));
        assert_eq!(bed.tells("s", &ask).await, "MISS #1");
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        let write = in_era(call("destroy", "{}")).request("/mcp/s");
        connection.send(&write).await.unwrap();
        gate.reached().await;
        drop(connection);
        gate.open();
        until("the result to be stale", || async {
            (bed.tells("s", &ask).await != "HIT #1").then_some(())
        })
        .await;
    }
}

// === not sent ===

#[tokio::test]
async fn a_write_that_was_never_sent_makes_nothing_stale() {
    // Every answer ends its connection, so that a write needs a new one.
    let upstream = Upstream::start(|request| {
        let steps = friendly(request);
        let message = request.json();
        let id = &message["id"];
        let result = match request.rpc_method().as_str() {
            "tools/list" => json!({ "resultType": "complete", "tools": [
                { "name": "read", "inputSchema": { "type": "object" },
                    "annotations": { "readOnlyHint": true } },
                { "name": "destroy", "inputSchema": { "type": "object" },
                    "annotations": { "destructiveHint": true } } ] }),
            "tools/call" => json!({ "resultType": "complete",
                "content": [{ "type": "text", "text": "#1." }] }),
            _ => return steps,
        };
        let text = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("connection", "close"),
        ];
        let mut steps = answer("200 OK", &headers, text.as_bytes());
        steps.push(Step::Close);
        steps
    })
    .await;
    let gateway = Gateway::start(json!([{ "id": "s", "url": upstream.url(), "era": "modern",
        "cache": { "default_ttl": 3600 } }]))
    .await;
    let address = gateway.address;
    let ask = |ask: Ask| async move { told(&wire::ask(address, &ask.request("/mcp/s")).await) };
    assert_eq!(ask(call("read", "{}")).await, "MISS #1");
    // Refused here: it names another tool in its header.
    let refused = call("destroy", "{}").request("/mcp/s").without("mcp-name");
    assert_eq!(wire::ask(gateway.address, &refused).await.status, 400);
    assert_eq!(ask(call("read", "{}")).await, "HIT #1");
    drop(upstream);
    let write = ask(call("destroy", "{}")).await;
    assert!(write.starts_with("- error"), "{write}");
    assert_eq!(ask(call("read", "{}")).await, "HIT #1");
}

// === told by the server ===

/// A server that tells whoever listens, and whose lists and resources are good for an hour.
fn telling() -> (Place, mpsc::UnboundedSender<Vec<u8>>) {
    let (news, source) = mpsc::unbounded_channel();
    let source = Arc::new(tokio::sync::Mutex::new(source));
    let place = Place::new("s").says(move |asked| match asked.method {
        "subscriptions/listen" => {
            let acknowledged = json!({ "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": { "notifications": asked.params()["notifications"],
                    "_meta": { "io.modelcontextprotocol/subscriptionId": asked.message["id"] } } });
            let rest = Step::Forward(Arc::clone(&source));
            Say::Steps(vec![sse_head(), event(&acknowledged), rest])
        }
        _ => Say::With(json!({ "ttlMs": 3_600_000 })),
    });
    (place, news)
}

#[tokio::test]
async fn what_a_server_says_has_changed_is_asked_for_again() {
    let (place, news) = telling();
    let bed = Bed::plain(vec![place]).await;
    let tell = |method: &str, params: &serde_json::Value| {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let text = format!("event: message\ndata: {message}\n\n");
        news.send(chunk(text.as_bytes())).unwrap();
    };
    let wanted = r#""notifications":{"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["r:1","r:2"]}"#;
    let listen = Ask::new("subscriptions/listen")
        .with(wanted)
        .request("/mcp/s");
    let mut stream = wire::stream(bed.gateway.address, &listen).await;
    let acknowledged = within("to be listened to", stream.event()).await.unwrap();
    assert!(acknowledged.contains("acknowledged"), "{acknowledged}");
    let all = [
        Ask::new("prompts/list"),
        Ask::new("resources/list"),
        read("r:1"),
        read("r:2"),
    ];
    for ask in &all {
        assert_eq!(bed.tells("s", ask).await, "MISS #1");
    }
    let rounds = [
        ("notifications/prompts/list_changed", json!({}), 0),
        ("notifications/resources/list_changed", json!({}), 1),
        (
            "notifications/resources/updated",
            json!({ "uri": "r:2" }),
            3,
        ),
    ];
    for (method, params, at) in rounds {
        tell(method, &params);
        // The client hears it no sooner than the cache.
        let heard = within("the change", stream.event()).await.unwrap();
        assert!(heard.contains(method), "{heard}");
        assert_ne!(bed.tells("s", &all[at]).await, "HIT #1", "{method}");
    }
    assert_eq!(bed.tells("s", &all[2]).await, "HIT #1", "another resource");
}

#[tokio::test]
async fn a_list_that_changes_is_asked_for_again_also_if_no_client_listens() {
    let (place, news) = telling();
    let bed = Bed::plain(vec![place]).await;
    let list = Ask::new("tools/list");
    assert_eq!(bed.tells("s", &list).await, "MISS #1");
    // Somebody uses the tools of all servers, so that they are kept.
    assert_eq!(bed.ask_at("/mcp", &list).await.status, 200);
    bed.site.upstream().first("subscriptions/listen").await;
    let message = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    let text = format!("event: message\ndata: {message}\n\n");
    news.send(chunk(text.as_bytes())).unwrap();
    until("the list to be asked for again", || async {
        (bed.tells("s", &list).await != "HIT #1").then_some(())
    })
    .await;
}
