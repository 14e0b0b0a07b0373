//! The compiled configuration: everything a request asks, ready to be asked.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use filters::cache::key::Place;
use filters::guard::approver;
use filters::lock::Mode;
use filters::mcp::list::Kind;
use filters::refusal::Statuses;
use filters::route::merge::Merged;
use filters::route::names::Naming;
use filters::{acl, guard, origin};

use lru::LruCache;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::cache;
use crate::limit;
use crate::state::users::Users;
use crate::upstream::catalog::{Catalogs, Listing};
use crate::upstream::cluster::Cluster;
use crate::upstream::fields::StaticFields;
use crate::upstream::group::Groups;
use crate::upstream::remote::Remote;
use crate::upstream::watch::Watches;

/// One configuration, compiled. A request pins one and never looks again.
pub struct Snapshot {
    /// The servers by id.
    pub servers: foldhash::HashMap<String, Arc<Server>>,
    /// What `/mcp/profile/{id}` and `/mcp` lead to, by id; `default` is everything.
    pub profiles: HashMap<String, Arc<Profile>>,
    /// How aggregated lists are given.
    pub lists: Lists,
    /// Which `Host`s and `Origin`s are taken.
    pub origin: origin::Rules,
    /// Which are by the control plane's own listeners.
    pub control_origins: ControlOrigins,
    /// Who is calling.
    pub auth: Arc<Authenticator>,
    /// Who may do what.
    pub acl: Arc<Acl>,
    /// What is looked for in what is said.
    pub guard: guard::rules::Rules,
    /// How what guardrails hold is approved.
    pub approvals: Approvals,
    /// How the URLs of guardrails are told.
    pub webhooks: Webhooks,
    /// How often clients may call, where that is limited.
    pub limits: Option<Arc<limit::Policy>>,
    /// What is done with tools that nobody approved, where that is anything.
    pub tool_lock: Option<Arc<ToolLock>>,
    /// How refusals of policy are told.
    pub statuses: Statuses,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// What else a request may take.
    pub bounds: Bounds,
    /// How long a stream may be silent before a comment keeps it alive; `None` sends none.
    pub keep_alive: Option<Duration>,
    /// The requests that are served under it.
    pub users: Users,
}

/// What a request may take besides the bytes of its body.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most headers.
    pub headers_max: usize,
    /// Most bytes of them, names and values together.
    pub header_bytes_max: usize,
    /// How long the next part of its body may take.
    pub body_pause: Duration,
    /// How long all of its body but the first part may take.
    pub body: Duration,
}

/// What is done with tools that nobody approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolLock {
    /// At which servers anything is.
    pub modes: HashMap<String, Mode>,
    /// What is done with a server of which nothing was approved yet.
    pub first_use: FirstUse,
}

/// What is done with a server of which nothing was approved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// Its tools wait for an approval.
    Refuse,
    /// They are approved as they are first seen.
    Trust,
}

/// Which `Host`s and `Origin`s the control plane's own listeners take.
#[derive(Debug, Default)]
pub struct ControlOrigins {
    /// That of the admin API.
    pub admin: origin::Rules,
    /// That of the metrics.
    pub metrics: origin::Rules,
}

/// How what guardrails hold is approved.
#[derive(Clone, Debug)]
pub struct Approvals {
    /// Whether it can be: otherwise what would be held is refused.
    pub is_enabled: bool,
    /// How long a request for approval, and an approval, is good.
    pub ttl: Duration,
    /// Who may decide.
    pub approvers: approver::Rules,
}

/// How the URLs of guardrails are told.
#[derive(Clone)]
pub struct Webhooks {
    /// What signs them.
    pub secret: Option<Arc<[u8]>>,
    /// Whether they may go to addresses that are not public.
    pub allow_private: bool,
    /// How long a receiver may take.
    pub timeout: Duration,
    /// How often one is tried.
    pub attempts_max: u32,
    /// How many may be on their way.
    pub queue_max: usize,
}

/// Who may do what, for as long as that is the same.
#[derive(Debug, Default)]
pub struct Acl {
    /// The rules.
    pub rules: acl::Rules,
    /// Cancelled when a reload replaced them: who listens is to be told by the new ones what.
    pub replaced: CancellationToken,
}

/// How aggregated lists are given.
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    /// How long one may take as a whole.
    pub deadline: Duration,
    /// Items a page.
    pub page_size: usize,
}

