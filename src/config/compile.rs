//! Turns what the file says into the one model, and checks what a schema cannot.
//!
//! Each section has its function; what concerns two sections is checked here. The walk has already
//! refused values of the wrong shape, so findings are only about meaning.
//!
//! **Invariant:** every finding names the path of the value in the file, so that its line can be
//! looked up; nothing stops at the first.

use std::net::IpAddr;

use filters::problem::Problems;

use crate::config::Config;
use crate::config::model::gateway::Tls;
use crate::config::raw::Raw;
use crate::config::walk::Places;

pub mod access;
pub mod acl;
pub mod admin;
pub mod auth;
pub mod cache;
pub mod connect;
pub mod extend;
pub mod gateway;
pub mod governance;
pub mod guard;
pub mod limit;
pub mod lock;
pub mod observe;
pub mod reference;
pub mod router;
pub mod runtime;
pub mod server;
pub mod session;

/// The model of a file. If the problems hold errors afterwards, it must not be used.
pub fn compile(raw: Raw, places: &Places, problems: &mut Problems) -> Config {
    let server_ids: Vec<String> = raw.servers.iter().map(|server| server.id.clone()).collect();
    let redis_urls = session::redis_urls(&raw);
    let router = router::compile(&raw.router, &server_ids, problems);
    let config = Config {
        gateway: gateway::compile(raw.gateway, problems),
        router,
        servers: server::compile_all(raw.servers, places, problems),
        cache: cache::compile(raw.cache, problems),
        tenant_isolation: access::compile_isolation(&raw.tenant_isolation, problems),
        auth: auth::compile(raw.auth.as_ref(), problems),
        acl: acl::compile(raw.acl, raw.auth.as_ref(), problems),
        compat: gateway::compile_compat(&raw.compat),
        rate_limits: limit::compile(raw.rate_limits, problems),
        // After the sections whose Redis it may borrow, so that a wrong URL is told once.
        sessions: session::compile(raw.sessions, redis_urls, problems),
        guardrails: guard::compile(raw.guardrails, problems),
        tool_lock: lock::compile(
            raw.tool_lock,
            raw.tool_lock_first_use,
            raw.tool_lock_file,
            problems,
        ),
        observability: observe::compile(raw.observability, problems),
        metrics: observe::compile_metrics(raw.metrics, problems),
        admin: admin::compile(raw.admin, problems),
        connect: connect::compile(raw.connect, &server_ids, problems),
        identity: connect::compile_identity(raw.identity, problems),
        governance: governance::compile(raw.governance, problems),
        plugins: extend::compile_plugins(raw.plugins, problems),
        discovery: extend::compile_discovery(raw.discovery, problems),
        written: crate::config::inactive::written(places),
    };
    reference::check(&config, &server_ids, problems);
    admin::check(&config, places, problems);
    check_certificates(&config, problems);
    warn_about_idle_scopes(&config, problems);
    acl::warn_about_unproven(&config.acl, &config.auth, problems);
    warn_about_forgotten_switches(&config, places, problems);
    config
}

/// Client certificates come with TLS connections only, and only where they are asked for.
fn check_certificates(config: &Config, problems: &mut Problems) {
    let is_asked = |tls: &Tls| tls.ca_path.is_some();
    let tls = config.gateway.tls.as_ref();
    let is_refused = problems
        .iter()
        .any(|problem| problem.path.starts_with("gateway.tls"));
    if config.auth.certificates.is_some() && !tls.is_some_and(is_asked) && !is_refused {
        let message = "mtls needs client certificates: set gateway.tls.enabled: true, \
                       gateway.tls.cert_path, key_path and ca_path";
        problems
            .error("auth.method", message)
            .because_of("gateway.tls");
    }
    if let Some(oauth) = &config.auth.oauth
        && tls.is_some()
        && oauth.resource.starts_with("http://")
    {
        let message = "is an http: URL, but gateway.tls is on: clients reach the gateway by https:";
        problems
            .error("auth.oauth.resource", message)
            .because_of("gateway.tls");
    }
}

/// Scopes are asked of nobody where nobody is authenticated, which looks like protection.
fn warn_about_idle_scopes(config: &Config, problems: &mut Problems) {
    if !config.auth.is_off() {
        return;
    }
    for (index, server) in config.servers.iter().enumerate() {
        for (key, is_said) in [
            ("required_scopes", !server.scopes.all.is_empty()),
            ("tool_scopes", !server.scopes.tools.is_empty()),
        ] {
            if is_said {
                let message = "have no effect because clients are not authenticated";
                problems
                    .warning(format!("servers[{index}].{key}"), message)
                    .because_of("auth.method");
            }
        }
    }
}

/// A section full of rules whose switch was never written is most likely a mistake.
fn warn_about_forgotten_switches(config: &Config, places: &Places, problems: &mut Problems) {
    let limits = &config.rate_limits;
    let sections = [
        (
            "acl",
            !config.acl.enabled && !config.acl.spec.policies.is_empty(),
        ),
        (
            "guardrails",
            !config.guardrails.enabled && !config.guardrails.rules.is_empty(),
        ),
        ("rate_limits", !limits.enabled && limits.has_limits()),
    ];
    for (section, is_idle) in sections {
        if is_idle && !places.is_written(&format!("{section}.enabled")) {
            problems.warning(
                section,
                format!("has rules, but {section}.enabled is not true, so they do not apply"),
            );
        }
    }
}

/// Whether an address can only be reached from this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Checks an address to listen on; IPv6 loses its brackets.
fn listen_host(path: &str, host: &str, problems: &mut Problems) -> String {
    let host = host.trim();
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
    };
    if bare.parse::<IpAddr>().is_err() && !is_name(bare) {
        problems
            .error(path, "must be an IP address or a host name, without a port")
            .found(format!("{:?}", crate::config::walk::scalar::excerpt(host)));
    }
    bare.to_owned()
}
