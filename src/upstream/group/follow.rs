//! Who listens to what a group's sessions bring beside answers, and to which resources they are
//! subscribed.
//!
//! **Invariant:** one session listens for all followers, the first; when it ends, the next one does.
//! The server is told of a resource with its first follower and again with its last, and of one
//! resource by one at a time: what it heard last is what is wanted.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast};

use super::Group;
use crate::upstream::session::Session;
use crate::upstream::session::open::OpenError;
use crate::upstream::talk::Answered;

/// How many subscriptions are asked for at a time.
const SUBSCRIBING_MAX: usize = 16;
/// How soon it is tried again to listen, at first and at the latest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Who follows a group.
pub(super) struct Followers {
    known: Mutex<Known>,
    places: Semaphore,
}

#[derive(Default)]
struct Known {
    n: usize,
    wishes: HashMap<String, Wish>,
    /// A task sees to it that a session listens.
    is_hosted: bool,
}

/// A resource that somebody wants to hear of, or did until just now.
#[derive(Default)]
struct Wish {
    n: usize,
    /// Held while the server is told.
    told: Arc<tokio::sync::Mutex<Told>>,
}

/// What a server knows of a wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    /// Nothing, or it refused.
    #[default]
    No,
    /// It was asked, and nobody waited for its answer.
    Perhaps,
    /// It agreed.
    Yes,
}

impl Default for Followers {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            places: Semaphore::new(SUBSCRIBING_MAX),
        }
    }
}

impl Followers {
    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.known.lock().n > 0
    }

    /// One more that wants a resource.
    fn want(&self, uri: &str) -> Arc<tokio::sync::Mutex<Told>> {
        let mut known = self.known.lock();
        let wish = known.wishes.entry(uri.to_owned()).or_default();
        wish.n += 1;
        Arc::clone(&wish.told)
    }

    /// One less; what the server knows, for the last.
    fn leave(&self, uri: &str) -> Option<Arc<tokio::sync::Mutex<Told>>> {
        let mut known = self.known.lock();
        let wish = known.wishes.get_mut(uri)?;
        wish.n = wish.n.saturating_sub(1);
        (wish.n == 0).then(|| Arc::clone(&wish.told))
    }

    fn is_wanted(&self, uri: &str) -> bool {
        let known = self.known.lock();
        known.wishes.get(uri).is_some_and(|wish| wish.n > 0)
    }

    /// Forgets a resource that nobody wants and that the server was told so of.
    fn forget(&self, uri: &str) {
        let mut known = self.known.lock();
        if known.wishes.get(uri).is_some_and(|wish| wish.n == 0) {
            known.wishes.remove(uri);
        }
    }
}

/// Somebody who follows a group: what was begun for it ends with it.
pub struct Follower {
    group: Arc<Group>,
    subscribed: BTreeSet<String>,
    /// What all sessions of the group bring beside answers, wanted or not.
    pub notices: broadcast::Receiver<Arc<str>>,
}

impl Group {
    /// Begins to listen on behalf of a follower.
    ///
    /// # Errors
    /// Where no session can be opened.
    pub async fn follow(self: &Arc<Self>) -> Result<Follower, OpenError> {
        let notices = self.notices.subscribe();
        self.main().await?.listen();
        let is_hosted = {
            let mut known = self.followers.known.lock();
            known.n += 1;
            std::mem::replace(&mut known.is_hosted, true)
        };
        if !is_hosted {
            let group = Arc::downgrade(self);
            self.remote.background.spawn(host(group));
        }
        Ok(Follower {
            group: Arc::clone(self),
            subscribed: BTreeSet::new(),
            notices,
        })
    }

    /// Has the first session listen and be subscribed to what is wanted.
    async fn settle(self: &Arc<Self>) -> Result<Arc<Session>, OpenError> {
        let session = self.main().await?;
        session.listen();
        let wishes: Vec<_> = {
            let known = self.followers.known.lock();
            let wishes = known.wishes.iter();
            wishes
                .map(|(uri, wish)| (uri.clone(), Arc::clone(&wish.told)))
                .collect()
        };
        let asked = wishes.into_iter().map(|(uri, told)| {
            let session = &session;
            async move {
                let mut told = told.lock().await;
                if self.followers.is_wanted(&uri) {
                    ask(session, &uri, &mut told).await;
                }
            }
        });
        stream::iter(asked)
            .buffer_unordered(SUBSCRIBING_MAX)
            .collect::<()>()
            .await;
        Ok(session)
    }

