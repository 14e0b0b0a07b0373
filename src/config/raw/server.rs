//! One entry of `servers` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{AccountBinding, Era, IdentityMode, Share, ToolLock, Transport};
use crate::config::raw::credential::{Bearer, ClientCredentials};
use crate::config::raw::runtime::ManagedRuntime;

/// An MCP server behind the gateway, reached over HTTP or started as a child process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct Server {
    /// The name in URLs (`/mcp/<id>`), tool prefixes, logs and metrics; unique.
    #[schemars(regex(pattern = "^[a-zA-Z0-9-]+$"), length(max = 256))]
    pub id: String,
    /// The `http` or `https` URL of the server's MCP endpoint; with `transport: sse` that of its event
    /// stream. Not used with `transport: stdio`.
    pub url: Option<String>,
    /// How the server is reached: `http`, `sse` (also written `http+sse` or `http-sse`) for the HTTP+SSE
    /// transport of revision 2024-11-05, or `stdio` to start it as a child process. A server behind `http`
    /// that turns out to speak HTTP+SSE is reached so, unless `era` is `modern`.
    pub transport: Transport,
    /// Which MCP revisions the server speaks: `legacy` (2024-11-05 to 2025-11-25, with sessions),
    /// `modern` (2026-07-28), or `auto` to find out and to notice when it changes.
    pub era: Era,
    /// Only stdio: the program to start. Looked up in `PATH` unless it contains a slash.
    pub command: Option<String>,
    /// Only stdio: the program's arguments.
    pub args: Vec<String>,
    /// Only stdio: environment variables for the program, besides `PATH`, `HOME`, `LANG` and the
    /// like. Nothing else of the gateway's environment reaches it.
    #[schemars(extend("additionalProperties" = {"type": "string", "writeOnly": true}))]
    pub env: BTreeMap<String, String>,
    /// Only stdio: the program's working directory. Absent means the gateway's own.
    pub cwd: Option<String>,
    /// Only stdio: let all clients share one process although the server speaks a protocol
    /// revision with sessions. Without it, such a server gets one process for each session.
    pub shared: bool,
    /// Only stdio: how many processes of this server may run at once.
    #[schemars(range(min = 1, max = 65536))]
    pub max_processes: u32,
    /// Only http and sse: headers added to every request to the server.
    #[schemars(extend("additionalProperties" = {"type": "string", "writeOnly": true}))]
    pub headers: BTreeMap<String, String>,
    /// Only http and sse: URLs of further instances of the same server.
    #[schemars(length(max = 1024))]
    pub replicas: Vec<String>,
    /// How long connecting to the server, or starting it, may take; with `transport: sse` until its
    /// event stream is open and has named the endpoint for messages.
    #[schemars(range(min = 1, max = 2147483647))]
    pub connect_timeout_ms: u32,
    /// How long the server may take to begin its answer: until its response headers, or over stdio
    /// its first message.
    #[schemars(range(min = 1, max = 2147483647))]
    pub timeout_ms: u32,
    /// How long the answer to a call may pause. Never applies to notification streams.
    #[schemars(range(min = 1, max = 2147483647))]
    pub idle_timeout_ms: u32,
    /// The longest time one call may take, whatever it does.
    #[schemars(range(min = 1, max = 2147483647))]
    pub max_duration_ms: u32,
    /// How long a session may be unused before Conduit forgets it.
    #[schemars(range(min = 1, max = 31536000))]
    pub session_idle_seconds: u32,
    /// How many sessions with this server Conduit keeps; a further one is refused.
    #[schemars(range(min = 1, max = 10000000))]
    pub max_sessions: u32,
    /// Sends the client's own `Authorization` header on to the server. Off, because that header
    /// usually holds the client's key to Conduit.
    pub forward_authorization: bool,
    /// The scopes that a client's credential must carry for any message to the server, besides those
    /// of `auth.oauth.required_scopes`. Only where clients are authenticated.
    pub required_scopes: Vec<String>,
    /// The scopes that calls of single tools need beyond that, by the tool's name or a pattern
    /// (`delete_*`). All patterns that match count.
    pub tool_scopes: BTreeMap<String, Vec<String>>,
    /// What is done with tools of this server that are not defined as an operator approved them.
    /// Absent means what `tool_lock` at the top of the file says.
    pub tool_lock: Option<ToolLock>,
    /// How answers of this server are cached.
    pub cache: ServerCache,
    /// Credentials that the server is sent.
    pub upstream_auth: Option<UpstreamAuth>,
    /// Only stdio: a package that Conduit installs, updates and rolls back.
    pub managed_runtime: Option<ManagedRuntime>,
}

