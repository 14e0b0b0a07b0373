//! What the cache has to do with a message: whether it may answer it, and what the message makes
//! stale.

use std::borrow::Cow;
use std::sync::Arc;

use filters::cache::key::{Audience, Key, Material, Prepared};
use filters::cache::policy::{Annotations, CallPlan, Effects, Policy, Share};
use filters::cache::freshness::Lifetime;
use filters::json::canonical::ignored::Ignored;
use filters::mcp::capability;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::mcp::revision::{Era, Revision};

use crate::cache::entry::Origin;
use crate::state::live::Live;
use crate::state::snapshot::Server;
use crate::upstream::catalog::{Catalog, View};
use crate::upstream::era::Standing;
use crate::upstream::fields::Caller;

/// A message as far as the cache is concerned.
#[derive(Debug)]
pub(in crate::gateway) struct Asked<'a> {
    /// Its method.
    pub(in crate::gateway) method: Method,
    /// What it is aimed at, as the server spells it.
    pub(in crate::gateway) target: Option<&'a str>,
    /// Its params, JSON text.
    pub(in crate::gateway) params: Option<&'a str>,
    /// Its era.
    pub(in crate::gateway) era: Era,
    /// The revision that its session agreed on, if it is in one.
    pub(in crate::gateway) agreed: Option<Revision>,
    /// What the client can do, JSON text.
    pub(in crate::gateway) capabilities: &'a str,
    /// `X-Conduit-Group`
    pub(in crate::gateway) group: Option<&'a str>,
    /// The client's own credential, as far as the server gets it.
    pub(in crate::gateway) credential: Option<&'a str>,
    /// Who asks.
    pub(in crate::gateway) principal: &'a str,
}

/// What the cache has to do with a message.
#[derive(Debug)]
pub(in crate::gateway) enum Role {
    /// Nothing.
    None,
    /// It could be asked, but not for this: nothing of the kind is ever stored.
    Skip,
    /// It makes stored results stale.
    Write(Effects),
    /// It can be answered from the cache.
    Read(Box<Read>),
}

/// A message that can be answered from the cache.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Read {
    /// What is asked for.
    pub(in crate::gateway) origin: Origin,
    /// What it is stored under for this caller.
    pub(in crate::gateway) own: Key,
    /// Who else finds it there.
    pub(in crate::gateway) share: Share,
    /// What it is stored under where its server lets everybody have it.
    pub(in crate::gateway) public: Option<Key>,
    /// How long it is used; nothing where its server says.
    pub(in crate::gateway) lifetime: Option<Lifetime>,
    /// What asking makes stale.
    pub(in crate::gateway) effects: Effects,
}

impl Read {
    /// What it may be stored under.
    pub(in crate::gateway) fn keys(&self) -> impl Iterator<Item = Key> {
        [Some(self.own), self.public].into_iter().flatten()
    }
}

/// Finds out what the cache has to do with a message.
pub(in crate::gateway) async fn find(live: &Live, server: &Server, asked: &Asked<'_>) -> Role {
    let policy = &server.cache.policy;
    if !live.cache.is_enabled {
        return match asked.method {
            Method::ToolsCall => Role::Skip,
            _ => Role::None,
        };
    }
    match asked.method {
        Method::ToolsCall => call(live, server, policy, asked).await,
        Method::ServerDiscover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::ResourcesRead => protocol(server, policy, asked),
        _ => Role::None,
    }
}

async fn call(live: &Live, server: &Server, policy: &Policy, asked: &Asked<'_>) -> Role {
    let Some(tool) = asked.target else {
        return Role::Skip;
    };
    // Without a word of the operator's no call is stored; one may still make something else stale.
    if !policy.is_written && !live.cache.memory.has(&server.id) {
        return Role::Skip;
    }
    let annotations = annotations(server, asked, tool).await;
    let effects = policy.effects(tool, annotations.as_ref());
    let read = match policy.call(tool, annotations.as_ref()) {
        CallPlan::Use { lifetime, ignored } if !is_resumed(asked.params) => {
            read(server, asked, Some(lifetime), ignored, effects.clone())
        }
        CallPlan::Use { .. } | CallPlan::Skip => None,
    };
    match read {
        Some(read) => Role::Read(Box::new(read)),
        None if effects.is_empty() => Role::Skip,
        None => Role::Write(effects),
    }
}