    /// Has the server tell of a resource that is wanted; whether it does.
    async fn subscribe(self: &Arc<Self>, uri: &str, told: &tokio::sync::Mutex<Told>) -> bool {
        let mut told = told.lock().await;
        if *told == Told::Yes {
            return true;
        }
        let Ok(_place) = self.followers.places.acquire().await else {
            return false;
        };
        if let Ok(session) = self.main().await {
            ask(&session, uri, &mut told).await;
        }
        *told == Told::Yes
    }

    /// Has the server tell of a resource no more, if nobody wants it any longer.
    async fn unsubscribe(self: &Arc<Self>, uri: &str) {
        let Some(told) = self.followers.leave(uri) else {
            return;
        };
        let mut told = told.lock().await;
        if self.followers.is_wanted(uri) {
            return;
        }
        if std::mem::take(&mut *told) != Told::No
            && let Ok(_place) = self.followers.places.acquire().await
            && let Some(session) = self.first()
        {
            // It was told, or is gone.
            session.ask_about(uri, "resources/unsubscribe").await.ok();
        }
        self.followers.forget(uri);
    }
}

/// Asks a server to tell of a resource.
async fn ask(session: &Session, uri: &str, told: &mut Told) {
    *told = Told::Perhaps;
    *told = match session.ask_about(uri, "resources/subscribe").await {
        Ok(Answered::Result(_)) => Told::Yes,
        Ok(_) | Err(_) => Told::No,
    };
}

/// Sees to it that a session listens, until nobody follows any more.
async fn host(group: Weak<Group>) {
    let mut pause = RETRY.0;
    loop {
        let Some(this) = group.upgrade() else { return };
        {
            let mut known = this.followers.known.lock();
            if known.n == 0 {
                known.is_hosted = false;
                return;
            }
        }
        let settled = this.settle().await;
        drop(this);
        match settled {
            Ok(session) => {
                session.ended().await;
                pause = RETRY.0;
            }
            Err(error) => {
                tracing::debug!(%error, "Nothing can be heard of a server");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY.1);
            }
        }
    }
}

impl Follower {
    /// Subscribes to resources, once; those that the server will tell of.
    ///
    /// Not to be given up halfway but by dropping the follower, which takes all of them back.
    pub async fn subscribe(&mut self, uris: &BTreeSet<String>) -> BTreeSet<String> {
        let group = &self.group;
        let fresh: Vec<_> = uris
            .difference(&self.subscribed)
            .map(|uri| (uri.clone(), group.followers.want(uri)))
            .collect();
        self.subscribed
            .extend(fresh.iter().map(|(uri, _)| uri.clone()));
        let asked = fresh.into_iter().map(|(uri, told)| async move {
            let is_told = group.subscribe(&uri, &told).await;
            (!is_told).then_some(uri)
        });
        let refused: Vec<Option<String>> = stream::iter(asked)
            .buffer_unordered(SUBSCRIBING_MAX)
            .collect()
            .await;
        for uri in refused.into_iter().flatten() {
            self.subscribed.remove(&uri);
            if self.group.followers.leave(&uri).is_some() {
                self.group.followers.forget(&uri);
            }
        }
        uris.intersection(&self.subscribed).cloned().collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        {
            let mut known = self.group.followers.known.lock();
            known.n = known.n.saturating_sub(1);
        }
        if self.subscribed.is_empty() {
            return;
        }
        let group = Arc::clone(&self.group);
        let subscribed = std::mem::take(&mut self.subscribed);
        let background = group.remote.background.clone();
        background.spawn(async move {
            stream::iter(&subscribed)
                .for_each_concurrent(SUBSCRIBING_MAX, |uri| group.unsubscribe(uri))
                .await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Followers;

    #[test]
    fn the_last_who_leaves_a_resource_takes_it_back_unless_somebody_came() {
        let followers = Followers::default();
        followers.want("a");
        followers.want("a");
        followers.want("b");
        assert!(followers.leave("a").is_none());
        assert!(followers.leave("a").is_some());
        assert!(followers.leave("b").is_some());
        followers.want("b");
        followers.forget("a");
        followers.forget("b");
        assert!(!followers.is_wanted("a"));
        assert!(
            followers.is_wanted("b"),
            "wanted anew before it was forgotten"
        );
        assert!(followers.leave("a").is_none());
    }
}
