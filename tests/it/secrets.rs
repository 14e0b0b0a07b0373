//! No secret is told: a gateway with every kind of secret goes through successes and failures, with servers that
//! repeat what they are sent, and nothing that it logs, counts, shows or answers holds one, in any spelling.

mod stdio;
mod urls;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::idp::{self, Provider};
use crate::support::message::{LEGACY, legacy, legacy_call, modern, modern_call};
use crate::support::redis::Redis;
use crate::support::signer::Signer;
use crate::support::upstream::{Recorded, Step, Upstream, answer, chunk, end, friendly, sse_head};
use crate::support::wire::{self, Request};

const API_KEY: &str = "api-key/s3cret+0001";
const ADMIN_KEY: &str = "admin-key/s3cret+0002";
const ENV_TOKEN: &str = "env-token/s3cret+0003";
const FILE_TOKEN: &str = "file-token/s3cret+0004";
const CLIENT_SECRET: &str = "client-secret/s3cret+0005";
const ACCESS_TOKEN: &str = "access-token/s3cret+0006";
const HEADER: &str = "header-key/s3cret+0007";
const REDIS_PASSWORD: &str = "redis-password-s3cret-0008";
const SESSION_SECRET: &str = "session-secret/s3cret+0009-and-long-enough";
const QUERY: &str = "query-key-s3cret-0010";
const STATIC: &str = "static-token/s3cret+0011";
const SECRETS: [&str; 11] = [
    API_KEY,
    ADMIN_KEY,
    ENV_TOKEN,
    FILE_TOKEN,
    CLIENT_SECRET,
    ACCESS_TOKEN,
    HEADER,
    REDIS_PASSWORD,
    SESSION_SECRET,
    QUERY,
    STATIC,
];

/// Everything of a request that may be a secret, in every way that a server may say it.
fn echo(request: &Recorded) -> String {
    let mut said = vec![request.target.clone()];
    for name in ["authorization", "x-api-key"] {
        for value in request.headers.all(name) {
            let bare = value.rsplit(' ').next().unwrap_or(value);
            said.extend([
                value.to_owned(),
                filters::mask::percent_encoded(value),
                value.replace('/', "\\/"),
                STANDARD.encode(value),
                URL_SAFE_NO_PAD.encode(bare),
                STANDARD.encode(format!("user:{bare}")),
            ]);
        }
    }
    said.extend([String::from_utf8_lossy(&request.body).into_owned()]);
    said.join(" ; ")
}

/// A server that repeats what it is sent, each tool in another way.
fn parrot(request: &Recorded) -> Vec<Step> {
    if request.rpc_method() != "tools/call" {
        return friendly(request);
    }
    let said = echo(request);
    let message = request.json();
    let id = &message["id"];
    let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": said,
        "data": { "request": said } } });
    let result = json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete",
        "content": [{ "type": "text", "text": said }] } });
    let json = [("content-type", "application/json")];
    let text = [("content-type", "text/plain")];
    let tool = message["params"]["name"].as_str().unwrap_or_default();
    match tool {
        "error" => answer("200 OK", &json, error.to_string().as_bytes()),
        "result" => answer("200 OK", &json, result.to_string().as_bytes()),
        "header" => {
            let line = said.replace(['\r', '\n'], " ");
            let headers = [json[0], ("x-said", &line), ("www-authenticate", &line)];
            answer("200 OK", &headers, result.to_string().as_bytes())
        }
        "stream" => {
            let event = format!("event: message\ndata: {error}\n\n");
            let mut steps = vec![sse_head()];
            // Divided at every byte.
            steps.extend(event.bytes().map(|byte| Step::Write(chunk(&[byte]))));
            steps.push(end());
            steps
        }
        "garbage" => vec![
            Step::Write(format!("{said}\r\n\r\n").into_bytes()),
            Step::Close,
        ],
        status => {
            let line = format!("{status} {}", said.replace(['\r', '\n'], " "));
            answer(&line, &text, said.as_bytes())
        }
    }
}

const TOOLS: [&str; 9] = [
    "error", "result", "header", "stream", "garbage", "400", "401", "403", "500",
];

/// A token endpoint that repeats the secret, and in the end gives a token.
fn endpoint(request: &Recorded, is_broken: bool) -> Vec<Step> {
    let said = echo(request);
    let json = [("content-type", "application/json")];
    if is_broken {
        let error = json!({ "error": CLIENT_SECRET, "error_description": said });
        return answer(
            &format!("400 {CLIENT_SECRET}"),
            &json,
            error.to_string().as_bytes(),
        );
    }
    let token = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600,
        "scope": said });
    answer("200 OK", &json, token.to_string().as_bytes())
}

