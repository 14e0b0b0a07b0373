//! The configuration file as it is written: one struct a section, one field a key.
//!
//! These types are the single source of what a file may hold. Their doc comments become the
//! descriptions of `conf/schema.json` and `docs/CONFIGURATION.md`, their `Default`s the documented
//! defaults, their attributes the bounds that the schema walk checks. They accept every dialect of
//! mcp-conduit; [`crate::config::compile`] turns them into the one model.
//!
//! **Invariant:** every struct has a default for every field, so that a value the walk refused can
//! be left out and the rest of the file still be judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{FirstUse, ToolLock};

pub mod access;
pub mod acl;
pub mod cache;
pub mod connect;
pub mod credential;
pub mod extend;
pub mod gateway;
pub mod governance;
pub mod guard;
pub mod limit;
pub mod observe;
pub mod router;
pub mod runtime;
pub mod server;
pub mod session;

/// The configuration of Conduit, a gateway for the Model Context Protocol.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Conduit configuration", extend("patternProperties" = {"^x-": true}))]
pub struct Raw {
    /// Where Conduit listens, and the bounds of one request.
    pub gateway: gateway::Gateway,
    /// How calls find a server: names, balancing, health checks, circuit breakers.
    pub router: router::Router,
    /// The MCP servers behind the gateway.
    pub servers: Vec<server::Server>,
    /// The sessions of clients that speak a revision with sessions, and calls that wait for a
    /// client.
    pub sessions: session::Sessions,
    /// Caching of what servers answer.
    pub cache: cache::Cache,
    /// Keeps the tenants' cached results and logs apart.
    pub tenant_isolation: access::TenantIsolation,
    /// How clients prove who they are. Absent means that everybody may call.
    pub auth: Option<access::Auth>,
    /// Who may use which tools, prompts and resources of which servers.
    pub acl: acl::Acl,
    /// What is done as mcp-conduit does it, where Conduit does it otherwise.
    pub compat: gateway::Compat,
    /// How often clients may call.
    pub rate_limits: limit::RateLimits,
    /// Rules that look into what clients and servers say; see docs/GUARDRAILS.md.
    pub guardrails: guard::Guardrails,
    /// What is done with tools that are not defined as an operator approved them: `off` does not look,
    /// `warn` lets them pass and tells of them, `block` neither lists nor calls them. See
    /// `docs/TOOL_LOCK.md`.
    pub tool_lock: ToolLock,
    /// The file that holds the approved definitions. A relative path starts at the folder of this
    /// file. Absent means `conduit.lock` beside it.
    #[schemars(length(min = 1))]
    pub tool_lock_file: Option<String>,
    /// What is done with a server of which nothing was approved yet: `refuse` has its tools wait for
    /// `conduit lock approve`, `trust` approves them as they are first seen.
    pub tool_lock_first_use: FirstUse,
    /// Request log, redaction and tracing.
    pub observability: observe::Observability,
    /// The Prometheus listener.
    pub metrics: observe::Metrics,
    /// Protection of the admin API under `/conduit`.
    pub admin: gateway::Admin,
    /// Profiles (named sets of servers) and the registry of servers to import from.
    pub connect: connect::Connect,
    /// Maps tenants to workspaces and brokers credentials of connected accounts.
    pub identity: connect::Identity,
    /// Roles, policies, quotas and approvals for each workspace.
    pub governance: governance::Governance,
    /// Code that runs at fixed moments of a request.
    pub plugins: Vec<extend::Plugin>,
    /// Servers that register themselves or are found in the network.
    pub discovery: extend::Discovery,
}
