//! Every route, with every way of proving that one is the operator, and of not doing so.

use serde_json::json;
use tempfile::TempDir;

use super::{KEY, Place, Told, ask, start};
use crate::support::gateway::free_address;
use crate::support::wire::Request;

/// Every route of the admin API, and what it answers to the operator.
const ROUTES: [(&str, &str, u16); 27] = [
    ("GET", "/conduit/guardrails/rules", 200),
    ("GET", "/conduit/guardrails/check", 400),
    ("GET", "/conduit/guardrails/stats", 200),
    ("GET", "/conduit/governance/approvals", 200),
    ("POST", "/conduit/governance/approvals/{id}/approve", 400),
    ("POST", "/conduit/governance/approvals/{id}/reject", 400),
    ("GET", "/conduit/acl/check", 400),
    ("GET", "/conduit/servers", 200),
    ("POST", "/conduit/servers/{id}/refresh", 200),
    ("DELETE", "/conduit/cache", 200),
    ("GET", "/conduit/cache/stats", 200),
    ("GET", "/conduit/cache/entries", 200),
    ("DELETE", "/conduit/cache/server/{id}", 200),
    ("DELETE", "/conduit/cache/server/{id}/tool/{tool}", 200),
    ("DELETE", "/conduit/cache/tag/{tag}", 200),
    ("DELETE", "/conduit/cache/key/{key}", 400),
    ("DELETE", "/conduit/cache/l2/flush", 200),
    ("GET", "/conduit/dedup/inflight", 200),
    ("POST", "/conduit/config/reload", 200),
    ("GET", "/conduit/limits", 200),
    ("DELETE", "/conduit/limits/reset", 200),
    ("GET", "/conduit/limits/client/{id}", 200),
    ("DELETE", "/conduit/limits/client/{id}/reset", 200),
    ("GET", "/conduit/version", 200),
    ("GET", "/conduit/metrics", 200),
    ("GET", "/conduit/unknown", 404),
    ("POST", "/conduit/unknown", 404),
];

/// The routes that ask for nothing.
const PROBES: [&str; 2] = ["/conduit/health", "/conduit/readyz"];

/// What a request brings.
#[derive(Clone, Copy, Debug)]
enum Case {
    NoKey,
    WrongBearer,
    WrongHeader,
    OtherScheme,
    Bearer,
    LowerBearer,
    Header,
    BothThatDiffer,
    NoCsrf,
    OtherCsrf,
    OtherOrigin,
    OtherHost,
}

const CASES: [Case; 12] = [
    Case::NoKey,
    Case::WrongBearer,
    Case::WrongHeader,
    Case::OtherScheme,
    Case::Bearer,
    Case::LowerBearer,
    Case::Header,
    Case::BothThatDiffer,
    Case::NoCsrf,
    Case::OtherCsrf,
    Case::OtherOrigin,
    Case::OtherHost,
];

impl Case {
    fn on(self, request: Request) -> Request {
        let csrf = |request: Request| request.header("x-conduit-admin", "1");
        let request = match self {
            Self::NoCsrf => request,
            Self::OtherCsrf => request.header("x-conduit-admin", "yes"),
            Self::NoKey
            | Self::WrongBearer
            | Self::WrongHeader
            | Self::OtherScheme
            | Self::Bearer
            | Self::LowerBearer
            | Self::Header
            | Self::BothThatDiffer
            | Self::OtherOrigin
            | Self::OtherHost => csrf(request),
        };
        let (bearer, header) = ("authorization", "x-admin-key");
        match self {
            Self::NoKey => request,
            Self::WrongBearer => request.header(bearer, "Bearer s3cre"),
            Self::WrongHeader => request.header(header, "s3cret1"),
            Self::OtherScheme => request.header(bearer, &format!("Basic {KEY}")),
            Self::Bearer => request.header(bearer, &format!("Bearer {KEY}")),
            Self::LowerBearer => request.header(bearer, &format!("bearer {KEY}")),
            Self::BothThatDiffer => request.header(bearer, "Bearer x").header(header, KEY),
            Self::Header | Self::NoCsrf | Self::OtherCsrf => request.header(header, KEY),
            Self::OtherOrigin => request
                .header(header, KEY)
                .header("origin", "https://evil.example"),
            Self::OtherHost => request.header(header, KEY).header("host", "evil.example"),
        }
    }

