//! One listen stream to a modern server for everybody who wants to hear of its changes.
//!
//! **Invariant:** the stream asks for what somebody wants and for nothing else; it ends with the last
//! who wants anything.

pub mod filter;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use filters::json::object::Object;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use filters::mcp::translate::up;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use crate::upstream::CLIENT_INFO;
use crate::upstream::era::MODERN;
use crate::upstream::error::Error;
use crate::upstream::fields::{Caller, Mcp};
use crate::upstream::remote::{Post, Remote};
use crate::upstream::talk::{Patience, Talk};
use crate::upstream::watch::filter::Filter;

/// Messages that a slow follower may be behind.
const BACKLOG: usize = 1024;
/// How soon a broken stream is opened again, at first and at the latest.
const REOPEN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How long a server may take to acknowledge a stream before the old one is let go all the same.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);
/// The longest rest after a stream was opened. It rests for as long as the opening took, so that many
/// who come at once cost a few openings, and no more than half of the time.
const REST_MAX: Duration = Duration::from_secs(1);
/// Most watches of one server: one for each credential.
const WATCHES_MAX: usize = 4096;

/// The watches of one server, by credential.
#[derive(Default)]
pub struct Watches {
    watches: Mutex<HashMap<Option<String>, Weak<Watch>>>,
}

impl Watches {
    /// The watch of a caller's credential.
    ///
    /// # Errors
    /// [`Error::Busy`] where there are too many.
    pub fn find(&self, remote: &Arc<Remote>, caller: &Caller) -> Result<Arc<Watch>, Error> {
        let credential = remote.credential(caller);
        let mut watches = self.watches.lock();
        if let Some(watch) = watches.get(&credential).and_then(Weak::upgrade) {
            return Ok(watch);
        }
        watches.retain(|_, watch| watch.strong_count() > 0);
        if watches.len() >= WATCHES_MAX {
            return Err(Error::Busy);
        }
        let watch = Arc::new(Watch {
            remote: Arc::clone(remote),
            caller: caller.lasting(),
            followers: Mutex::default(),
            changed: Notify::new(),
            notices: broadcast::channel(BACKLOG).0,
            acknowledged: watch::channel(None).0,
        });
        watches.insert(credential, Arc::downgrade(&watch));
        let weak = Arc::downgrade(&watch);
        remote.background.spawn(run(weak));
        Ok(watch)
    }
}

/// One listen stream and those who follow it.
pub struct Watch {
    remote: Arc<Remote>,
    caller: Caller,
    followers: Mutex<Followers>,
    changed: Notify,
    notices: broadcast::Sender<Arc<str>>,
    /// What was asked for and what of it is honoured.
    acknowledged: watch::Sender<Option<Acknowledged>>,
}

#[derive(Clone, Debug)]
struct Acknowledged {
    asked: Filter,
    honoured: Filter,
}

#[derive(Default)]
struct Followers {
    next: u64,
    wanted: HashMap<u64, Filter>,
}

impl Followers {
    fn union(&self) -> Filter {
        let mut union = Filter::default();
        self.wanted.values().for_each(|filter| union.add(filter));
        union
    }
}

/// Somebody who follows a watch.
pub struct Follower {
    watch: Arc<Watch>,
    number: u64,
    filter: Filter,
    /// What the stream brings, wanted or not.
    pub notices: broadcast::Receiver<Arc<str>>,
}

impl Watch {
    /// Follows with a filter.
    #[must_use]
    pub fn follow(self: &Arc<Self>, filter: Filter) -> Follower {
        let notices = self.notices.subscribe();
        let number = {
            let mut followers = self.followers.lock();
            followers.next += 1;
            let number = followers.next;
            followers.wanted.insert(number, filter.clone());
            number
        };
        self.changed.notify_one();
        Follower {
            watch: Arc::clone(self),
            number,
            filter,
            notices,
        }
    }

