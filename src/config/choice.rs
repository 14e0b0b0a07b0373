//! The closed choices of the configuration.
//!
//! They are spelled in YAML exactly as mcp-conduit spells them, and are used as they are by both
//! the file's types and the model, so that no choice is written down twice.

pub mod extend;
pub mod guard;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How tools of several servers are named on an aggregated endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceStrategy {
    /// `server.tool`.
    #[default]
    Prefix,
    /// The bare name.
    None,
}

/// What stands between a server's id and a name of its own on an aggregated endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Separator {
    /// `.`
    #[default]
    #[serde(rename = ".")]
    Dot,
    /// `__`
    #[serde(rename = "__")]
    TwoUnderscores,
    /// `-`
    #[serde(rename = "-")]
    Dash,
    /// `_`
    #[serde(rename = "_")]
    Underscore,
}

/// How calls are spread over the replicas of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancing {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest calls in flight.
    LeastConnections,
}

/// The oldest TLS version a listener speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// 1.2 and newer.
    #[default]
    #[serde(rename = "TLSv1.2")]
    V1_2,
    /// 1.3 only.
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// They must: who has none cannot even say what it wants.
    #[default]
    Required,
    /// They may; one that is shown must be good.
    Optional,
}

/// A kind of name in a client certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateName {
    /// A subject alternative name that is a URI, such as a SPIFFE id.
    #[default]
    SanUri,
    /// One that is a host name.
    SanDns,
    /// One that is a mail address.
    SanEmail,
    /// The subject's common name.
    SubjectCn,
    /// The subject's organisation.
    SubjectO,
    /// The subject's organisational unit.
    SubjectOu,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("enum" = ["http", "sse", "http+sse", "http-sse", "stdio"]))]
pub enum Transport {
    /// Over the network.
    #[default]
    Http,
    /// Over the network, by the transport of 2024-11-05.
    #[serde(alias = "http+sse", alias = "http-sse")]
    Sse,
    /// As a child process.
    Stdio,
}

/// Which revisions of MCP a server is taken to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    /// Whatever it turns out to speak.
    #[default]
    Auto,
    /// 2024-11-05 to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// Which connected account a call to an upstream uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountBinding {
    /// The client's own.
    #[default]
    Client,
    /// Its tenant's.
    Tenant,
    /// Its workspace's.
    Workspace,
    /// The client's own, else its workspace's.
    ClientOrWorkspace,
}

/// How an upstream is told who calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityMode {
    /// Not at all.
    #[default]
    None,
    /// By the client's own token.
    Bearer,
    /// By a header that describes the client.
    ClaimsHeader,
}

/// How the gateway proves to an authorization server who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthentication {
    /// In the `Authorization` header.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// Where a managed package comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageSource {
    /// npm.
    #[default]
    Npm,
    /// The Python package index.
    Pypi,
    /// A container registry.
    Oci,
    /// Nowhere: a command of this machine.
    Command,
}

/// The release channel of a managed package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Stable releases.
    #[default]
    Stable,
    /// Beta releases.
    Beta,
    /// The newest builds.
    Canary,
    /// One release, until told otherwise.
    Pinned,
}

/// What became of a release of a managed package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// It runs.
    Active,
    /// It ran well.
    Healthy,
    /// It was not tried yet.
    Candidate,
    /// It failed its check.
    Failed,
    /// It was undone.
    RolledBack,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("enum" = ["none", "api-key", "api_key", "jwt", "mtls"]))]
pub enum AuthMethod {
    /// They do not.
    #[default]
    None,
    /// By a key.
    #[serde(alias = "api_key")]
    ApiKey,
    /// By a token of an identity provider.
    Jwt,
    /// By the client certificate of the connection.
    Mtls,
}

/// A yes or a no to a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccessAction {
    /// Yes.
    #[default]
    Allow,
    /// No.
    Deny,
}

/// What becomes of what the policies say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AclMode {
    /// It holds.
    #[default]
    Enforce,
    /// It is logged and counted, and everything passes.
    Shadow,
}

/// Who may be given a result that a server does not itself call public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// The same caller, with the same credential at the server.
    #[default]
    Private,
    /// Every caller of the same tenant.
    Tenant,
    /// Every caller.
    Public,
}

/// Where rate-limit counters live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBackend {
    /// In this process.
    #[default]
    Memory,
    /// In Redis.
    Redis,
}

/// What happens to calls while the store of the counters does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBackendError {
    /// They pass, uncounted.
    #[default]
    Allow,
    /// They are refused.
    Deny,
}

/// What is done with tools whose definitions nobody approved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ToolLock {
    /// Nothing: nobody looks.
    #[default]
    Off,
    /// They pass, and are told of.
    Warn,
    /// They are neither listed nor called.
    Block,
}

/// What is done with a server of which nothing was approved yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirstUse {
    /// Its tools wait for an approval.
    #[default]
    Refuse,
    /// Its tools are approved as they are first seen.
    Trust,
}

/// Where sessions live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionBackend {
    /// In this process.
    #[default]
    Memory,
    /// In Redis.
    Redis,
}

/// A role in a workspace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Owns the workspace.
    Owner,
    /// Administers it.
    Admin,
    /// Approves calls.
    Approver,
    /// Operates its servers.
    Operator,
    /// Calls tools.
    Developer,
    /// Only looks.
    #[default]
    Viewer,
}

impl Role {
    /// As credentials and the configuration spell it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }
}

/// What a governance tool policy decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEffect {
    /// The call goes through.
    Allow,
    /// It is refused.
    #[default]
    Deny,
    /// It waits for an approval.
    RequireApproval,
}

/// How a registry entry is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstallMode {
    /// Reached where it runs.
    #[default]
    Remote,
    /// Installed here.
    Package,
}

impl Separator {
    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dot => ".",
            Self::TwoUnderscores => "__",
            Self::Dash => "-",
            Self::Underscore => "_",
        }
    }
}
