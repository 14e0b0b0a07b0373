//! Hundreds of changes at once: none is lost, and what they do not concern stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::ask::{Ask, read};
use super::site::{Place, Say, Site};
use super::{config, is_shared, probe, told};
use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::upstream::{Step, chunk, event, sse_head};
use crate::support::wire::{self, EventStream};
use crate::support::{until, within};

/// Resources that change at once: more than a server's ledger remembers.
const N_CHANGES: usize = 300;
/// Times that all of them change.
const N_STORMS: usize = 3;
/// Results that are asked for while everything changes.
const N_NEW: usize = 20;
/// A resource that never changes.
const CALM: &str = "r:calm";

/// Two gateways on one Redis, before a server whose resources change.
struct Coast {
    gateways: [Gateway; 2],
    values: Arc<Vec<AtomicU64>>,
    news: mpsc::UnboundedSender<Vec<u8>>,
    site: Site,
    _redis: Redis,
}

fn uri(n: usize) -> String {
    format!("r:{n}")
}

impl Coast {
    /// With what a client of the first gateway hears, which subscribes to all.
    async fn start(cache: Value) -> (Self, EventStream) {
        let values: Vec<_> = (0..N_CHANGES).map(|_| AtomicU64::new(0)).collect();
        let values = Arc::new(values);
        let (news, source) = mpsc::unbounded_channel();
        let site = Site::start(vec![place(&values, source), probe()]).await;
        let redis = Redis::started().await;
        let config = config(&site, cache, Some(&redis));
        let gateways = tokio::join!(Gateway::with(config.clone()), Gateway::with(config));
        let gateways = <[Gateway; 2]>::from(gateways);
        for gateway in &gateways {
            is_shared(gateway).await;
        }
        let uris: Vec<_> = (0..N_CHANGES).map(uri).collect();
        let wanted = json!({ "resourceSubscriptions": uris });
        let listen = Ask::new("subscriptions/listen")
            .with(&format!(r#""notifications":{wanted}"#))
            .request("/mcp/s");
        let mut heard = wire::stream(gateways[0].address, &listen).await;
        let first = within("to be listened to", heard.event()).await.unwrap();
        assert!(first.contains("acknowledged"), "{first}");
        let coast = Self {
            gateways,
            values,
            news,
            site,
            _redis: redis,
        };
        (coast, heard)
    }

    /// Has everything change, as fast as it can be told.
    fn blow(&self) {
        for (n, value) in self.values.iter().enumerate() {
            value.fetch_add(1, Ordering::SeqCst);
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated",
                "params": { "uri": uri(n) } });
            let text = format!("event: message\ndata: {message}\n\n");
            self.news.send(chunk(text.as_bytes())).unwrap();
        }
    }

    async fn tells(&self, gateway: usize, uri: &str) -> String {
        let request = read(uri).request("/mcp/s");
        told(&wire::ask(self.gateways[gateway].address, &request).await)
    }

    /// Reads what changes through a gateway; the value, and whether it was a hit.
    async fn read(&self, gateway: usize, n: usize) -> (u64, bool) {
        let told = self.tells(gateway, &uri(n)).await;
        let (status, value) = told.split_once(" #").unwrap_or_else(|| panic!("{told}"));
        (value.parse().unwrap(), status == "HIT")
    }
}

/// A server that tells what comes from `source`, and whose resources are good for an hour.
fn place(values: &Arc<Vec<AtomicU64>>, source: mpsc::UnboundedReceiver<Vec<u8>>) -> Place {
    let (values, source) = (
        Arc::clone(values),
        Arc::new(tokio::sync::Mutex::new(source)),
    );
    Place::new("s").says(move |asked| match asked.method {
        "subscriptions/listen" => {
            let acknowledged = json!({ "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": { "notifications": asked.params()["notifications"],
                    "_meta": { "io.modelcontextprotocol/subscriptionId": asked.message["id"] } } });
            let rest = Step::Forward(Arc::clone(&source));
            Say::Steps(vec![sse_head(), event(&acknowledged), rest])
        }
        "resources/read" => {
            let n = asked.target().trim_start_matches("r:").parse::<usize>();
            let value = n.ok().and_then(|n| values.get(n));
            let value = value.map_or(asked.n as u64, |value| value.load(Ordering::SeqCst));
            Say::With(contents(asked.target(), value))
        }
        _ => Say::Usual,
    })
}

fn contents(uri: &str, value: u64) -> Value {
    json!({ "contents": [{ "uri": uri, "text": format!("#{value}.") }],
        "ttlMs": 3_600_000, "cacheScope": "public" })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_hundreds_at_once_is_lost_and_what_does_not_change_is_kept() {
    let (coast, mut heard) = Coast::start(json!({})).await;
    for gateway in 0..2 {
        for n in 0..N_CHANGES {
            assert_eq!(coast.read(gateway, n).await.0, 0);
        }
        coast.tells(gateway, CALM).await;
    }
    let n_calm = coast.site.count("s", "resources/read", CALM);
    for storm in 1..=N_STORMS as u64 {
        coast.blow();
        hear_all(&mut heard).await;
        // The client has heard of all: none is given through its gateway any more.
        for n in 0..N_CHANGES {
            assert_eq!(coast.read(0, n).await.0, storm, "{n}");
        }
        // The other one's hears of them through Redis, of each.
        for n in 0..N_CHANGES {
            until("the other gateway to hear of it", || async {
                (coast.read(1, n).await.0 == storm).then_some(())
            })
            .await;
        }
        for gateway in 0..2 {
            assert!(coast.tells(gateway, CALM).await.starts_with("HIT"));
        }
    }
    assert_eq!(coast.site.count("s", "resources/read", CALM), n_calm);
    // And everything is stored again.
    for n in 0..N_CHANGES {
        for gateway in 0..2 {
            until("a change to be over", || async {
                coast.read(gateway, n).await.1.then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_stored_while_changes_do_not_end() {
    // With the patience that gateways have: Redis may be given up, and owed hundreds of changes.
    let cache = json!({ "l2": { "timeout_ms": 50 } });
    let (coast, mut heard) = Coast::start(cache).await;
    let is_over = AtomicBool::new(false);
    let (coast, is_over) = (&coast, &is_over);
    let blowing = async move {
        while !is_over.load(Ordering::SeqCst) {
            coast.blow();
            hear_all(&mut heard).await;
        }
    };
    let reading = async {
        for n in 0..N_NEW {
            until("a new result to be stored", || async {
                let told = coast.tells(n % 2, &format!("r:new{n}")).await;
                told.starts_with("HIT").then_some(())
            })
            .await;
        }
        is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(blowing, reading);
    for n in 0..N_CHANGES {
        let current = coast.values[n].load(Ordering::SeqCst);
        assert_eq!(coast.read(0, n).await.0, current, "{n}");
        until("the other gateway to hear of it", || async {
            (coast.read(1, n).await.0 == current).then_some(())
        })
        .await;
    }
}

/// Waits until a client has heard of as many changes as there are resources.
async fn hear_all(heard: &mut EventStream) {
    for _ in 0..N_CHANGES {
        let heard = within("all changes", heard.event()).await.unwrap();
        assert!(heard.contains("resources/updated"), "{heard}");
    }
}
