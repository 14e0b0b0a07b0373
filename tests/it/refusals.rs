//! Every refusal that a client can cause over HTTP, as one table: what comes back in each era, what is counted, what
//! is logged, and what `compat.always_200: true` makes of the status. Each row is held against `docs/ERRORS.md`, too.
//!
//! Issue 5, "What it must show". `filters/tests/refusals` is the same table for the code alone.
//!
//! Statuses, codes and words stand in the rows, written by hand.

mod batches;
mod callers;
mod ids;
mod limits;
mod message;
mod page;
mod policy;
mod servers;
mod site;
mod targets;
mod transport;

use serde_json::{Value, json};

use crate::refusals::page::Told;
use crate::support::message::{LEGACY, MODERN, modern, post};
use crate::support::wire::Request;

/// Refusals that no row causes: where they are caused instead, or why they are not. How each is told is held in
/// `filters/tests/refusals` all the same.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "approval_asked",
        "is told as a result: tests/it/guard/approvals/dialog.rs",
    ),
    ("auth_algorithm", "src/auth/tests.rs"),
    ("auth_certificate_expired", "needs TLS, and a clock"),
    (
        "auth_certificate_missing",
        "needs TLS: tests/it/tls/clients.rs",
    ),
    (
        "auth_certificate_name",
        "needs TLS: tests/it/tls/clients.rs",
    ),
    ("auth_claims", "src/auth/tests.rs"),
    ("auth_issuer", "src/auth/tests.rs"),
    ("auth_kid_unknown", "src/auth/tests.rs"),
    ("auth_malformed", "tests/it/auth/keys.rs"),
    ("auth_token_not_yet_valid", "src/auth/tests.rs"),
    (
        "capability_missing",
        "needs a legacy server that asks a modern client in the middle of a call",
    ),
    (
        "client_silent",
        "needs a client that is silent for as long as it may be",
    ),
    ("internal", "a defect: nobody knows how"),
    ("rounds_exceeded", "needs a server that asks without end"),
    (
        "upstream_moved",
        "needs more servers that move than one request follows",
    ),
    (
        "upstream_unavailable",
        "needs a server whose sessions are all in use: unhealthy ones are still tried",
    ),
];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    /// A legacy client that has agreed on 2025-06-18.
    June,
    /// A legacy client that has agreed on 2025-11-25.
    November,
    /// A client of 2026-07-28.
    Modern,
}

const EVERYBODY: &[Speaker] = &[Speaker::June, Speaker::November, Speaker::Modern];
const LEGACY_ONLY: &[Speaker] = &[Speaker::June, Speaker::November];
const MODERN_ONLY: &[Speaker] = &[Speaker::Modern];

impl Speaker {
    fn version(self) -> &'static str {
        match self {
            Self::June => "2025-06-18",
            Self::November => LEGACY,
            Self::Modern => MODERN,
        }
    }

    fn era(self) -> &'static str {
        match self {
            Self::June | Self::November => "legacy",
            Self::Modern => "modern",
        }
    }

    fn is_legacy(self) -> bool {
        self != Self::Modern
    }

    /// A request with the id 7.
    fn request(self, path: &str, method: &str, params: Value) -> Request {
        if self == Self::Modern {
            return modern(path, &json!(7), method, params);
        }
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        post(path, body.to_string()).header("mcp-protocol-version", self.version())
    }

    /// A call of a tool without arguments.
    fn call(self, path: &str, tool: &str) -> Request {
        self.request(path, "tools/call", json!({ "name": tool, "arguments": {} }))
    }
}

/// What the id of the refusal is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    /// The request's.
    Id,
    /// None: it is refused before its body is read, or has none.
    Nothing,
    /// None, but the request's with `compat.always_200`: what looks like an answer is one to the request.
    IdIfCompatible,
}

/// One way to be refused.
struct Row {
    name: &'static str,
    speakers: &'static [Speaker],
    request: Box<dyn Fn(Speaker) -> Request + Send + Sync>,
    /// The endpoint that legacy clients have a session at.
    session: Option<&'static str>,
    label: &'static str,
    status: u16,
    always_200: u16,
    code: i64,
    /// Where legacy clients are told another one.
    legacy_code: Option<i64>,
    legacy_status: Option<u16>,
    echo: Echo,
    says: Vec<&'static str>,
    /// Headers of the answer, unless it looks like a success; any value will do for an empty one.
    headers: Vec<(&'static str, &'static str)>,
    /// The label `server` of `conduit_errors_total`.
    server: &'static str,
    /// Another series that goes up by one.
    also: Option<&'static str>,
    /// Members of the access line, beside those that every refusal has.
    log: Value,
}

impl Row {
    fn new(
        name: &'static str,
        label: &'static str,
        (status, always_200, code): (u16, u16, i64),
        request: impl Fn(Speaker) -> Request + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            speakers: EVERYBODY,
            request: Box::new(request),
            session: None,
            label,
            status,
            always_200,
            code,
            legacy_code: None,
            legacy_status: None,
            echo: Echo::Id,
            says: Vec::new(),
            headers: Vec::new(),
            server: "_unknown",
            also: None,
            log: json!({}),
        }
    }

    fn by(mut self, speakers: &'static [Speaker]) -> Self {
        self.speakers = speakers;
        self
    }

    /// In a session at this endpoint, where there are sessions.
    fn within(mut self, path: &'static str) -> Self {
        self.session = Some(path);
        self
    }

    fn legacy_code(mut self, code: i64) -> Self {
        self.legacy_code = Some(code);
        self
    }

    fn legacy_status(mut self, status: u16) -> Self {
        self.legacy_status = Some(status);
        self
    }

    fn echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }

    fn says(mut self, parts: &[&'static str]) -> Self {
        self.says = parts.to_vec();
        self
    }

    fn headers(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.headers = headers.to_vec();
        self
    }

    fn server(mut self, server: &'static str) -> Self {
        self.server = server;
        self
    }

    fn also(mut self, series: &'static str) -> Self {
        self.also = Some(series);
        self
    }

    fn log(mut self, log: Value) -> Self {
        self.log = log;
        self
    }

    /// The row as the page has it.
    fn told(&self) -> Told {
        Told {
            label: self.label.to_owned(),
            status: self.status,
            always_200: self.always_200,
            legacy: self.legacy_code.unwrap_or(self.code),
            modern: self.code,
        }
    }
}