/// How answers of a server are cached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerCache {
    /// For how many seconds results of tools that the server calls read-only are used again; 0
    /// caches none of them. Absent means 300 where a `cache` section is written, here or at the
    /// top of the file, and none elsewhere.
    pub default_ttl: Option<u32>,
    /// For how many seconds the lists of this server and its `server/discover` are used again, even
    /// if it gives them no `ttlMs`, or a shorter one. Absent means for its `ttlMs` only.
    #[schemars(range(max = 86400))]
    pub list_ttl: Option<u32>,
    /// Who is given what was cached for somebody else: with `private` nobody but the same caller
    /// with the same credential at the server, with `tenant` every caller of the same tenant, with
    /// `public` every caller. Answers that the server itself calls `public` are always shared.
    pub share: Share,
    /// For how many seconds after its time a result of a tool is still used while a new one is
    /// fetched in the background; 0 never uses it.
    #[schemars(range(max = 86400))]
    pub stale_while_revalidate: u32,
    /// For how many seconds after its time a result of a tool is still used if the server cannot be
    /// reached or fails; 0 never uses it.
    #[schemars(range(max = 86400))]
    pub stale_if_error: u32,
    /// The same as `stale_while_revalidate`, for lists and `server/discover`.
    #[schemars(range(max = 86400))]
    pub list_stale_while_revalidate: u32,
    /// The same as `stale_if_error`, for lists and `server/discover`.
    #[schemars(range(max = 86400))]
    pub list_stale_if_error: u32,
    /// Different rules for single tools, by tool name.
    pub overrides: BTreeMap<String, ToolCache>,
}

/// Caching rules of one tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolCache {
    /// For how many seconds a result is used again, also if the server does not call the tool
    /// read-only; 0 never caches. Absent means as `default_ttl` says. A tool that the server calls
    /// destructive is never cached.
    pub ttl: Option<u32>,
    /// Arguments that do not matter for the result, such as a request id. `options.trace` is an
    /// argument inside another one, and `*` in place of a name is any name.
    pub ignore_args: Vec<String>,
    /// What a call to this tool makes stale once it was sent, whatever its `ttl`: results of tools
    /// of this server by name (`list_issues`) or tag (`tag:issues`), and resources by URI
    /// (`resource:file:///repo/*`). In names and URIs `*` stands for any text and `?` for any one
    /// character. A tool that the server calls destructive and that names nothing here makes all
    /// results and resources of the server stale.
    pub invalidates: Vec<String>,
    /// Words by which `invalidates` can name this tool together with others.
    pub tags: Vec<String>,
    /// The tool's own `stale_while_revalidate`. Absent means the server's.
    #[schemars(range(max = 86400))]
    pub stale_while_revalidate: Option<u32>,
    /// The tool's own `stale_if_error`. Absent means the server's.
    #[schemars(range(max = 86400))]
    pub stale_if_error: Option<u32>,
}

/// Credentials that a server is sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamAuth {
    /// Only http and sse: a token of the gateway's own.
    pub bearer: Option<Bearer>,
    /// Only http and sse: tokens of the gateway's own, from an authorization server.
    pub oauth: Option<ClientCredentials>,
    /// The account of the caller at the provider behind this server.
    pub connected_account: Option<ConnectedAccount>,
    /// Tells the server who calls.
    pub forward_identity: Option<ForwardIdentity>,
}

/// The account of the caller at the provider behind a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["provider"]))]
pub struct ConnectedAccount {
    /// The provider's name, such as `github`.
    pub provider: String,
    /// Whose account is used.
    pub binding: AccountBinding,
    /// Refuse the call when there is no account.
    pub required: bool,
    /// Headers to send, as templates such as `Bearer {{access_token}}`.
    #[schemars(extend("additionalProperties" = {"type": "string", "writeOnly": true}))]
    pub headers: BTreeMap<String, String>,
}

/// Tells a server who calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardIdentity {
    /// `bearer` passes the client's token on, `claims-header` sends a header that describes it.
    pub mode: IdentityMode,
    /// The header for `claims-header`.
    pub header_name: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            id: String::new(),
            url: None,
            transport: Transport::Http,
            era: Era::Auto,
            command: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            shared: false,
            max_processes: 256,
            headers: BTreeMap::new(),
            replicas: Vec::new(),
            connect_timeout_ms: 5_000,
            timeout_ms: 30_000,
            idle_timeout_ms: 300_000,
            max_duration_ms: 3_600_000,
            session_idle_seconds: 1_800,
            max_sessions: 10_000,
            forward_authorization: false,
            required_scopes: Vec::new(),
            tool_scopes: BTreeMap::new(),
            tool_lock: None,
            cache: ServerCache::default(),
            upstream_auth: None,
            managed_runtime: None,
        }
    }
}

impl Default for ServerCache {
    fn default() -> Self {
        Self {
            default_ttl: None,
            list_ttl: None,
            share: Share::Private,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            list_stale_while_revalidate: 30,
            list_stale_if_error: 300,
            overrides: BTreeMap::new(),
        }
    }
}

impl Default for ConnectedAccount {
    fn default() -> Self {
        Self {
            provider: String::new(),
            binding: AccountBinding::default(),
            required: true,
            headers: BTreeMap::new(),
        }
    }
}

impl Default for ForwardIdentity {
    fn default() -> Self {
        Self {
            mode: IdentityMode::default(),
            header_name: "X-Conduit-Identity".to_owned(),
        }
    }
}