    /// What it must be answered where the operator gets `granted`.
    fn expected(self, method: &str, granted: u16, checks_host: bool) -> u16 {
        match self {
            Self::NoKey
            | Self::WrongBearer
            | Self::WrongHeader
            | Self::OtherScheme
            | Self::BothThatDiffer => 401,
            Self::Bearer | Self::LowerBearer | Self::Header => granted,
            Self::NoCsrf | Self::OtherCsrf if method != "GET" => 403,
            Self::NoCsrf | Self::OtherCsrf => granted,
            Self::OtherOrigin => 403,
            Self::OtherHost if checks_host => 421,
            Self::OtherHost => granted,
        }
    }
}

fn request(method: &str, path: &str) -> Request {
    let path = path
        .replace("{id}", "a")
        .replace("{tool}", "greet")
        .replace("{tag}", "t")
        .replace("{key}", "k");
    match method {
        "GET" => Request::get(&path),
        "POST" => Request::post(&path),
        "DELETE" => Request::delete(&path),
        other => panic!("no such method here: {other}"),
    }
}

/// Whether an answer was the control plane's: what the pipeline refuses does not come so far.
fn is_its_own(told: &Told) -> bool {
    told.head.contains("x-frame-options")
}

async fn check(place: Place<'_>, is_own_listener: bool) {
    let checks_host = matches!(place, Place::Tcp(_));
    for (method, path, granted) in ROUTES {
        for case in CASES {
            let told = ask(place, &case.on(request(method, path))).await;
            let expected = case.expected(method, granted, checks_host);
            assert_eq!(told.status, expected, "{method} {path} {case:?}: {told:?}");
            if is_own_listener || !matches!(case, Case::OtherOrigin | Case::OtherHost) {
                assert!(told.is_secured(), "{method} {path} {case:?}: {told:?}");
            }
            assert!(!told.body.contains(KEY), "{told:?}");
            let is_challenged = told.head.contains("www-authenticate: bearer");
            assert_eq!(is_challenged, expected == 401, "{told:?}");
        }
    }
    for path in PROBES {
        let told = ask(place, &Request::get(path)).await;
        assert_eq!((told.status, is_its_own(&told)), (200, true), "{path}");
        let strange = Request::get(path).header("origin", "https://evil.example");
        assert_eq!(ask(place, &strange).await.status, 403, "{path}");
    }
}

fn config() -> serde_json::Value {
    json!({ "admin": { "key": KEY }, "auth": { "throttle": { "max_failures": 0 } } })
}

/// What the gateway's port answers where the API has a listener of its own.
async fn check_gone(place: Place<'_>) {
    for (method, path, _) in ROUTES {
        let told = ask(place, &Case::Header.on(request(method, path))).await;
        assert_eq!(told.status, 404, "{method} {path}: {told:?}");
        assert!(told.is_secured(), "{method} {path}: {told:?}");
    }
    let told = ask(place, &Request::get("/conduit/health")).await;
    assert_eq!(told.json(), json!({ "status": "ok" }), "no server is named");
    let told = ask(place, &Request::get("/conduit/readyz")).await;
    assert_eq!(told.json(), json!({ "ready": true }));
}

#[test]
fn no_route_is_missing_in_the_table() {
    let source = include_str!("../../../src/admin.rs");
    let named = source
        .split('"')
        .filter(|text| text.starts_with("/conduit/"));
    let mut n_named = 0;
    for path in named {
        n_named += 1;
        let is_there = ROUTES.iter().any(|(_, known, _)| *known == path) || PROBES.contains(&path);
        assert!(is_there, "what does {path} ask for? Say so in ROUTES");
    }
    assert!(n_named > 15, "the routes are named in admin.rs");
}

#[tokio::test]
async fn every_route_asks_for_the_key_on_the_gateways_own_port() {
    let (gateway, _upstream) = start(config()).await;
    check(Place::Tcp(gateway.address), false).await;
}

#[tokio::test]
async fn every_route_asks_for_the_key_on_a_port_of_its_own_and_is_nowhere_else() {
    let own = free_address();
    let mut config = config();
    config["admin"]["listen"] = json!(own.to_string());
    let (gateway, _upstream) = start(config).await;
    check(Place::Tcp(own), true).await;
    check_gone(Place::Tcp(gateway.address)).await;
}

#[tokio::test]
async fn every_route_asks_for_the_key_on_a_socket_and_is_nowhere_else() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("admin.sock");
    let mut config = config();
    config["admin"]["listen"] = json!(format!("unix:{}", socket.display()));
    let (gateway, _upstream) = start(config).await;
    check(Place::Unix(&socket), true).await;
    check_gone(Place::Tcp(gateway.address)).await;
}
