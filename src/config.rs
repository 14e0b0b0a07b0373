//! The configuration of Conduit: what an operator writes, checked and in the form the program
//! reads.
//!
//! A load goes one way, at start and at reload alike:
//! [`source`] gathers texts → [`yaml`] reads the file into a tree that knows its lines →
//! [`overrides`] writes environment overrides into the tree → [`walk`] checks the tree against the
//! [`schema`], resolving `${VAR}` ([`interpolate`]) → [`raw`] types → [`compile`] checks meaning and
//! makes the one model, [`Config`].
//!
//! **Invariant:** [`load`] reads nothing but its [`Source`], the rule packs that it names ([`pack`]),
//! and whether TLS files exist, so two
//! loads of one source agree.
//! **Invariant:** all problems are found in one load; a value is never silently ignored.

use std::collections::BTreeSet;

use filters::problem::{Problem, Problems};
use serde_json::Value as Json;

use crate::config::model::Secret;
use crate::config::raw::Raw;
use crate::config::source::{Source, Variables};

pub mod choice;
pub mod compile;
pub mod diff;
pub mod docs;
pub mod edition;
pub mod inactive;
pub mod interpolate;
pub mod model;
pub mod overrides;
pub mod pack;
pub mod path;
pub mod raw;
pub mod schema;
pub mod source;
pub mod walk;
pub mod yaml;

/// The configuration as the program reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where Conduit listens, and the bounds of one request.
    pub gateway: model::gateway::Gateway,
    /// How calls find a server.
    pub router: model::router::Router,
    /// The servers, with unique ids, in the order of the file.
    pub servers: Vec<model::server::Server>,
    /// Sessions of clients, and calls that wait for a client.
    pub sessions: model::session::Sessions,
    /// Caching of what servers answer.
    pub cache: model::cache::Cache,
    /// How tenants are kept apart, if they are.
    pub tenant_isolation: Option<model::access::TenantIsolation>,
    /// How clients prove who they are.
    pub auth: model::access::Auth,
    /// Who may call what.
    pub acl: model::acl::Acl,
    /// What is done as mcp-conduit does it.
    pub compat: model::gateway::Compat,
    /// How often clients may call.
    pub rate_limits: model::limit::RateLimits,
    /// Rules that look into arguments.
    pub guardrails: model::guard::Guardrails,
    /// What is done with tools that nobody approved.
    pub tool_lock: model::lock::ToolLock,
    /// Request log and tracing.
    pub observability: model::observe::Observability,
    /// The Prometheus listener.
    pub metrics: model::observe::Metrics,
    /// Protection of the admin API.
    pub admin: model::gateway::Admin,
    /// Profiles and registry.
    pub connect: model::connect::Connect,
    /// Workspaces and accounts.
    pub identity: model::connect::Identity,
    /// Roles, policies, quotas, approvals.
    pub governance: model::governance::Governance,
    /// Code at fixed moments.
    pub plugins: Vec<model::extend::Plugin>,
    /// Servers found by themselves.
    pub discovery: model::extend::Discovery,
    /// Which values without effect in this build were really written; see [`inactive`].
    pub written: BTreeSet<&'static str>,
}

/// A configuration that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is doubtful about it, in reading order.
    pub warnings: Vec<Problem>,
}

impl Default for Config {
    /// What an empty file means: every documented default, and no servers.
    fn default() -> Self {
        compile::compile(
            Raw::default(),
            &walk::Places::default(),
            &mut Problems::default(),
        )
    }
}

/// Loads a configuration.
///
/// # Errors
/// Everything that is wrong with it, warnings included, in reading order.
pub fn load(source: &Source) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let loaded = load_into(source, &mut problems);
    problems.sort();
    match loaded {
        Some(config) if !problems.has_errors() => Ok(Loaded {
            config,
            warnings: problems.into_vec(),
        }),
        Some(_) | None => Err(problems),
    }
}

fn load_into(source: &Source, problems: &mut Problems) -> Option<Config> {
    let variables = Variables::gather(source, problems);
    for remark in &source.remarks {
        problems.warning("", remark.as_str());
    }
    if source.text.is_none() {
        let path = source.path.display();
        problems.warning(
            "",
            format!(
                "there is no {path}: starting with defaults and without servers; name a file with \
                 --config or CONDUIT_CONFIG"
            ),
        );
    }
    let mut root = yaml::parse(source.text.as_deref().unwrap_or_default(), problems)?;
    overrides::apply(&mut root, &variables);
    let (values, places) = walk::check(schema::schema(), &root, &variables, problems);
    let mut raw = deserialise(values, problems)?;
    let mut meaning = Problems::default();
    pack::include(&mut raw.guardrails, source, &variables, &mut meaning);
    let mut config = compile::compile(raw, &places, &mut meaning);
    config.tool_lock.place(&source.path);
    let secrets = variables.secrets(source.text.as_deref().unwrap_or_default());
    for server in &mut config.servers {
        let told = secrets.iter().filter(|secret| server.mentions(secret));
        server.secrets = told.map(|&secret| Secret::new(secret.to_owned())).collect();
    }
    meaning.hide(&secrets);
    meaning.locate(|path| places.nearest(path));
    problems.absorb(meaning);
    Some(config)
}

fn deserialise(values: Json, problems: &mut Problems) -> Option<Raw> {
    serde_json::from_value(values)
        .map_err(|error| {
            // The walk lets through only what fits; that it did not is a defect worth reporting.
            problems.error(
                "",
                format!("the configuration does not fit its own schema: {error}"),
            );
        })
        .ok()
}