fn protocol(server: &Server, policy: &Policy, asked: &Asked<'_>) -> Role {
    let may_be_stored = policy.is_enabled
        && (server.remote.eras.serves(Era::Modern) != Standing::No
            || (policy.list_ttl.is_some() && asked.method != Method::ResourcesRead));
    if !may_be_stored || server.cache.hints.is_never(asked.method) || is_resumed(asked.params) {
        return Role::None;
    }
    match read(server, asked, None, &Ignored::default(), Effects::default()) {
        Some(read) => Role::Read(Box::new(read)),
        None => Role::None,
    }
}

/// Whether a request goes on with an earlier one: its answer is about that one.
fn is_resumed(params: Option<&str>) -> bool {
    params.is_some_and(|params| {
        params.contains("\"inputResponses\"") || params.contains("\"requestState\"")
    })
}

fn read(
    server: &Server,
    asked: &Asked<'_>,
    lifetime: Option<Lifetime>,
    ignored: &Ignored,
    effects: Effects,
) -> Option<Read> {
    let material = Material {
        edition: &server.edition,
        server: &server.id,
        method: asked.method,
        target: asked.target,
        params: asked.params,
        ignored,
        revision: asked.agreed.and_then(generation),
        capabilities: &known(asked.capabilities),
        group: asked.group,
    };
    // What has no one meaning is not stored.
    let prepared = Prepared::new(&material).ok()?;
    let policy = &server.cache.policy;
    let audience = match policy.share {
        Share::Public => Audience::Everyone,
        // Nobody has proved to be of a tenant.
        Share::Tenant | Share::Private => Audience::One {
            client: asked.principal,
            tenant: None,
            credential: asked.credential,
        },
    };
    let is_shared = audience == Audience::Everyone;
    Some(Read {
        origin: Origin {
            server: Arc::clone(&server.id),
            method: asked.method,
            target: asked.target.map(Arc::from),
        },
        own: prepared.key(&audience),
        share: if is_shared { Share::Public } else { Share::Private },
        public: (lifetime.is_none() && !is_shared).then(|| prepared.key(&Audience::Everyone)),
        lifetime,
        effects,
    })
}

/// What a result depends on of its revision: older ones know fewer kinds of content.
fn generation(revision: Revision) -> Option<Revision> {
    (revision < Revision::V2025_06_18).then_some(revision)
}

/// What a result can depend on of what a client can do.
fn known(capabilities: &str) -> Cow<'_, str> {
    match capabilities {
        "{}" => Cow::Borrowed(capabilities),
        _ => Cow::Owned(capability::known(&capability::canonical(capabilities))),
    }
}

/// What a server says of one of its tools.
async fn annotations(server: &Server, asked: &Asked<'_>, tool: &str) -> Option<Annotations> {
    let plain = server.catalogs.plain();
    if let Some(known) = of(&plain, tool) {
        return Some(known);
    }
    if !server.forwards_authorization {
        plain.list(Kind::Tools).await;
        if let Some(known) = of(&plain, tool) {
            return Some(known);
        }
    }
    if asked.credential.is_none() && matches!(asked.capabilities, "{}") {
        return None;
    }
    // It may be there for this caller only.
    let view = View {
        authorization: asked.credential.map(str::to_owned),
        capabilities: capability::canonical(asked.capabilities),
    };
    let caller = Caller {
        authorization: view.authorization.clone(),
        lines: Vec::new(),
    };
    let own = server.catalogs.find(&view, &caller);
    if of(&own, tool).is_none() {
        own.list(Kind::Tools).await;
    }
    of(&own, tool)
}

fn of(catalog: &Catalog, tool: &str) -> Option<Annotations> {
    catalog.known(Kind::Tools)?.annotations(tool)
}
