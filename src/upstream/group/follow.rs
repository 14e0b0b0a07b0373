//! Who listens to what a group's sessions bring beside answers, and to which resources they are
//! subscribed.
//!
//! **Invariant:** one session listens for all followers, the first; when it ends, the next one does.
//! The server is told of a resource with its first follower and again with its last.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::Group;
use crate::upstream::session::Session;
use crate::upstream::session::open::OpenError;
use crate::upstream::talk::Answered;

/// How many subscriptions are asked for at a time.
const SUBSCRIBING_MAX: usize = 16;
/// How soon it is tried again to listen, at first and at the latest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Who follows a group.
#[derive(Default)]
pub(super) struct Followers {
    known: Mutex<Known>,
    /// Held while the server is told what is wanted, so that it is told in order.
    telling: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    n: usize,
    subscriptions: HashMap<String, usize>,
    /// A task sees to it that a session listens.
    is_hosted: bool,
}

impl Followers {
    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.known.lock().n > 0
    }

    /// One more that wants a resource; `true` for the first.
    fn want(&self, uri: &str) -> bool {
        let mut known = self.known.lock();
        let count = known.subscriptions.entry(uri.to_owned()).or_insert(0);
        *count += 1;
        *count == 1
    }

    /// One less; `true` for the last.
    fn leave(&self, uri: &str) -> bool {
        let mut known = self.known.lock();
        let Some(count) = known.subscriptions.get_mut(uri) else {
            return false;
        };
        *count = count.saturating_sub(1);
        let is_last = *count == 0;
        if is_last {
            known.subscriptions.remove(uri);
        }
        is_last
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
        let _turn = self.followers.telling.lock().await;
        let session = self.main().await?;
        session.listen();
        let subscriptions: Vec<String> = {
            let known = self.followers.known.lock();
            known.subscriptions.keys().cloned().collect()
        };
        stream::iter(&subscriptions)
            .for_each_concurrent(SUBSCRIBING_MAX, async |uri| {
                session.ask_about(uri, "resources/subscribe").await.ok();
            })
            .await;
        Ok(session)
    }
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
    /// Subscribes to a resource.
    ///
    /// # Errors
    /// Where the server cannot be asked.
    pub async fn subscribe(&mut self, uri: &str) -> Result<Answered, OpenError> {
        let _turn = self.group.followers.telling.lock().await;
        // Whatever becomes of this call: from here on it is taken back with the follower.
        if !self.subscribed.insert(uri.to_owned()) || !self.group.followers.want(uri) {
            return Ok(Answered::Result("{}".to_owned()));
        }
        let asked = async {
            let session = self.group.main().await?;
            let answered = session.ask_about(uri, "resources/subscribe").await?;
            Ok(answered)
        };
        let answered = asked.await;
        if !matches!(answered, Ok(Answered::Result(_))) {
            self.subscribed.remove(uri);
            self.group.followers.leave(uri);
        }
        answered
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
            let _turn = group.followers.telling.lock().await;
            for uri in subscribed {
                if group.followers.leave(&uri)
                    && let Some(session) = group.first()
                {
                    session.ask_about(&uri, "resources/unsubscribe").await.ok();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Followers;

    #[test]
    fn the_server_hears_of_the_first_who_wants_a_resource_and_of_the_last() {
        let followers = Followers::default();
        assert!(followers.want("a"));
        assert!(!followers.want("a"));
        assert!(followers.want("b"));
        assert!(!followers.leave("a"));
        assert!(followers.leave("a"));
        assert!(!followers.leave("a"));
        assert!(followers.leave("b"));
    }
}