/// A set of servers that clients see as one.
pub struct Profile {
    /// Its id.
    pub id: String,
    /// The servers, in the order of the configuration.
    pub servers: Vec<Arc<Server>>,
    /// What their tools and prompts are called.
    pub naming: Arc<Naming>,
    /// The lists that were merged last.
    pub merging: Merging,
    /// The parts of it that callers see who may not know of all its servers.
    pub parts: Parts,
    /// Cancelled when a reload replaced it: who listens here listens there.
    pub retired: CancellationToken,
}

/// Most parts of one profile that are kept.
const PARTS_MAX: usize = 64;

/// Parts of a profile, by the places of their servers in it.
pub struct Parts(Mutex<LruCache<Vec<usize>, Arc<Profile>>>);

impl Default for Parts {
    fn default() -> Self {
        let max = NonZeroUsize::new(PARTS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(max)))
    }
}

/// Most merged lists of one profile that are kept: one for each view and kind.
const MERGED_MAX: usize = 64;

/// Merged lists, kept for as long as the servers' own are the same.
pub struct Merging(Mutex<LruCache<Merge, Arc<Merged>>>);

/// What a merged list was made from.
type Merge = (Kind, Vec<Option<ByAddress>>);

/// A list that is the same as another only if it is that one.
#[derive(Clone)]
struct ByAddress(Arc<Listing>);

impl PartialEq for ByAddress {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ByAddress {}

impl Hash for ByAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Default for Merging {
    fn default() -> Self {
        let max = NonZeroUsize::new(MERGED_MAX).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(max)))
    }
}

impl Merging {
    /// The merged list of these.
    #[must_use]
    pub fn find(&self, kind: Kind, listings: &[Option<Arc<Listing>>]) -> Option<Arc<Merged>> {
        let key = (kind, by_address(listings));
        self.0.lock().get(&key).map(Arc::clone)
    }

    /// Keeps a merged list.
    pub fn keep(&self, kind: Kind, listings: Vec<Option<Arc<Listing>>>, merged: Arc<Merged>) {
        self.0.lock().put((kind, by_address(&listings)), merged);
    }
}

fn by_address(listings: &[Option<Arc<Listing>>]) -> Vec<Option<ByAddress>> {
    let listings = listings.iter();
    listings
        .map(|one| one.as_ref().map(|one| ByAddress(Arc::clone(one))))
        .collect()
}

impl Profile {
    /// The server of that id, if it is in the set.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| *server.id == *id)
    }

    /// The profile without the servers that are not `seen`: the same one where all of them are. To who
    /// works with it, the others do not exist.
    #[must_use]
    pub fn part(self: &Arc<Self>, seen: impl Fn(&Server) -> bool) -> Arc<Self> {
        let is_seen = |(at, server): (usize, &Arc<Server>)| seen(server).then_some(at);
        if self.servers.iter().all(|server| seen(server)) {
            return Arc::clone(self);
        }
        let places: Vec<usize> = self
            .servers
            .iter()
            .enumerate()
            .filter_map(is_seen)
            .collect();
        let mut parts = self.parts.0.lock();
        let part = parts.get_or_insert(places.clone(), || {
            let servers = places.iter().filter_map(|at| self.servers.get(*at));
            Arc::new(Self {
                id: self.id.clone(),
                servers: servers.map(Arc::clone).collect(),
                naming: Arc::clone(&self.naming),
                merging: Merging::default(),
                parts: Parts::default(),
                retired: self.retired.clone(),
            })
        });
        Arc::clone(part)
    }
}

/// One MCP server.
pub struct Server {
    /// Its id.
    pub id: Arc<str>,
    /// Where answers of it are kept: the same on every instance that has the same configuration of it.
    pub place: Place,
    /// Where it is, as people are shown it.
    pub url: String,
    /// Where each of its replicas is, as people are shown it.
    pub replica_urls: Vec<String>,
    /// Its replicas.
    pub cluster: Arc<Cluster>,
    /// The headers that every request to it carries.
    pub fields: StaticFields,
    /// Whether the client's `Authorization` goes to it.
    pub forwards_authorization: bool,
    /// The server as the gateway speaks to it on its own account.
    pub remote: Arc<Remote>,
    /// Sessions for callers that have none of their own.
    pub groups: Arc<Groups>,
    /// What hears of its changes.
    pub watches: Arc<Watches>,
    /// What it offers.
    pub catalogs: Arc<Catalogs>,
    /// How its results are cached.
    pub cache: cache::Server,
    /// Cancelled when a reload took it out: streams that only listen end then.
    pub retired: CancellationToken,
}
