//! Writes that nobody hears the end of: what is read while they may still go on is not kept.

use serde_json::{Value, json};

use super::ask::{Ask, Era, call};
use super::site::{Gate, Place, Say, Site, Speech};
use super::{Bed, number};
use crate::support::gateway::Gateway;
use crate::support::message::LEGACY;
use crate::support::until;
use crate::support::upstream::{Step, event, sse_head};
use crate::support::wire::Connection;

/// How a client and its server speak.
const WAYS: [(Speech, Era); 4] = [
    (Speech::ModernJson, Era::Modern),
    (Speech::ModernSse, Era::Legacy),
    (Speech::LegacyJson, Era::Legacy),
    (Speech::LegacySse, Era::Modern),
];

fn in_era(ask: Ask, era: Era) -> Ask {
    match era {
        Era::Modern => ask,
        Era::Legacy => ask.legacy(),
    }
}

/// A server whose results are good for an hour, and whose calls take a second at most. What it
/// destroys waits at the gate.
fn slow(speech: Speech, gate: &Gate) -> Place {
    let hold = gate.clone();
    let place = Place::new("s").speaks(speech);
    let place = place.cache(json!({ "default_ttl": 3600 }));
    let place = place.config("max_duration_ms", json!(1000));
    place.says(move |asked| match asked.target() {
        "destroy" => Say::Held(hold.clone()),
        _ => Say::Usual,
    })
}

impl Bed {
    /// Waits until what is given is younger than the server's answer of this number.
    async fn younger(&self, ask: &Ask, than: usize) {
        until(&format!("an answer after #{than}"), || async {
            let answer = self.ask("s", ask).await;
            (number(&answer.text()) > Some(than)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_read_after_a_writes_client_left_is_not_kept() {
    for (speech, era) in WAYS {
        let gate = Gate::default();
        let bed = Bed::plain(vec![slow(speech, &gate)]).await;
        let read = in_era(call("read", "{}"), era);
        bed.younger(&read, 0).await;
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        let write = in_era(call("destroy", "{}"), era).request("/mcp/s");
        connection.send(&write).await.unwrap();
        gate.reached().await;
        drop(connection);
        // Once as soon as the client has left, and once when the call is over.
        bed.younger(&read, 1).await;
        bed.younger(&read, 2).await;
    }
}

#[tokio::test]
async fn what_is_read_after_a_write_took_too_long_is_not_kept() {
    for (speech, era) in WAYS {
        let gate = Gate::default();
        let bed = Bed::plain(vec![slow(speech, &gate)]).await;
        let read = in_era(call("read", "{}"), era);
        bed.younger(&read, 0).await;
        let write = in_era(call("destroy", "{}"), era);
        let answer = bed.ask("s", &write).await.last_json();
        assert_eq!(answer["error"]["code"], -31504, "{speech:?}: {answer}");
        let answer = bed.ask("s", &read).await;
        assert_eq!(number(&answer.text()), Some(2), "{speech:?}: {answer:?}");
        bed.younger(&read, 2).await;
    }
}

#[tokio::test]
async fn what_is_read_after_a_streams_write_took_too_long_is_not_kept() {
    for era in [Era::Modern, Era::Legacy] {
        let speech = match era {
            Era::Modern => Speech::ModernSse,
            Era::Legacy => Speech::LegacySse,
        };
        let gate = Gate::default();
        let place = slow(speech, &gate).says(|asked| match asked.target() {
            "destroy" => Say::Steps(vec![sse_head(), Step::AwaitDeparture]),
            _ => Say::Usual,
        });
        let bed = Bed::plain(vec![place]).await;
        let read = in_era(call("read", "{}"), era);
        bed.younger(&read, 0).await;
        let write = in_era(call("destroy", "{}"), era);
        let answer = bed.ask("s", &write).await.last_json();
        assert_eq!(answer["error"]["code"], -31504, "{speech:?}: {answer}");
        let answer = bed.ask("s", &read).await;
        assert_eq!(number(&answer.text()), Some(2), "{speech:?}: {answer:?}");
        bed.younger(&read, 2).await;
    }
}

/// A legacy server whose `destroy` asks its client something and waits.
fn asking() -> Place {
    let place = Place::new("s").speaks(Speech::LegacySse);
    let place = place.cache(json!({ "default_ttl": 3600 }));
    place.says(|asked| match (asked.method, asked.target()) {
        ("initialize", _) => Say::Result(json!({ "protocolVersion": LEGACY,
            "capabilities": { "tools": {} }, "serverInfo": { "name": "s", "version": "1" } })),
        (_, "destroy") => {
            let question = json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create",
                "params": { "message": "sure?", "requestedSchema": { "type": "object",
                    "properties": {} } } });
            Say::Steps(vec![sse_head(), event(&question), Step::AwaitDeparture])
        }
        _ => Say::Usual,
    })
}

async fn bed(place: Place, sessions: Value) -> Bed {
    let site = Site::start(vec![place]).await;
    let config = json!({ "servers": site.servers(), "sessions": sessions });
    Bed {
        gateway: Gateway::with(config).await,
        site,
        redis: None,
    }
}

#[tokio::test]
async fn what_is_read_while_a_call_waits_for_its_client_is_not_kept_when_that_does_not_return() {
    let bed = bed(asking(), json!({ "parked_ttl_seconds": 1 })).await;
    let read = call("read", "{}");
    bed.younger(&read, 0).await;
    let able = r#"{"elicitation":{}}"#;
    let answer = bed.ask("s", &call("destroy", "{}").able(able)).await;
    assert_eq!(
        answer.last_json()["result"]["resultType"],
        "input_required",
        "{answer:?}"
    );
    let answer = bed.ask("s", &read).await;
    assert_eq!(number(&answer.text()), Some(2), "{answer:?}");
    bed.younger(&read, 2).await;
}
