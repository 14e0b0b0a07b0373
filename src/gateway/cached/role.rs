//! What the cache has to do with a message: whether it may answer it, and what the message makes
//! stale.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use filters::cache::admit::{self, Class};
use filters::cache::freshness::Lifetime;
use filters::cache::invalidate::Reach;
use filters::cache::key::{Audience, Key, Material, Prepared};
use filters::cache::policy::{Annotations, CallPlan, Share};
use filters::json::canonical::ignored::Ignored;
use filters::json::object::Object;
use filters::mcp::capability;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::mcp::revision::{Era, Revision};

use crate::cache::entry::Origin;
use crate::state::live::Live;
use crate::state::session::{Link, Session as Client};
use crate::state::snapshot::Server;
use crate::upstream::catalog::{Catalog, View};
use crate::upstream::era::Standing;
use crate::upstream::fields::Caller;

/// What most messages are shorter than in the form that keys are made from, in bytes.
const SCRATCH_BYTES: usize = 1024;

/// A message as far as the cache is concerned.
#[derive(Debug)]
pub(in crate::gateway) struct Asked<'a> {
    /// Its method.
    pub(in crate::gateway) method: Method,
    /// What it is aimed at, as the server spells it.
    pub(in crate::gateway) target: Option<&'a str>,
    /// Its params, JSON text.
    pub(in crate::gateway) params: Option<&'a str>,
    /// The revision that its session agreed on, if it is in one.
    pub(in crate::gateway) agreed: Option<Revision>,
    /// Whether its server answers it in the modern era, in which answers say how long they are good.
    pub(in crate::gateway) is_promised: bool,
    /// What the client can do, JSON text.
    pub(in crate::gateway) capabilities: &'a str,
    /// `X-Conduit-Group`
    pub(in crate::gateway) group: Option<&'a str>,
    /// The client's own credential, as far as the server gets it.
    pub(in crate::gateway) credential: Option<&'a str>,
    /// Who asks: what tells them from all others.
    pub(in crate::gateway) principal: &'a str,
    /// The tenant that they proved to be of.
    pub(in crate::gateway) tenant: Option<&'a str>,
    /// The tenant outside which nothing goes.
    pub(in crate::gateway) isolated: Option<&'a str>,
    /// When it was asked: the clock is looked at once.
    pub(in crate::gateway) now: Instant,
}

/// What the cache has to do with a message.
#[derive(Debug)]
pub(in crate::gateway) enum Role {
    /// Nothing.
    None,
    /// It could be asked, but not for this: nothing of the kind is ever stored.
    Skip,
    /// It makes stored results stale.
    Write(Reach),
    /// It may make stored results stale.
    Guess(Reach),
    /// It can be answered from the cache.
    Read(Box<Read>),
}

/// A message that can be answered from the cache.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Read {
    /// What is asked for.
    pub(in crate::gateway) origin: Origin,
    /// What it is stored under for this caller alone.
    private: Key,
    /// What it is stored under for this caller's tenant, where it may be shared with that.
    tenant: Option<Key>,
    /// What it is stored under for everybody, or for everybody of this caller's tenant where tenants are
    /// isolated; what it is for this caller alone where it never is anybody's.
    public: Key,
    /// Who shares it where its server does not say.
    share: Share,
    /// How long it is used; nothing where its server says, who may have it, too.
    pub(in crate::gateway) lifetime: Option<Lifetime>,
    /// What asking makes stale.
    pub(in crate::gateway) effects: Option<Reach>,
}

impl Role {
    /// What is left of it where the message must not be answered from the cache.
    pub(in crate::gateway) fn without_reading(self) -> Self {
        match self {
            Self::Read(read) => match (read.effects, read.lifetime) {
                (Some(reach), _) => Self::Write(reach),
                (None, Some(_)) => Self::Skip,
                (None, None) => Self::None,
            },
            other @ (Self::None | Self::Skip | Self::Write(_) | Self::Guess(_)) => other,
        }
    }
}