struct Bed {
    gateway: Gateway,
    config: Value,
    token: String,
    /// All that anybody was told.
    told: Vec<String>,
    servers: Vec<&'static str>,
    _others: (Upstream, Upstream, Upstream, Provider, Redis, TempDir),
}

impl Bed {
    async fn start() -> Self {
        let signer = Signer::ed25519("key-1");
        let provider = Provider::start(&[&signer]).await;
        let token = signer.sign(&idp::claims("alice"));
        let mut redis = Redis::absent();
        redis.start_with(&["--requirepass", REDIS_PASSWORD]).await;
        let parrot = Upstream::start(parrot).await;
        let good = Upstream::start(|request| endpoint(request, false)).await;
        let broken = Upstream::start(|request| endpoint(request, true)).await;
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, FILE_TOKEN).unwrap();
        let url = format!("{}?api_key={QUERY}", parrot.url());
        let oauth = |endpoint: &Upstream, how: &str| {
            json!({ "oauth": { "token_url": endpoint.url(), "client_id": "conduit",
                "client_secret": CLIENT_SECRET, "client_authentication": how } })
        };
        let servers = [
            (
                "env",
                json!({ "upstream_auth": { "bearer": { "env": "SERVER_CREDENTIAL" } },
                "headers": { "x-api-key": HEADER } }),
            ),
            (
                "file",
                json!({ "upstream_auth": { "bearer": { "file": file } } }),
            ),
            ("oauth", json!({ "upstream_auth": oauth(&good, "basic") })),
            ("broken", json!({ "upstream_auth": oauth(&broken, "post") })),
            (
                "static",
                json!({ "headers": { "authorization": format!("Bearer {STATIC}") } }),
            ),
            (
                "cached",
                json!({ "upstream_auth": { "bearer": { "token": STATIC } },
                "cache": { "default_ttl": 60 } }),
            ),
        ];
        let entries = servers.iter().map(|(id, more)| {
            let mut entry = more.clone();
            entry["id"] = json!(id);
            entry["url"] = json!(url);
            entry
        });
        let mut auth = provider.auth();
        auth["method"] = json!(["api-key", "jwt"]);
        auth["api_keys"] = json!([{ "key": API_KEY, "client_id": "bob" }]);
        let redis_url = format!("{}?pass={REDIS_PASSWORD}", redis.url());
        let config = json!({ "servers": entries.collect::<Vec<_>>(), "auth": auth,
            "admin": { "key": ADMIN_KEY }, "sessions": { "secret": SESSION_SECRET },
            "rate_limits": { "enabled": true, "backend": "redis", "redis_url": redis_url,
                "global": { "requests_per_minute": 100_000 } } });
        let variables = [
            ("SERVER_CREDENTIAL", ENV_TOKEN),
            ("RUST_LOG", "debug,conduit=trace"),
        ];
        let gateway = Gateway::among(config.clone(), &variables).await;
        Self {
            gateway,
            config,
            token,
            told: Vec::new(),
            servers: servers.iter().map(|(id, _)| *id).collect(),
            _others: (parrot, good, broken, provider, redis, folder),
        }
    }

    async fn ask(&mut self, request: &Request) -> u16 {
        let answer = wire::ask(self.gateway.address, request).await;
        self.told
            .push(format!("{:?} {}", answer.headers, answer.text()));
        answer.status
    }

    /// Has every tool of every server called, by clients of both eras with credentials of both kinds.
    async fn call_all(&mut self) {
        let bearer = format!("Bearer {}", self.token);
        let mut statuses = BTreeSet::new();
        for id in self.servers.clone() {
            let path = format!("/mcp/{id}");
            for tool in TOOLS {
                let arguments = json!({});
                for request in [
                    modern_call(&path, &json!(1), tool, arguments.clone()),
                    modern_call(
                        "/mcp",
                        &json!(2),
                        &format!("{id}.{tool}"),
                        arguments.clone(),
                    ),
                    legacy_call(&path, &json!(3), tool, arguments.clone()),
                ] {
                    let by_token = request.clone().header("authorization", &bearer);
                    statuses.insert(self.ask(&by_token).await);
                    let by_key = request.header("x-api-key", API_KEY);
                    statuses.insert(self.ask(&by_key).await);
                }
            }
        }
        assert!(statuses.is_superset(&[200, 502].into()), "{statuses:?}");
    }

    /// Goes through what clients are refused, and what they do besides calls.
    async fn do_the_rest(&mut self) {
        let key = |request: Request| request.header("authorization", &format!("Bearer {API_KEY}"));
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        for id in self.servers.clone() {
            let path = format!("/mcp/{id}");
            for request in [
                modern(&path, &json!(1), "tools/list", json!({})),
                modern(&path, &json!(1), "server/discover", json!({})),
                legacy(&path, &json!(1), "initialize", params.clone()),
            ] {
                self.ask(&key(request)).await;
            }
        }
        let both = modern("/mcp", &json!(1), "tools/list", json!({}))
            .header("authorization", &format!("Bearer {API_KEY}x"))
            .header("x-api-key", &self.token);
        for request in [
            modern("/mcp", &json!(1), "tools/list", json!({})),
            key(modern(
                &format!("/mcp/{API_KEY}"),
                &json!(1),
                "tools/list",
                json!({}),
            )),
            both,
        ] {
            self.ask(&request).await;
        }
    }

    /// Asks the control plane for everything, with and without its key.
    async fn ask_control(&mut self) {
        for path in [
            "health",
            "readyz",
            "servers",
            "cache/stats",
            "cache/entries",
            "dedup/inflight",
            "limits",
            "limits/client/bob",
            "version",
            "metrics",
            "config",
            "settings",
            "acl/check",
            "nothing",
        ] {
            let request = Request::get(&format!("/conduit/{path}"));
            self.ask(&request).await;
            self.ask(&request.header("x-admin-key", ADMIN_KEY)).await;
        }
        let metrics = wire::ask(self.gateway.metrics, &Request::get("/metrics")).await;
        self.told.push(metrics.text());
    }

    async fn reload(&mut self) -> u16 {
        let request = Request::post("/conduit/config/reload").header("x-conduit-admin", "1");
        self.ask(&request.header("x-admin-key", ADMIN_KEY)).await
    }

    /// Reloads configurations that are wrong where secrets are, and one that is right.
    async fn reload_all(&mut self) {
        let wrong: [fn(&mut Value); 10] = [
            |config| config["admin"]["key"] = json!([ADMIN_KEY]),
            |config| config["admin"]["keys"] = json!(ADMIN_KEY),
            |config| config["auth"]["api_keys"] = json!([API_KEY, API_KEY]),
            |config| config["auth"]["api_keys"] = json!([{ "key": { "is": API_KEY } }]),
            |config| config["servers"][0]["headers"]["x-api-key"] = json!(format!("{HEADER}\n")),
            |config| config["servers"][0]["upstream_auth"]["bearer"]["token"] = json!(ENV_TOKEN),
            |config| {
                config["servers"][5]["upstream_auth"]["bearer"]["token"] =
                    json!(format!("{STATIC} {STATIC}"));
            },
            |config| {
                config["servers"][2]["upstream_auth"]["oauth"]["client_secret"] =
                    json!({ "is": CLIENT_SECRET });
            },
            |config| {
                config["servers"][2]["upstream_auth"]["oauth"]["token_url"] =
                    json!(format!("http://conduit:{CLIENT_SECRET}@127.0.0.1/token"));
            },
            |config| {
                config["rate_limits"]["redis_url"] = json!(format!("http://:{REDIS_PASSWORD}@h"));
            },
        ];
        for change in wrong {
            let mut config = self.config.clone();
            change(&mut config);
            self.gateway.rewrite(config);
            self.reload().await;
        }
        self.gateway.rewrite(self.config.clone());
        assert_eq!(self.reload().await, 200);
    }
}