    async fn open(&self, filter: &Filter) -> Result<Talk, Error> {
        let envelope = up::Envelope {
            revision: MODERN,
            capabilities: if filter.tasks.is_empty() {
                "{}"
            } else {
                r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
            },
            client_info: Some(CLIENT_INFO),
            log_level: None,
        };
        let params = format!(r#"{{"notifications":{}}}"#, filter.write());
        let body = up::request(
            &self.remote.serial().to_string(),
            "subscriptions/listen",
            Some(&up::modern_params(Some(&params), &envelope)),
        );
        let post = Post {
            mcp: Mcp {
                era: Era::Modern,
                revision: Some(MODERN),
                method: Some("subscriptions/listen"),
                ..Mcp::BARE
            },
            is_repeatable: true,
        };
        self.remote
            .post(&self.caller, post, body, Patience::Listen)
            .await
    }
}

/// Whether a follower's lists are watched right now.
pub struct Hearing {
    acknowledged: watch::Receiver<Option<Acknowledged>>,
}

impl Hearing {
    /// Whether the server tells of changes of a list, as long as its stream stands.
    #[must_use]
    pub fn hears(&self, kind: Kind) -> bool {
        let seen = self.acknowledged.borrow();
        seen.as_ref().is_some_and(|seen| seen.honoured.has(kind))
    }
}

impl Follower {
    /// Tells at any time what is heard.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        Hearing {
            acknowledged: self.watch.acknowledged.subscribe(),
        }
    }

    /// What of the filter the server honours, once it said so.
    pub async fn honoured(&self) -> Filter {
        let mut acknowledged = self.watch.acknowledged.subscribe();
        let wanted = &self.filter;
        let covers = |seen: &Option<Acknowledged>| {
            seen.as_ref()
                .is_some_and(|seen| wanted.common(&seen.asked) == *wanted)
        };
        let Ok(seen) = acknowledged.wait_for(covers).await else {
            return Filter::default();
        };
        seen.as_ref()
            .map(|seen| wanted.common(&seen.honoured))
            .unwrap_or_default()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.watch.followers.lock().wanted.remove(&self.number);
        self.watch.changed.notify_one();
    }
}

/// A listen stream and what it was asked for.
struct Stream {
    talk: Talk,
    asked: Filter,
    /// What of it the server said that it honours; nothing until it did.
    honoured: Option<Filter>,
    /// Something may have been missed before it stood.
    is_late: bool,
}

/// Keeps the stream open while anybody follows.
async fn run(watch: Weak<Watch>) {
    let mut pause = REOPEN.0;
    let mut stream: Option<Stream> = None;
    let mut is_late = false;
    let mut rested = Instant::now();
    loop {
        let Some(this) = watch.upgrade() else { return };
        let wanted = this.followers.lock().union();
        if wanted.is_empty() {
            stream = None;
            is_late = false;
            this.acknowledged.send_replace(None);
            let changed = async { this.changed.notified().await };
            if tokio::time::timeout(REOPEN.1, changed).await.is_err() {
                // Nobody came: let the watch go if nobody holds it.
                drop(this);
                tokio::task::yield_now().await;
            }
            continue;
        }
        if stream.as_ref().is_none_or(|stream| stream.asked != wanted) {
            let began = Instant::now();
            let had_stream = stream.is_some();
            let renewed = renew(&this, &mut stream, &wanted, is_late).await;
            is_late |= had_stream && stream.is_none();
            match renewed {
                Some(renewed) => {
                    stream = Some(renewed);
                    is_late = false;
                }
                None => refuse(&this, &wanted, stream.as_ref()),
            }
            rested = Instant::now() + began.elapsed().min(REST_MAX);
        }
        let is_whole = stream.as_ref().is_some_and(|stream| stream.asked == wanted);
        let retry = pause;
        let is_broken = tokio::select! {
            () = listen(&this, &mut stream, &mut pause) => true,
            () = change(&this, (!is_whole).then_some(retry), rested) => false,
        };
        if is_broken {
            stream = None;
            is_late = true;
            this.acknowledged.send_replace(None);
            change(&this, Some(pause), rested).await;
        }
        if !is_whole || is_broken {
            pause = (pause * 2).min(REOPEN.1);
        }
    }
}

