//! Servers that number their answers: several, at paths of one address.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::message::{MODERN, result};
use crate::support::upstream::{
    self, Recorded, Step, Upstream, accepted, end, event, friendly, sse_head,
};
use crate::support::within;

/// What is asked of a place.
pub(super) struct Asked<'a> {
    /// Which time the same method with the same target is asked, from 1 on.
    pub(super) n: usize,
    pub(super) method: &'a str,
    pub(super) message: &'a Value,
    pub(super) request: &'a Recorded,
}

impl Asked<'_> {
    pub(super) fn params(&self) -> &Value {
        &self.message["params"]
    }

    /// The tool or URI.
    pub(super) fn target(&self) -> &str {
        let params = self.params();
        let named = params["name"].as_str().or_else(|| params["uri"].as_str());
        named.unwrap_or_default()
    }
}

/// What a place says.
pub(super) enum Say {
    /// What it usually does.
    Usual,
    /// Its usual result, with these members in place of its own or besides them.
    With(Value),
    /// This result.
    Result(Value),
    /// This error.
    Error(Value),
    /// These bytes.
    Steps(Vec<Step>),
    /// The usual, once the gate is open.
    Held(Gate),
}

/// Where an answer waits until the test lets it go.
#[derive(Clone, Default)]
pub(super) struct Gate {
    reached: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    /// Waits until a request has reached it.
    pub(super) async fn reached(&self) {
        within("a request to reach the server", self.reached.notified()).await;
    }

    /// Lets one answer go.
    pub(super) fn open(&self) {
        self.open.notify_one();
    }
}

/// How a place speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    ModernJson,
    ModernSse,
    LegacyJson,
    LegacySse,
}

impl Speech {
    fn is_modern(self) -> bool {
        matches!(self, Self::ModernJson | Self::ModernSse)
    }

    fn is_sse(self) -> bool {
        matches!(self, Self::ModernSse | Self::LegacySse)
    }
}

type Script = dyn Fn(&Asked<'_>) -> Say + Send + Sync;

/// One server.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) id: String,
    /// What the configuration says of it besides where it is.
    pub(super) config: Value,
    speech: Speech,
    script: Arc<Script>,
}