impl Read {
    /// All that it may be stored under, as far as this caller may have it.
    pub(in crate::gateway) fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        let keys = match self.lifetime {
            Some(_) => [Some(self.key(self.share)), None, None],
            None => [Some(self.public), self.tenant, Some(self.private)],
        };
        keys.into_iter().flatten()
    }

    /// What callers who are to wait for the same fetch have in common, likeliest first. `is_public`
    /// is what answers were lately.
    pub(in crate::gateway) fn common(&self, is_public: bool) -> impl Iterator<Item = Key> + use<> {
        let is_public = self.share == Share::Public || (is_public && self.lifetime.is_none());
        // What fails for one of them may well succeed for another: each can still ask for itself.
        let public = is_public.then_some(self.public);
        let tenant = self.tenant.filter(|_| self.lifetime.is_some());
        [public, tenant, Some(self.private)].into_iter().flatten()
    }

    /// All that a fetch of it may be known by.
    pub(in crate::gateway) fn all(&self) -> [Key; 2] {
        [self.private, self.public]
    }

    /// What it is stored under for this caller alone.
    pub(in crate::gateway) fn private(&self) -> Key {
        self.private
    }

    /// What it is stored under if it is given to these.
    pub(in crate::gateway) fn key(&self, share: Share) -> Key {
        match share {
            Share::Public => self.public,
            // A caller that proved to be of no tenant shares with nobody.
            Share::Tenant => self.tenant.unwrap_or(self.private),
            Share::Private => self.private,
        }
    }

    /// What it is stored under for this caller's tenant, where it may be shared with that.
    pub(in crate::gateway) fn tenant(&self) -> Option<Key> {
        self.tenant
    }
}

/// Whether a server may answer a client's messages in the modern era.
pub(in crate::gateway) fn is_promised(
    server: &Server,
    era: Era,
    client: Option<&Arc<Client>>,
) -> bool {
    let eras = &server.remote.eras;
    match (era, client.and_then(|client| client.link(&server.id))) {
        (Era::Modern, _) => eras.serves(Era::Modern) != Standing::No,
        (Era::Legacy, Some(Link::Modern)) => true,
        (Era::Legacy, Some(Link::Legacy(_))) => false,
        (Era::Legacy, None) => eras.serves(Era::Legacy) == Standing::No,
    }
}

/// Whether the cache has anything to do with messages of a method.
pub(in crate::gateway) fn concerns(method: Method) -> bool {
    Class::of(method).is_some()
}

/// Whether no message of that method concerns the cache, whatever it says, and if so, whether it
/// counts as one that could have.
pub(in crate::gateway) fn is_apart(live: &Live, server: &Server, method: Method) -> Option<bool> {
    let is_call = method == Method::ToolsCall;
    // Without a word of the operator's no call is stored; one may still make something else stale,
    // where the server itself says how long its answers are good.
    let is_silent = || {
        !server.cache.policy.is_written && server.remote.eras.serves(Era::Modern) != Standing::Yes
    };
    let is_apart = !live.cache.is_enabled || (is_call && is_silent());
    is_apart.then_some(is_call)
}

/// Finds out what the cache has to do with a message; has the server asked where that depends on
/// what it says of its tools.
pub(in crate::gateway) async fn find(live: &Live, server: &Server, asked: &Asked<'_>) -> Role {
    match at_once(live, server, asked) {
        Some(role) => role,
        None => {
            let tool = asked.target.unwrap_or_default();
            let annotations = annotations(server, asked, tool).await;
            call(server, asked, tool, annotations)
        }
    }
}

/// What the cache has to do with a message; nothing where the server would have to be asked first.
pub(in crate::gateway) fn at_once(live: &Live, server: &Server, asked: &Asked<'_>) -> Option<Role> {
    if let Some(is_skipped) = is_apart(live, server, asked.method) {
        return Some(if is_skipped { Role::Skip } else { Role::None });
    }
    if asked.method != Method::ToolsCall {
        return Some(protocol(server, asked));
    }
    let Some(tool) = asked.target else {
        return Some(Role::Skip);
    };
    match of(server.catalogs.plain(), tool, asked.now) {
        Some(known) => Some(call(server, asked, tool, Some(known))),
        None if server.cache.policy.is_written => None,
        // Nobody waits for a list where no call is stored anyway: it may be any.
        None => Some(Role::Guess(Reach::Union(
            [Method::ToolsCall, Method::ResourcesRead]
                .map(Reach::Method)
                .into(),
        ))),
    }
}

fn call(server: &Server, asked: &Asked<'_>, tool: &str, annotations: Option<Annotations>) -> Role {
    let policy = &server.cache.policy;
    let effects = policy.effects(tool, annotations.as_ref());
    let read = match policy.call(tool, annotations.as_ref()) {
        CallPlan::Use { lifetime, ignored } if admit::is_first_try(asked.params) => {
            read(server, asked, Some(lifetime), ignored, effects.clone())
        }
        CallPlan::Use { .. } | CallPlan::Skip => None,
    };
    match read {
        Some(read) => Role::Read(Box::new(read)),
        None => effects.map_or(Role::Skip, Role::Write),
    }
}