/// Waits until something else may be wanted, or for `retry`, and in any case until `rested`: who
/// comes meanwhile is asked for together with the others.
async fn change(watch: &Watch, retry: Option<Duration>, rested: Instant) {
    let changed = watch.changed.notified();
    match retry {
        Some(retry) => {
            tokio::time::timeout(retry, changed).await.ok();
        }
        None => changed.await,
    }
    tokio::time::sleep_until(rested).await;
}

/// Opens a stream while what the old one brings is passed on; nothing where the server does not let
/// itself be watched so. The old one may end once the new one is acknowledged, so that nothing is
/// missed.
async fn renew(
    watch: &Watch,
    old: &mut Option<Stream>,
    wanted: &Filter,
    is_late: bool,
) -> Option<Stream> {
    let opening = async {
        let mut stream = Stream {
            talk: open(watch, wanted).await?,
            asked: wanted.clone(),
            honoured: None,
            is_late,
        };
        let acknowledged = async {
            while stream.honoured.is_none() {
                match stream.talk.next().await {
                    Ok(Some(message)) => pass(watch, &mut stream, &message),
                    Ok(None) | Err(_) => return None,
                }
            }
            Some(())
        };
        match tokio::time::timeout(ACKNOWLEDGED_WITHIN, acknowledged).await {
            Ok(acknowledged) => acknowledged.map(|()| stream),
            // It stands, and may be acknowledged yet.
            Err(_) => Some(stream),
        }
    };
    tokio::pin!(opening);
    loop {
        let mut pause = REOPEN.0;
        tokio::select! {
            biased;
            () = listen(watch, old, &mut pause) => *old = None,
            opened = &mut opening => break opened,
        }
    }
}

/// Asks for a stream.
async fn open(watch: &Watch, wanted: &Filter) -> Option<Talk> {
    match watch.open(wanted).await {
        Ok(talk) if talk.is_stream() && talk.status < 300 => Some(talk),
        Ok(mut talk) => {
            let body = talk.rest().await.unwrap_or_default();
            tracing::debug!(
                server.id = %watch.remote.id(),
                status = talk.status,
                answer = %String::from_utf8_lossy(body.get(..256).unwrap_or(&body)),
                "Server does not let itself be watched"
            );
            None
        }
        Err(error) => {
            tracing::debug!(server.id = %watch.remote.id(), %error, "Watch broke");
            None
        }
    }
}

/// Tells those who wait that nothing is honoured for now but what `old` brings.
fn refuse(watch: &Watch, wanted: &Filter, old: Option<&Stream>) {
    watch.acknowledged.send_replace(Some(Acknowledged {
        asked: wanted.clone(),
        honoured: old.and_then(|old| old.honoured.clone()).unwrap_or_default(),
    }));
}

/// Passes on what comes until the stream ends; where there is none, waits for ever. Cancel-safe.
async fn listen(watch: &Watch, stream: &mut Option<Stream>, pause: &mut Duration) {
    let Some(stream) = stream else {
        return std::future::pending().await;
    };
    while let Ok(Some(message)) = stream.talk.next().await {
        *pause = REOPEN.0;
        pass(watch, stream, &message);
    }
}

/// Passes on one message of a stream.
fn pass(watch: &Watch, stream: &mut Stream, message: &[u8]) {
    let text = std::str::from_utf8(message).ok();
    let Some((text, object)) = text.and_then(|text| Some((text, Object::read(text)?))) else {
        return;
    };
    match object.text("method").as_deref() {
        Some("notifications/subscriptions/acknowledged") => {
            let params = object.get("params").and_then(Object::read);
            let honoured = params
                .as_ref()
                .and_then(|params| params.get("notifications"))
                .map(Filter::read)
                .unwrap_or_default();
            if std::mem::take(&mut stream.is_late) {
                for change in honoured.changes() {
                    watch.remote.hear(&change);
                    // Nobody may be following any more.
                    watch.notices.send(Arc::from(change)).ok();
                }
            }
            stream.honoured = Some(honoured.clone());
            watch.acknowledged.send_replace(Some(Acknowledged {
                asked: stream.asked.clone(),
                honoured,
            }));
        }
        Some(_) => {
            watch.remote.hear(text);
            watch.notices.send(Arc::from(text)).ok();
        }
        // A result ends the stream; the server asks to be asked again.
        None => {}
    }
}
