//! `servers`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};

use crate::config::choice::{AccountBinding, Era, IdentityMode, Share, ToolLock};
use crate::config::model::Secret;
use crate::config::model::credential::Credential;
use crate::config::model::digest;
use crate::config::model::runtime::ManagedRuntime;
use crate::config::model::url::HttpUrl;

/// The id of a server: letters, digits and dashes. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Arc<str>);

/// An MCP server behind the gateway.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// Its unique name.
    pub id: ServerId,
    /// How it is reached.
    pub transport: Transport,
    /// Which revisions it speaks.
    pub era: Era,
    /// How long connecting, or starting a process, may take.
    pub connect_timeout: Duration,
    /// How long it may take to begin its answer.
    pub timeout: Duration,
    /// How long the answer to a call may pause.
    pub idle_timeout: Duration,
    /// The longest time one call may take.
    pub max_duration: Duration,
    /// How long a session may be unused.
    pub session_idle: Duration,
    /// How many sessions are kept.
    pub max_sessions: usize,
    /// Whether the client's `Authorization` is sent on.
    pub forward_authorization: bool,
    /// Which scopes callers need. They change nothing of what the server answers, and so are in no
    /// digest of its configuration.
    #[serde(skip)]
    pub scopes: Scopes,
    /// What is done with tools that nobody approved, if that is said of this server. It changes nothing
    /// of what the server answers, either.
    #[serde(skip)]
    pub tool_lock: Option<ToolLock>,
    /// How its answers are cached.
    pub cache: Cache,
    /// Credentials that it is sent.
    pub upstream_auth: Option<UpstreamAuth>,
    /// What variables whose names speak of a secret put into the above, which is in its digest there.
    #[serde(skip)]
    pub secrets: Vec<Secret>,
}

impl Server {
    /// Whether a text stands in how it is reached.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        match &self.transport {
            Transport::Http(http) | Transport::Sse(http) => {
                let mut urls = std::iter::once(&http.url).chain(&http.replicas);
                urls.any(|url| url.to_string().contains(text))
                    || http.headers.iter().any(|(_, value)| {
                        memchr::memmem::find(value.as_bytes(), text.as_bytes()).is_some()
                    })
            }
            Transport::Stdio(child) => {
                let args = child.args.iter().map(String::as_str);
                let mut all = args.chain(child.env.values().map(Secret::expose));
                all.any(|one| one.contains(text)) || child.command.contains(text)
            }
        }
    }
}

/// Which scopes callers of a server need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// For any message.
    pub all: Vec<String>,
    /// For calls of tools, by patterns of names.
    pub tools: BTreeMap<String, Vec<String>>,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Transport {
    /// Over the network.
    Http(Http),
    /// Over the network, by the transport of 2024-11-05.
    Sse(Http),
    /// As a child process.
    Stdio(Stdio),
}

/// A server in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http {
    /// The MCP endpoint, or the event stream, of the first instance.
    pub url: HttpUrl,
    /// The further instances.
    pub replicas: Vec<HttpUrl>,
    /// Headers for every request; values are marked sensitive.
    #[serde(serialize_with = "digest_headers")]
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A server that is started as a child process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stdio {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its own environment variables.
    pub env: BTreeMap<String, Secret>,
    /// Its working directory; `None` means the gateway's.
    pub cwd: Option<PathBuf>,
    /// Whether all clients share one process of a server that has sessions.
    pub shared: bool,
    /// How many processes may run at once.
    pub max_processes: usize,
    /// The package that Conduit manages, if it is one.
    pub managed_runtime: Option<ManagedRuntime>,
}

/// How answers of a server are cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// Whether the file has this section, or the top-level `cache`: the operator wants a cache, so
    /// that read-only tools are cached even where `default_ttl` is `None`.
    pub is_written: bool,
    /// The time to live of results of read-only tools; zero caches none.
    pub default_ttl: Option<Duration>,
    /// The time to live of lists and `server/discover`, unless the server gives a longer one.
    pub list_ttl: Option<Duration>,
    /// Who may be given what is not public by the server's own word.
    pub share: Share,
    /// For how long results of tools are used after their time.
    pub calls: Staleness,
    /// For how long lists and `server/discover` are used after their time.
    pub lists: Staleness,
    /// Rules of single tools, by name.
    pub overrides: BTreeMap<String, ToolCache>,
}

/// For how long an answer is used after its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Staleness {
    /// While a new one is fetched.
    pub while_revalidate: Duration,
    /// If no new one can be had.
    pub if_error: Duration,
}

/// Caching rules of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToolCache {
    /// The time to live; `None` means the server's, zero never caches.
    pub ttl: Option<Duration>,
    /// Dot paths of arguments that do not matter for the result; no segment is empty.
    pub ignore_args: Vec<String>,
    /// What a call makes stale: patterns of tool names, `tag:` and a tag, `resource:` and a pattern
    /// of URIs; none is empty.
    pub invalidates: Vec<String>,
    /// Words by which `invalidates` names the tool.
    pub tags: Vec<String>,
    /// The tool's own [`Staleness::while_revalidate`]; `None` means the server's.
    pub stale_while_revalidate: Option<Duration>,
    /// The tool's own [`Staleness::if_error`]; `None` means the server's.
    pub stale_if_error: Option<Duration>,
}

/// Credentials that a server is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UpstreamAuth {
    /// The gateway's own.
    pub credential: Option<Credential>,
    /// The caller's account at the provider.
    pub connected_account: Option<ConnectedAccount>,
    /// Tells the server who calls.
    pub forward_identity: Option<ForwardIdentity>,
}

/// The caller's account at the provider behind a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectedAccount {
    /// The provider.
    pub provider: String,
    /// Whose account.
    pub binding: AccountBinding,
    /// Whether a call without account is refused.
    pub required: bool,
    /// Header templates.
    pub headers: BTreeMap<String, Secret>,
}

/// Tells a server who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForwardIdentity {
    /// How.
    pub mode: IdentityMode,
    /// The header for claims.
    #[serde(serialize_with = "name_header")]
    pub header_name: HeaderName,
}

// === impl ServerId ===

impl ServerId {
    /// Checks and wraps an id; `None` if it is empty or holds anything but letters, digits and
    /// dashes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        crate::config::walk::scalar::is_name(text).then(|| Self(Arc::from(text)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for ServerId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ServerId({})", self.0)
    }
}

impl std::borrow::Borrow<str> for ServerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ServerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn name_header<S: Serializer>(name: &HeaderName, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(name.as_str())
}

/// Values are credentials as often as not.
fn digest_headers<S: Serializer>(
    headers: &[(HeaderName, HeaderValue)],
    out: S,
) -> Result<S::Ok, S::Error> {
    let digested = headers.iter();
    out.collect_seq(digested.map(|(name, value)| (name.as_str(), digest(value.as_bytes()))))
}