fn protocol(server: &Server, asked: &Asked<'_>) -> Role {
    let policy = &server.cache.policy;
    let may_be_stored =
        asked.is_promised || (policy.list_ttl.is_some() && asked.method != Method::ResourcesRead);
    if !may_be_stored || !admit::is_first_try(asked.params) {
        return Role::None;
    }
    match read(server, asked, None, Ignored::NONE, None) {
        Some(read) => Role::Read(Box::new(read)),
        None => Role::None,
    }
}

fn read(
    server: &Server,
    asked: &Asked<'_>,
    lifetime: Option<Lifetime>,
    ignored: &Ignored,
    effects: Option<Reach>,
) -> Option<Read> {
    let material = Material {
        place: &server.place,
        method: asked.method,
        target: asked.target,
        params: asked.params,
        ignored,
        revision: asked.agreed.and_then(generation),
        capabilities: &known(asked.capabilities),
        group: asked.group,
    };
    // What has no one meaning is not stored.
    let mut scratch = Vec::with_capacity(SCRATCH_BYTES);
    let prepared = Prepared::new(&material, &mut scratch).ok()?;
    let one = Audience::One {
        client: asked.principal,
        tenant: asked.tenant,
        credential: asked.credential,
    };
    let everybody = match asked.isolated {
        Some(tenant) => Audience::Tenant(tenant),
        None => Audience::Everyone,
    };
    let share = server.cache.policy.share(asked.method, None);
    let private = prepared.key(one);
    let is_private = lifetime.is_some() && share != Share::Public;
    // Most servers share with no tenant: their callers do not pay for its key.
    let tenant = asked.tenant.filter(|_| share == Share::Tenant);
    Some(Read {
        origin: Origin {
            server: Arc::clone(&server.id),
            method: asked.method,
            target: asked.target.map(Arc::from),
        },
        private,
        tenant: tenant.map(|tenant| prepared.key(Audience::Tenant(tenant))),
        public: if is_private {
            private
        } else {
            prepared.key(everybody)
        },
        share,
        lifetime,
        effects,
    })
}

/// Whether a modern call's headers say what its arguments say, as far as is known (E8). One whose do
/// not is never answered from the cache.
pub(in crate::gateway) fn is_mirrored<'h>(
    server: &Server,
    asked: &Asked<'_>,
    header: impl Fn(&str) -> Option<&'h str>,
) -> bool {
    let Some(tool) = asked.target.filter(|_| asked.method == Method::ToolsCall) else {
        return true;
    };
    let known = server.catalogs.plain().known_at(Kind::Tools, asked.now);
    let Some(mirrors) = known.and_then(|listing| listing.mirrors(tool)) else {
        return true;
    };
    let params = asked.params.and_then(Object::read).unwrap_or_default();
    mirrors.check(params.get("arguments"), header).is_ok()
}

/// Whether a message's further `Mcp-*` headers say nothing but what its arguments say: then its key
/// says it, too. They go to the server, which may answer otherwise for them (E7).
pub(in crate::gateway) fn is_explained(
    server: &Server,
    asked: &Asked<'_>,
    further: &[(String, String)],
) -> bool {
    if further.is_empty() {
        return true;
    }
    let Some(tool) = asked.target.filter(|_| asked.method == Method::ToolsCall) else {
        return false;
    };
    let known = server.catalogs.plain().known_at(Kind::Tools, asked.now);
    let Some(mirrors) = known.and_then(|listing| listing.mirrors(tool)) else {
        return false;
    };
    let params = asked.params.and_then(Object::read).unwrap_or_default();
    let explained = mirrors.emit(params.get("arguments"));
    let is_among = |name: &String| explained.iter().any(|(known, _)| known == name);
    further.iter().all(|(name, _)| is_among(name))
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
    // Without a credential of anybody's, a server that wants one may tell nothing.
    let known = if !server.forwards_authorization || asked.credential.is_none() {
        plain.annotations(tool).await
    } else {
        of(plain, tool, asked.now)
    };
    let is_plain = asked.credential.is_none() && matches!(asked.capabilities, "{}");
    if known.is_some() || is_plain {
        return known;
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
    server.catalogs.find(&view, &caller).annotations(tool).await
}

fn of(catalog: &Catalog, tool: &str, now: Instant) -> Option<Annotations> {
    catalog.known_at(Kind::Tools, now)?.annotations(tool)
}
