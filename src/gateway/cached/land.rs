//! From the question to what is stored: the second tier is asked, then the server, and what comes
//! is judged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::admit::{self, Excluded, Hints};
use filters::cache::freshness::{self, Freshness, Lifetime, Staleness};
use filters::cache::invalidate::Reach;
use filters::cache::key::Key;
use filters::cache::policy::Share;
use filters::cache::task::Said;
use filters::json::object::Object;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::cache::entry::{Entry, Fresh, Origin};
use crate::cache::flight::Pilot;
use crate::cache::memory::Stamp;
use crate::cache::redis::look_up::{Looked, Turn};
use crate::cache::redis::versions::Versions;
use crate::cache::{Fate, Landed};
use crate::gateway::Ended;
use crate::gateway::cached::ear;
use crate::gateway::cached::fetch::Errand;
use crate::gateway::cached::fetched::Fetched;
use crate::gateway::cached::order::Order;
use crate::gateway::cached::role::Read;
use crate::gateway::cached::write::Write;
use crate::state::live::Live;
use crate::state::users::User;

/// The code of the error that a cursor nobody knows any more is answered with.
const INVALID_PARAMS: &str = "-32602";

/// One fetch.
pub(super) struct Flight {
    pub(super) live: Arc<Live>,
    pub(super) read: Read,
    /// When it began, as the server's book counts.
    pub(super) stamp: Stamp,
    pub(super) order: Order,
    /// Where the first caller hears what comes before the answer.
    pub(super) aside: mpsc::Sender<String>,
    /// How long it waits before it begins.
    pub(super) delay: Duration,
    /// Whether it is for nobody who waits.
    pub(super) is_refresh: bool,
    /// Bounds how many there are.
    pub(super) _place: OwnedSemaphorePermit,
    /// Keeps the server's parts until it is over.
    pub(super) _user: Option<User>,
    /// What the second tier stores a result with.
    pub(super) versions: Option<Versions>,
}

/// What the second tier said.
#[derive(Default)]
struct Second {
    /// An entry, and whether it is fresh.
    found: Option<(Arc<Entry>, bool)>,
    versions: Option<Versions>,
    /// The right to fetch it alone.
    turn: Option<Turn>,
}

impl Flight {
    /// Fetches, stores, and brings what came to all who wait.
    pub(super) async fn run(mut self, pilot: Pilot<Landed>) {
        if !self.delay.is_zero() {
            pingora_timeout::sleep(self.delay).await;
        }
        // A call whose callers have all left has no more use than any that its client gave up.
        let ends = !self.is_refresh && self.order.inbound().era == Era::Modern;
        let landed = tokio::select! {
            biased;
            landed = self.fetch() => landed,
            () = pilot.deserted(), if ends => return self.give_up().await,
        };
        pilot.land(landed);
    }

    async fn fetch(&mut self) -> Landed {
        // Whoever looked before another flight landed may have begun this one after it.
        let cache = &self.live.cache;
        if let Some((entry, Freshness::Fresh { .. })) = cache.find(self.read.keys(), Instant::now())
        {
            return Landed::Result {
                entry,
                fate: Fate::Found,
            };
        }
        let second = self.look_up().await;
        let old = match second.found {
            Some((entry, true)) => {
                return Landed::Result {
                    entry,
                    fate: Fate::Found,
                };
            }
            Some((entry, false)) => Some(entry),
            None => None,
        };
        self.versions = second.versions;
        let landed = self.ask().await;
        // The turn is over once the result is on its way to the second tier.
        drop(second.turn);
        match (landed, old) {
            (landed, Some(entry)) if landed.is_outage() => Landed::Result {
                entry,
                fate: Fate::Old,
            },
            (landed, _) => landed,
        }
    }

    /// Looks in the second tier, and waits there for whoever fetches the same already.
    async fn look_up(&self) -> Second {
        let Some(redis) = &self.live.cache.redis else {
            return Second::default();
        };
        let origin = &self.read.origin;
        let keys: Vec<Key> = self.read.keys().collect();
        let deadline = self.order.server().remote.deadline();
        let looked = async {
            let looked = redis.look_up(origin, &keys).await?;
            match looked {
                Looked {
                    found: None,
                    turn: Turn::Theirs,
                    ..
                } => redis.await_turn(origin, &keys, deadline.into()).await,
                looked => Ok(looked),
            }
        };
        match looked.await {
            Ok(looked) => Second {
                found: looked.found.map(|entry| self.promote(entry)),
                versions: Some(looked.versions),
                turn: Some(looked.turn),
            },
            Err(error) => {
                tracing::debug!(%error, "Second tier is passed over");
                Second::default()
            }
        }
    }

