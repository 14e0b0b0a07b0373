//! The closed choices of the configuration.
//!
//! They are spelled in YAML exactly as mcp-conduit spells them, and are used as they are by both
//! the file's types and the model, so that no choice is written down twice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How tools of several servers are named on an aggregated endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceStrategy {
    #[default]
    Prefix,
    None,
}

/// How calls are spread over the replicas of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancing {
    #[default]
    RoundRobin,
    LeastConnections,
}

/// The oldest TLS version a listener speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "TLSv1.2")]
    V1_2,
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    #[default]
    Http,
    Stdio,
}

/// Which connected account a call to an upstream uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountBinding {
    #[default]
    Client,
    Tenant,
    Workspace,
    ClientOrWorkspace,
}

/// How an upstream is told who calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityMode {
    #[default]
    None,
    Bearer,
    ClaimsHeader,
}

/// Where a managed package comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageSource {
    #[default]
    Npm,
    Pypi,
    Oci,
    Command,
}

/// The release channel of a managed package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    #[default]
    Stable,
    Beta,
    Canary,
    Pinned,
}

/// What became of a release of a managed package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    Active,
    Healthy,
    Candidate,
    Failed,
    RolledBack,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(extend("enum" = ["none", "api-key", "api_key", "jwt"]))]
pub enum AuthMethod {
    #[default]
    None,
    #[serde(alias = "api_key")]
    ApiKey,
    Jwt,
}

/// A yes or a no to a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccessAction {
    #[default]
    Allow,
    Deny,
}

/// Where rate-limit counters live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBackend {
    #[default]
    Memory,
    Redis,
}

/// What happens to a call that no guardrail rule matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GuardDefault {
    #[default]
    Allow,
    Block,
}

/// What a matching guardrail rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardAction {
    #[default]
    Block,
    Alert,
    RequireApproval,
    Transform,
}

/// How a guardrail condition compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    #[default]
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    NotContains,
    Matches,
    Exists,
    NotExists,
}

/// How serious a guardrail finding is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

/// A role in a workspace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Approver,
    Operator,
    Developer,
    #[default]
    Viewer,
}

/// What a governance tool policy decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEffect {
    Allow,
    #[default]
    Deny,
    RequireApproval,
}

/// How a registry entry is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstallMode {
    #[default]
    Remote,
    Package,
}

/// A moment in a request at which a plugin can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Hook {
    #[serde(rename = "before:request")]
    BeforeRequest,
    #[serde(rename = "after:auth")]
    AfterAuth,
    #[serde(rename = "before:cache")]
    BeforeCache,
    #[serde(rename = "after:upstream")]
    AfterUpstream,
    #[serde(rename = "before:response")]
    BeforeResponse,
}

/// How servers are discovered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoveryKind {
    #[default]
    Http,
    Dns,
    Consul,
}
