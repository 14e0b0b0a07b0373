//! What a reload does to stored results, and to those that are being fetched meanwhile.

use serde_json::{Value, json};

use super::ask::{Ask, call, read};
use super::site::{Gate, Place, Say};
use super::{Bed, TIERS, Tier, config};

/// Two servers whose results are good for an hour, one of which is to change.
fn places() -> Vec<Place> {
    ["changes", "stays"].map(good).into()
}

fn good(id: &str) -> Place {
    let place = Place::new(id).cache(json!({ "default_ttl": 3600 }));
    place.says(|asked| match asked.method {
        "tools/call" => Say::Usual,
        _ => Say::With(json!({ "ttlMs": 3_600_000, "cacheScope": "public" })),
    })
}

/// All that is stored of a server.
fn asks() -> [Ask; 4] {
    [
        call("read", "{}"),
        call("read_more", "{}"),
        read("r:1"),
        Ask::new("prompts/list"),
    ]
}

/// The configuration that the gateway was started with.
fn original(bed: &Bed) -> Value {
    config(&bed.site, json!({}), bed.redis.as_ref())
}

/// The same with another section of the server that changes; it says the same.
fn changed(bed: &Bed) -> Value {
    let mut config = original(bed);
    let servers = config["servers"].as_array_mut().unwrap();
    let server = servers.iter_mut().find(|server| server["id"] == "changes");
    server.unwrap()["headers"] = json!({ "x-changed": "yes" });
    config
}

/// The same without that server.
fn without(bed: &Bed) -> Value {
    let mut config = original(bed);
    let servers = config["servers"].as_array_mut().unwrap();
    servers.retain(|server| server["id"] != "changes");
    config
}

async fn reload(bed: &Bed, config: Value) {
    bed.gateway.rewrite(config);
    let answer = bed.gateway.reload().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let errors = &answer.json()["errors"];
    assert_eq!(errors, &json!([]), "{answer:?}");
}

async fn all_tell(bed: &Bed, server: &str, wanted: &str, tier: Tier) {
    for ask in asks() {
        assert_eq!(
            bed.tells(server, &ask).await,
            wanted,
            "{tier:?} {server} {ask:?}"
        );
    }
}

#[tokio::test]
async fn of_a_server_that_a_reload_changes_nothing_old_is_given_and_others_keep_theirs() {
    for tier in TIERS {
        let bed = Bed::start(tier, json!({}), places()).await;
        for wanted in ["MISS #1", "HIT #1"] {
            all_tell(&bed, "changes", wanted, tier).await;
            all_tell(&bed, "stays", wanted, tier).await;
        }
        reload(&bed, changed(&bed)).await;
        all_tell(&bed, "stays", "HIT #1", tier).await;
        for wanted in ["MISS #2", "HIT #2"] {
            all_tell(&bed, "changes", wanted, tier).await;
        }
        // What was stored under the first configuration is over, though that is in force again.
        reload(&bed, original(&bed)).await;
        all_tell(&bed, "stays", "HIT #1", tier).await;
        for wanted in ["MISS #3", "HIT #3"] {
            all_tell(&bed, "changes", wanted, tier).await;
        }
    }
}

#[tokio::test]
async fn of_a_server_that_was_away_for_a_while_nothing_old_is_given() {
    for tier in TIERS {
        let bed = Bed::start(tier, json!({}), places()).await;
        all_tell(&bed, "changes", "MISS #1", tier).await;
        all_tell(&bed, "stays", "MISS #1", tier).await;
        reload(&bed, without(&bed)).await;
        let gone = bed.ask("changes", &call("read", "{}")).await;
        assert_eq!(gone.status, 404, "{gone:?}");
        reload(&bed, original(&bed)).await;
        all_tell(&bed, "changes", "MISS #2", tier).await;
        all_tell(&bed, "stays", "HIT #1", tier).await;
    }
}

#[tokio::test]
async fn a_reload_that_changes_nothing_keeps_everything() {
    for tier in TIERS {
        let bed = Bed::start(tier, json!({}), places()).await;
        all_tell(&bed, "changes", "MISS #1", tier).await;
        reload(&bed, original(&bed)).await;
        all_tell(&bed, "changes", "HIT #1", tier).await;
    }
}

#[tokio::test]
async fn what_is_fetched_during_a_reload_is_given_and_stored_only_where_the_server_stays() {
    for tier in TIERS {
        let gates = [Gate::default(), Gate::default()];
        let mut places = places();
        for (place, gate) in places.iter_mut().zip(gates.clone()) {
            *place = place.clone().says(move |asked| match asked.target() {
                "read" if asked.n == 1 => Say::Held(gate.clone()),
                _ => Say::Usual,
            });
        }
        let bed = Bed::start(tier, json!({}), places).await;
        let ask = call("read", "{}");
        let meanwhile = async {
            for gate in &gates {
                gate.reached().await;
            }
            reload(&bed, changed(&bed)).await;
            // Nobody waits under the new configuration for what was asked under the old one.
            assert_eq!(bed.tells("changes", &ask).await, "MISS #2", "{tier:?}");
            for gate in &gates {
                gate.open();
            }
        };
        let (changes, stays, ()) = tokio::join!(
            bed.tells("changes", &ask),
            bed.tells("stays", &ask),
            meanwhile
        );
        assert_eq!((changes.as_str(), stays.as_str()), ("MISS #1", "MISS #1"));
        assert_eq!(bed.tells("stays", &ask).await, "HIT #1", "{tier:?}");
        assert_eq!(bed.tells("changes", &ask).await, "HIT #2", "{tier:?}");
        // Nor is it found when the old configuration is in force again.
        reload(&bed, original(&bed)).await;
        assert_eq!(bed.tells("changes", &ask).await, "MISS #3", "{tier:?}");
    }
}