    /// Stores what the second tier had in the first, if it is fresh, and says whether it is.
    fn promote(&self, entry: Entry) -> (Arc<Entry>, bool) {
        let entry = Arc::new(entry);
        let is_fresh = matches!(entry.freshness(Instant::now()), Freshness::Fresh { .. });
        let redis = self.live.cache.redis.as_ref();
        // What others invalidate is not heard: it is good for this once.
        let is_blind = redis.is_some_and(|redis| redis.is_blind());
        if is_fresh && !is_blind {
            // Where it cannot be stored it is given all the same: it was there when it was looked for.
            let stored = self.live.cache.memory.store(Arc::clone(&entry), self.stamp);
            tracing::trace!(?stored, "Result comes from the second tier");
            self.note_cursor(&entry);
        }
        (entry, is_fresh)
    }

    /// Asks the server. A session that it lost is opened anew, once, as for any call.
    async fn ask(&mut self) -> Landed {
        let aside = std::mem::replace(&mut self.aside, mpsc::channel(1).0);
        let fetched = match self.attempt(aside.clone()).await {
            Ok(Fetched::Lost) => self.attempt(aside).await,
            first => first,
        };
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(landed) => return landed,
        };
        match &fetched {
            Fetched::Failed(error) if error.is_before_sending() => {}
            Fetched::Failed(_) | Fetched::Asks => self.give_up().await,
            Fetched::Result(_, result) => self.settle(Said::Result(result)).await,
            Fetched::Error(..) | Fetched::Refused(_) | Fetched::Large | Fetched::Alone => {
                self.settle(Said::Other).await;
            }
            // It did nothing.
            Fetched::Lost | Fetched::Again => {}
        }
        self.judge(fetched)
    }

    async fn attempt(&self, aside: mpsc::Sender<String>) -> Result<Fetched, Landed> {
        match Errand::prepare(&self.live, &self.order, aside).await {
            Ok(Some(errand)) => Ok(errand.run().await),
            Ok(None) => Err(Landed::Alone),
            Err(_) if self.order.is_over() => Err(Landed::Again),
            Err(Ended::Refused { refusal, error, .. }) => {
                let error = error.unwrap_or_default().into();
                Err(Landed::Failed { refusal, error })
            }
            Err(Ended::ClientGone | Ended::Broken { .. }) => Err(Landed::Alone),
        }
    }

    /// What asking makes stale goes.
    async fn settle(&mut self, said: Said<'_>) {
        if let Some(write) = self.write() {
            write.settle(said).await;
        }
    }

    /// As [`Self::settle`], where the server may still be at it.
    async fn give_up(&mut self) {
        if let Some(write) = self.write() {
            write.give_up().await;
        }
    }

    fn write(&mut self) -> Option<Write> {
        let reach = self.read.effects.take()?;
        Some(Write::new(&self.live, self.order.server(), reach))
    }

    fn judge(&self, fetched: Fetched) -> Landed {
        let server = self.order.server();
        match fetched {
            Fetched::Result(era, text) => self.admit(era, text),
            Fetched::Error(era, status, error, head) => {
                self.drop_pages(&error);
                Landed::Error {
                    era,
                    status,
                    error: error.into(),
                    head: head.map(Arc::from),
                }
            }
            Fetched::Refused(page) => Landed::Refused(Arc::new(page)),
            Fetched::Lost | Fetched::Again => Landed::Again,
            // Its first caller ended its session, and the call with it.
            Fetched::Failed(_) if self.order.is_over() => Landed::Again,
            Fetched::Failed(error) => Landed::Failed {
                refusal: error.to_refusal(&server.id),
                error: error.to_string().into(),
            },
            Fetched::Asks => {
                self.note_never();
                Landed::Alone
            }
            Fetched::Large => {
                let hints = &server.cache.hints;
                hints.note_large(self.read.all(), Instant::now());
                Landed::Alone
            }
            Fetched::Alone => Landed::Alone,
        }
    }

    /// A cursor that is good for nothing any more is of a list that is another by now: its pages go,
    /// before whoever is told begins with the first one again. One that no page gave out says nothing.
    fn drop_pages(&self, error: &str) {
        let Origin { server, method, .. } = &self.read.origin;
        let error = Object::read(error);
        let is_invalid = error.is_some_and(|error| error.get("code") == Some(INVALID_PARAMS));
        if !is_invalid || Kind::of(*method).is_none() {
            return;
        }
        let params = self.order.inbound().params.as_deref();
        let params = params.and_then(Object::read).unwrap_or_default();
        let Some(cursor) = params.text("cursor") else {
            return;
        };
        let hints = &self.order.server().cache.hints;
        if !hints.take_cursor(*method, &self.whom(), &cursor) {
            return;
        }
        let reach = Reach::Method(*method);
        if let Some(rest) = self.live.cache.invalidate_here(server, reach) {
            self.live.detached.spawn(rest);
        }
    }

    /// Notes where a page of a list that is held goes on.
    fn note_cursor(&self, entry: &Entry) {
        let method = entry.origin.method;
        let page = Kind::of(method).and_then(|_| Object::read(&entry.text));
        let Some(cursor) = page.as_ref().and_then(|page| page.text("nextCursor")) else {
            return;
        };
        let whom = (entry.share != Share::Public).then(|| self.whom());
        let hints = &self.order.server().cache.hints;
        hints.note_cursor(method, whom.as_deref(), &cursor);
    }

    /// Who asks, as far as cursors go.
    fn whom(&self) -> String {
        let inbound = self.order.inbound();
        let credential = self.order.server().remote.credential(&inbound.caller);
        format!("{}\0{}", inbound.principal, credential.unwrap_or_default())
    }

    /// Stores a result where it may be.
    fn admit(&self, era: Era, text: String) -> Landed {
        let method = self.read.origin.method;
        let inbound = self.order.inbound();
        let hints = match admit::admit(method, inbound.params.as_deref(), &text) {
            Ok(hints) => hints,
            Err(Excluded::IsError) => {
                let entry = self.entry(era, text, &Hints::default(), Lifetime::default());
                return Landed::Result {
                    entry,
                    fate: Fate::ToolError,
                };
            }
            Err(excluded) => {
                self.note_never();
                // What goes on with this very call is for whoever made it, if it understands it.
                let is_plain = matches!(excluded, Excluded::Malformed | Excluded::NotCacheable);
                if !is_plain && inbound.era != era {
                    return Landed::Alone;
                }
                let entry = self.entry(era, text, &Hints::default(), Lifetime::default());
                return Landed::Result {
                    entry,
                    fate: Fate::Unshared,
                };
            }
        };
        let server = self.order.server();
        let policy = &server.cache.policy;
        let lifetime = self
            .read
            .lifetime
            .or_else(|| freshness::lifetime(method, &hints, policy));
        let Some(lifetime) = lifetime else {
            self.note_never();
            let entry = self.entry(era, text, &hints, Lifetime::default());
            return Landed::Result {
                entry,
                fate: Fate::Unshared,
            };
        };
        let entry = self.entry(era, text, &hints, lifetime);
        if self.read.lifetime.is_none() && entry.share != Share::Public {
            // What everybody had is nobody's any more.
            let public = Reach::Key(self.read.key(Share::Public));
            let memory = &self.live.cache.memory;
            memory.invalidate(&self.read.origin.server, &public);
            // Nor what the tenant had, where it is one caller's by now.
            let tenant = self.read.tenant();
            if let Some(key) = tenant.filter(|_| entry.share == Share::Private) {
                memory.invalidate(&self.read.origin.server, &Reach::Key(key));
            }
        }
        if let (Some(redis), Some(versions)) = (&self.live.cache.redis, &self.versions) {
            redis.store(Arc::clone(&entry), versions);
        }
        let fate = match self.live.cache.memory.store(Arc::clone(&entry), self.stamp) {
            Ok(()) => Fate::Stored,
            Err(_) => Fate::Unstored,
        };
        if fate == Fate::Stored {
            self.note_cursor(&entry);
        }
        // Not before it is stored: whoever goes by this finds the result, and does not fetch it under
        // another key.
        if self.read.lifetime.is_none() {
            let is_public = entry.share == Share::Public;
            server.cache.hints.note(method, is_public);
            ear::attend(server, method);
        }
        Landed::Result { entry, fate }
    }

    fn entry(&self, era: Era, text: String, hints: &Hints, lifetime: Lifetime) -> Arc<Entry> {
        let read = &self.read;
        let policy = &self.order.server().cache.policy;
        let share = policy.share(read.origin.method, hints.scope);
        let fresh = Fresh {
            key: read.key(share),
            origin: read.origin.clone(),
            era,
            text: text.into(),
            share,
            is_operators: read.lifetime.is_some()
                || hints.ttl.unwrap_or_default() < lifetime.fresh(),
            lifetime: self.within(lifetime),
        };
        Arc::new(Entry::new(fresh, hints, Instant::now()))
    }

    /// A lifetime as it may be while invalidations of other instances are not heard.
    fn within(&self, lifetime: Lifetime) -> Lifetime {
        let redis = self.live.cache.redis.as_ref();
        match redis.and_then(|redis| redis.lifetime_cap()) {
            Some(cap) => Lifetime::new(lifetime.fresh().min(cap), Staleness::default()),
            None => lifetime,
        }
    }

    /// Whoever asks for the same in a while does not wait for others first.
    fn note_never(&self) {
        let hints = &self.order.server().cache.hints;
        hints.note_never(self.read.private(), Instant::now());
    }
}