/// The spellings of a secret that nobody may see.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![
        secret.to_owned(),
        secret.replace('/', "\\/"),
        filters::mask::percent_encoded(secret),
        filters::mask::percent_encoded(secret).to_lowercase(),
    ];
    // Within base64, wherever it begins.
    for before in ["", "x", "xx"] {
        for encoded in [
            STANDARD.encode(format!("{before}{secret}")),
            URL_SAFE_NO_PAD.encode(format!("{before}{secret}")),
        ] {
            let inner = encoded.trim_end_matches('=');
            all.push(inner[4..inner.len() - 4].to_owned());
        }
    }
    all
}

fn assert_untold(place: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        for spelling in spellings(secret) {
            if let Some(at) = text.find(&spelling) {
                let from = text[..at]
                    .char_indices()
                    .rev()
                    .nth(120)
                    .map_or(0, |(at, _)| at);
                let around = text[from..].chars().take(300).collect::<String>();
                panic!("{place} tells {spelling}: …{around}…");
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_logged_counted_shown_or_answered() {
    let mut bed = Bed::start().await;
    bed.call_all().await;
    bed.do_the_rest().await;
    bed.ask_control().await;
    bed.reload_all().await;
    bed.call_all().await;
    bed.ask_control().await;
    let mut secrets: Vec<String> = SECRETS.map(str::to_owned).into();
    secrets.push(bed.token.clone());
    secrets.push(bed.token.rsplit('.').next().unwrap().to_owned());
    for text in &bed.told {
        assert_untold("an answer", text, &secrets);
    }
    let output = bed.gateway.process.output();
    assert!(output.contains("DEBUG"), "everything is logged");
    assert_untold("the log", &output, &secrets);
    assert!(
        bed.told.iter().any(|text| text.contains("********")),
        "servers said them"
    );
}
