//! The snapshot that requests are served from.

use std::collections::HashMap;
use std::sync::Arc;

use filters::acl;
use filters::guard::rules::Rules;
use filters::origin::{self, Own};
use filters::problem::Problems;
use filters::refusal::Statuses;
use filters::route::names::{Naming, Strategy};
use tokio_util::sync::CancellationToken;

use crate::app::build::approvals;
use crate::app::limited;
use crate::app::locked;
use crate::auth::Authenticator;
use crate::config::Config;
use crate::config::choice::NamespaceStrategy;
use crate::config::compile::is_loopback;
use crate::config::model;
use crate::config::model::gateway::Listen;
use crate::config::model::router::Router;
use crate::state::snapshot::{
    Acl, Bounds, ControlOrigins, Lists, Merging, Parts, Profile, Server, Snapshot, Webhooks,
};
use crate::state::users::Users;

/// Compiles a configuration over its servers' parts, which are in its order. Profiles that did not
/// change since `before` stay what they are: who listens at one goes on.
pub(in crate::app) fn build(
    config: &Config,
    servers: &[Arc<Server>],
    auth: &Arc<Authenticator>,
    before: Option<(&Config, &Snapshot)>,
) -> Snapshot {
    let gateway = &config.gateway;
    let acl = acl(config, before);
    let lists = config.router.lists;
    let by_id = servers
        .iter()
        .map(|one| (one.id.to_string(), Arc::clone(one)));
    Snapshot {
        profiles: profiles(
            config,
            servers,
            before.map(|(config, snapshot)| (&config.router, snapshot)),
        ),
        servers: by_id.collect(),
        lists: Lists {
            deadline: lists.deadline,
            page_size: lists.page_size,
        },
        origin: origin::Rules::compile(
            &gateway.allowed_origins,
            &gateway.allowed_hosts,
            is_loopback(&gateway.host),
        )
        .serving(Own {
            is_tls: gateway.tls.is_some(),
            port: gateway.port,
            public: config
                .auth
                .oauth
                .as_ref()
                .map(|oauth| oauth.resource.clone()),
        }),
        control_origins: control_origins(config),
        auth: Arc::clone(auth),
        acl,
        guard: guardrails(config),
        approvals: approvals::build(config),
        webhooks: webhooks(&config.guardrails.webhooks),
        limits: limited::policy(&config.rate_limits).map(Arc::new),
        tool_lock: locked::policy(config),
        statuses: if config.compat.always_200 {
            Statuses::Always200
        } else {
            Statuses::Own
        },
        body_bytes_max: gateway.max_body_bytes,
        bounds: Bounds {
            headers_max: gateway.connections.headers_max,
            header_bytes_max: gateway.connections.header_bytes_max,
            body_pause: gateway.connections.body_pause,
            body: gateway.connections.body,
        },
        keep_alive: gateway.sse_keepalive,
        users: Users::default(),
    }
}

/// What the control plane's own listeners check: as the gateway's does. Nobody's browser gets to a unix
/// socket, and what reads metrics calls a public address by whatever name it has there.
fn control_origins(config: &Config) -> ControlOrigins {
    let (origins, hosts) = (
        &config.gateway.allowed_origins,
        &config.gateway.allowed_hosts,
    );
    let any = ["*".to_owned()];
    let admin = match &config.admin.listen {
        Some(Listen::Tcp { host, port }) => {
            origin::Rules::compile(origins, hosts, is_loopback(host)).serving(plain(*port))
        }
        Some(Listen::Unix(_)) => origin::Rules::compile(origins, &any, true),
        None => origin::Rules::default(),
    };
    let metrics = if is_loopback(&config.metrics.host) {
        origin::Rules::compile(origins, hosts, true).serving(plain(config.metrics.port))
    } else {
        origin::Rules::compile(origins, &any, false)
    };
    ControlOrigins { admin, metrics }
}

/// A listener of the control plane's own.
fn plain(port: u16) -> Own {
    Own {
        is_tls: false,
        port,
        public: None,
    }
}

fn webhooks(webhooks: &model::guard::Webhooks) -> Webhooks {
    Webhooks {
        secret: webhooks
            .secret
            .as_ref()
            .map(|secret| secret.expose().as_bytes().into()),
        allow_private: webhooks.allow_private,
        timeout: webhooks.timeout,
        attempts_max: webhooks.attempts_max,
        queue_max: webhooks.queue_max,
    }
}

/// The access rules: those in force where they did not change.
fn acl(config: &Config, before: Option<(&Config, &Snapshot)>) -> Arc<Acl> {
    if let Some((known, snapshot)) = before
        && known.acl == config.acl
    {
        return Arc::clone(&snapshot.acl);
    }
    Arc::new(Acl {
        rules: access_rules(config),
        ..Acl::default()
    })
}

/// The access rules of a configuration.
pub(in crate::app) fn access_rules(config: &Config) -> acl::Rules {
    let acl = &config.acl;
    let rules = acl.enabled.then(|| acl::Rules::compile(&acl.spec));
    rules.unwrap_or_default()
}

/// The guardrails of a configuration. What is wrong with them was found when it was loaded.
pub(in crate::app) fn guardrails(config: &Config) -> Rules {
    Rules::compile(&config.guardrails.spec(), &mut Problems::default())
        .of_servers(config.servers.iter().map(|one| one.id.as_str()))
}

/// The configured profiles, and `default`, which is everything.
fn profiles(
    config: &Config,
    servers: &[Arc<Server>],
    before: Option<(&Router, &Snapshot)>,
) -> HashMap<String, Arc<Profile>> {
    let router = &config.router;
    let before = before.filter(|(before, _)| is_named_alike(router, before));
    let profile = |id: &str, servers: Vec<Arc<Server>>| {
        let known = before.and_then(|(_, snapshot)| snapshot.profiles.get(id));
        let known = known.filter(|known| is_same(&known.servers, &servers));
        let profile = known.map_or_else(|| Arc::new(compile(router, id, servers)), Arc::clone);
        (id.to_owned(), profile)
    };
    let configured = config.connect.profiles.iter().map(|one| {
        let is_member =
            |server: &&Arc<Server>| one.server_ids.iter().any(|id| id.as_str() == &*server.id);
        let members = servers.iter().filter(is_member).map(Arc::clone);
        profile(&one.id, members.collect())
    });
    configured
        .chain([profile("default", servers.to_vec())])
        .collect()
}

fn compile(router: &Router, id: &str, servers: Vec<Arc<Server>>) -> Profile {
    let ids = servers.iter().map(|server| server.id.to_string());
    Profile {
        id: id.to_owned(),
        naming: Arc::new(naming(router, ids)),
        merging: Merging::default(),
        parts: Parts::default(),
        servers,
        retired: CancellationToken::new(),
    }
}

/// What the things of these servers are called where several are seen as one.
pub(in crate::app) fn naming(router: &Router, ids: impl IntoIterator<Item = String>) -> Naming {
    let strategy = match router.namespace_strategy {
        NamespaceStrategy::Prefix => Strategy::Prefix,
        NamespaceStrategy::None => Strategy::None,
    };
    let separator = router.namespace_separator.as_str();
    Naming::new(strategy, separator, router.name_limit, ids)
}

fn is_named_alike(one: &Router, other: &Router) -> bool {
    one.namespace_strategy == other.namespace_strategy
        && one.namespace_separator == other.namespace_separator
        && one.name_limit == other.name_limit
}

fn is_same(some: &[Arc<Server>], others: &[Arc<Server>]) -> bool {
    let mut pairs = some.iter().zip(others);
    some.len() == others.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
}