impl Place {
    /// A modern server that says the usual.
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            config: json!({}),
            speech: Speech::ModernJson,
            script: Arc::new(|_| Say::Usual),
        }
    }

    /// With this `cache` section.
    pub(super) fn cache(self, cache: Value) -> Self {
        self.config("cache", cache)
    }

    pub(super) fn config(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    pub(super) fn speaks(mut self, speech: Speech) -> Self {
        self.speech = speech;
        self
    }

    pub(super) fn says<S>(mut self, script: S) -> Self
    where
        S: Fn(&Asked<'_>) -> Say + Send + Sync + 'static,
    {
        self.script = Arc::new(script);
        self
    }

    fn answer(&self, asked: &Asked<'_>) -> Vec<Step> {
        let id = &asked.message["id"];
        let usual = || usual(asked, self.speech);
        let mut before = Vec::new();
        let mut say = (self.script)(asked);
        if let Say::Held(gate) = say {
            before.extend([Step::Signal(gate.reached), Step::Await(gate.open)]);
            say = Say::Usual;
        }
        let message = match say {
            Say::Steps(steps) => return steps,
            Say::Usual | Say::Held(_) => match usual() {
                Some(usual) => result(id, usual),
                None => return friendly(asked.request),
            },
            Say::With(members) => {
                let mut usual = usual().unwrap_or_default();
                for (name, value) in members.as_object().into_iter().flatten() {
                    usual[name] = value.clone();
                }
                result(id, usual)
            }
            Say::Result(given) => result(id, given),
            Say::Error(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        if self.speech.is_sse() {
            before.extend([sse_head(), event(&message), end()]);
        } else {
            before.extend(upstream::json(&message));
        }
        before
    }
}

/// The tools that every place has, and what they say of themselves.
fn tools(n: usize) -> Value {
    let tool = |name: &str, annotations: Value| {
        json!({ "name": name, "description": format!("#{n}."), "inputSchema": { "type": "object" },
            "annotations": annotations })
    };
    json!([
        tool("read", json!({ "readOnlyHint": true })),
        tool("read_more", json!({ "readOnlyHint": true })),
        tool("plain", json!({})),
        tool("idempotent", json!({ "idempotentHint": true })),
        tool("open", json!({ "openWorldHint": true })),
        tool(
            "torn",
            json!({ "readOnlyHint": true, "destructiveHint": true })
        ),
        tool("destroy", json!({ "destructiveHint": true })),
        tool("write", json!({ "readOnlyHint": false })),
    ])
}

/// The usual result of what has a number.
fn usual(asked: &Asked<'_>, speech: Speech) -> Option<Value> {
    let n = asked.n;
    let number = format!("#{n}.");
    let mut usual = match asked.method {
        "tools/call" => json!({ "content": [{ "type": "text", "text": number }] }),
        "resources/read" => {
            json!({ "contents": [{ "uri": asked.target(), "text": number }] })
        }
        "tools/list" => json!({ "tools": tools(n) }),
        "prompts/list" => json!({ "prompts": [{ "name": "p", "description": number }] }),
        "prompts/get" => json!({ "messages": [], "description": number }),
        "resources/list" => {
            json!({ "resources": [{ "uri": "r:1", "name": "r", "description": number }] })
        }
        "resources/templates/list" => {
            json!({ "resourceTemplates": [{ "uriTemplate": "r:{n}", "name": "r",
                "description": number }] })
        }
        "server/discover" if speech.is_modern() => {
            json!({ "supportedVersions": [MODERN], "instructions": number,
                "capabilities": capabilities(), "ttlMs": 0, "cacheScope": "private" })
        }
        "initialize" if !speech.is_modern() => {
            return Some(
                json!({ "protocolVersion": asked.params()["protocolVersion"],
                "capabilities": capabilities(), "serverInfo": { "name": "site", "version": "1" } }),
            );
        }
        _ => return None,
    };
    if speech.is_modern() {
        usual["resultType"] = json!("complete");
    }
    Some(usual)
}

fn capabilities() -> Value {
    let changes = json!({ "listChanged": true });
    json!({ "tools": changes, "prompts": changes,
        "resources": { "listChanged": true, "subscribe": true } })
}

/// All places.
pub(super) struct Site {
    upstream: Upstream,
    places: Arc<BTreeMap<String, Place>>,
    counts: Arc<Counts>,
}

/// How often what was asked.
type Counts = Mutex<HashMap<String, usize>>;

impl Site {
    pub(super) async fn start(places: Vec<Place>) -> Self {
        let named = places.into_iter().map(|place| (place.id.clone(), place));
        let places: Arc<BTreeMap<String, Place>> = Arc::new(named.collect());
        let counts: Arc<Counts> = Arc::default();
        let (served, counted) = (Arc::clone(&places), Arc::clone(&counts));
        let upstream = Upstream::start(move |request| {
            let id = request.target.trim_start_matches('/');
            let Some(place) = served.get(id).filter(|_| request.method == "POST") else {
                return friendly(request);
            };
            let message = request.json();
            if message.get("id").is_none() {
                return accepted();
            }
            let method = request.rpc_method();
            let mut asked = Asked {
                n: 0,
                method: &method,
                message: &message,
                request,
            };
            let what = format!("{id} {method} {}", asked.target());
            asked.n = {
                let mut counts = counted.lock();
                let n = counts.entry(what).or_default();
                *n += 1;
                *n
            };
            place.answer(&asked)
        })
        .await;
        Self {
            upstream,
            places,
            counts,
        }
    }

    /// The list under `servers:`.
    pub(super) fn servers(&self) -> Value {
        let servers = self.places.values().map(|place| {
            let mut server = place.config.clone();
            server["id"] = json!(place.id);
            if server["url"].is_null() {
                server["url"] = json!(format!("http://{}/{}", self.upstream.address, place.id));
            }
            if server["era"].is_null() {
                server["era"] = json!(if place.speech.is_modern() {
                    "modern"
                } else {
                    "legacy"
                });
            }
            server
        });
        servers.collect()
    }

    /// How often a place was asked for something.
    pub(super) fn count(&self, place: &str, method: &str, target: &str) -> usize {
        let what = format!("{place} {method} {target}");
        self.counts.lock().get(&what).copied().unwrap_or_default()
    }

    /// The fake server itself.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }
}
