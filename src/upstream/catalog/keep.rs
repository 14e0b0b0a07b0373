//! Keeps a catalog: reads what is asked for, hears of changes, and reads again in time.
//!
//! **Invariant:** one reading of a server's lists at a time.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use filters::json::object::Object;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use tokio::sync::broadcast;

use super::fetch::{FetchError, Source};
use super::{Catalog, Change, Listing, Profile};
use crate::upstream::group;
use crate::upstream::watch::Follower;
use crate::upstream::watch::filter::Filter;

/// How soon a failing server is tried again, at first and at the latest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Which part of the refresh interval a list's age must have reached to be read again: jitter takes
/// away no more.
const REFRESH_PART: f64 = 0.9;

/// How a keeper hears of changes.
enum Ear {
    Deaf,
    Modern(Follower),
    Legacy(group::Follower),
}

impl Ear {
    /// The era of the server that it listens to.
    fn era(&self) -> Option<Era> {
        match self {
            Self::Deaf => None,
            Self::Modern(_) => Some(Era::Modern),
            Self::Legacy(_) => Some(Era::Legacy),
        }
    }
}

enum Wake {
    Asked,
    Notice(Option<Arc<str>>),
    Time,
}

/// Keeps a catalog until nobody holds it any more.
pub(super) async fn run(catalog: Weak<Catalog>) {
    let mut ear = Ear::Deaf;
    let mut retry = RETRY.0;
    let mut due = Instant::now();
    loop {
        let Some(this) = catalog.upgrade() else {
            return;
        };
        let now = Instant::now();
        if now >= due {
            this.state
                .lock()
                .age(now, this.settings.refresh.mul_f64(REFRESH_PART));
            if !this.is_needed(now) {
                // Nobody is told of what it would hear.
                this.rest(&mut ear);
            }
        }
        let mut is_resting = false;
        if this.has_work() {
            let limit = this.settings.deadline;
            let outcome = tokio::time::timeout(limit, this.renew(&mut ear)).await;
            let read = match outcome {
                Ok(Ok(is_whole)) => Ok(is_whole),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("did not answer in time".to_owned()),
            };
            let is_early = now < due && read.is_ok();
            let next = Instant::now() + this.settle(read, &mut retry);
            // A list that failed before is tried again when it is due, whatever was asked since.
            due = if is_early && this.is_partial() {
                due.min(next)
            } else {
                next
            };
        } else if now >= due && this.is_failing() {
            // Nobody asks: the next one who does has it tried again.
            is_resting = true;
        } else if now >= due {
            due = now + jittered(this.settings.refresh);
        }
        let wake = {
            let asked = this.wake.notified();
            tokio::select! {
                () = asked => Wake::Asked,
                notice = hear(&mut ear) => Wake::Notice(notice),
                () = tokio::time::sleep(due.saturating_duration_since(Instant::now())), if !is_resting => {
                    Wake::Time
                }
            }
        };
        match wake {
            Wake::Notice(Some(notice)) => this.take(&notice),
            Wake::Notice(None) => this.close(&mut ear),
            // Asked while the server fails: it is tried when it is due.
            Wake::Asked if this.is_failing() => {}
            Wake::Asked | Wake::Time => {}
        }
    }
}

async fn hear(ear: &mut Ear) -> Option<Arc<str>> {
    let notices = match ear {
        Ear::Deaf => return std::future::pending().await,
        Ear::Modern(follower) => &mut follower.notices,
        Ear::Legacy(follower) => &mut follower.notices,
    };
    loop {
        match notices.recv().await {
            Ok(notice) => return Some(notice),
            // What was missed may have been a change of anything.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// The pause before a failing server is tried again, before jitter; the next one is longer.
fn back_off(retry: &mut Duration) -> Duration {
    let pause = *retry;
    *retry = (pause * 2).min(RETRY.1);
    pause
}

fn jittered(period: Duration) -> Duration {
    period.mul_f64(REFRESH_PART + 0.2 * fastrand::f64())
}

impl Catalog {
    fn is_failing(&self) -> bool {
        self.state.lock().failure.is_some()
    }

    /// Whether anybody uses the view, or hears of changes at all, or something may be stored that a
    /// change would make stale.
    fn is_needed(&self, now: Instant) -> bool {
        let stored = self.settings.list_ttl.unwrap_or_default();
        self.changes.receiver_count() > 0
            || self.state.lock().is_used(now)
            || self.pulse.is_within(now, stored)
    }

    /// Whether a list cannot be read though the server answers.
    fn is_partial(&self) -> bool {
        let state = self.state.lock();
        state.lists.values().any(|list| list.failure.is_some())
    }

    /// Stops hearing of changes.
    fn close(&self, ear: &mut Ear) {
        *ear = Ear::Deaf;
        self.state.lock().hearing = None;
    }

    /// Stops hearing of changes until somebody uses the view again. What is stored because they were
    /// heard goes now.
    fn rest(&self, ear: &mut Ear) {
        if matches!(ear, Ear::Deaf) {
            return;
        }
        self.close(ear);
        self.state.lock().is_idle = true;
        if self.pulse.stop() {
            Kind::ALL
                .into_iter()
                .for_each(|kind| self.remote.changed(kind));
        }
    }

    fn has_work(&self) -> bool {
        let state = self.state.lock();
        if state.failure.is_some() && !state.is_reading {
            return state.retry;
        }
        state.used.is_some()
            && (state.profile.is_none()
                || state.profile_due
                || state.lists.values().any(|list| list.is_dirty))
    }

    /// Reads everything that is asked for; `false` where a list cannot be read though the server
    /// answers.
    async fn renew(self: &Arc<Self>, ear: &mut Ear) -> Result<bool, FetchError> {
        let wanted: Vec<Kind> = {
            let mut state = self.state.lock();
            state.is_reading = true;
            state.retry = false;
            let is_failing = state.failure.is_some();
            let is_wanted = |kind: &Kind| {
                let list = state.lists.get(kind);
                list.is_some_and(|list| list.is_dirty || is_failing)
            };
            Kind::ALL.into_iter().filter(is_wanted).collect()
        };
        let (source, profile) = self.introduce().await?;
        self.learn(profile.clone());
        if ear.era().is_some_and(|era| era != profile.era) {
            self.close(ear);
        }
        if matches!(ear, Ear::Deaf) {
            self.state.lock().is_idle = false;
            *ear = self.listen(&source, &profile).await;
        }
        let mut is_whole = true;
        for kind in wanted {
            {
                // A change that is told from here on is a change of what is read now.
                let mut state = self.state.lock();
                let list = state.lists.entry(kind).or_default();
                list.is_dirty = false;
                list.n_begun = list.n_told;
            }
            let capabilities = &self.view.capabilities;
            if let Some(listing) = self.public.find(kind, capabilities) {
                self.store(kind, listing);
                continue;
            }
            let stamp = self.public.stamp(kind);
            match self.read(&source, &profile, kind).await {
                Ok(listing) => {
                    let listing = Arc::new(listing);
                    self.public.keep(kind, capabilities, &listing, stamp);
                    self.store(kind, listing);
                }
                Err(error @ FetchError::Answer { .. }) => {
                    is_whole = false;
                    self.miss(kind, &error);
                }
                Err(error) => {
                    self.state.lock().lists.entry(kind).or_default().is_dirty = true;
                    return Err(error);
                }
            }
        }
        Ok(is_whole)
    }

    /// Notes that a list cannot be read for now.
    fn miss(&self, kind: Kind, error: &FetchError) {
        let failure = error.to_string();
        let before = {
            let mut state = self.state.lock();
            let list = state.lists.entry(kind).or_default();
            list.failure.replace(Arc::from(failure.as_str()))
        };
        if before.is_none() {
            tracing::warn!(
                server.id = %self.remote.id(),
                list = kind.label(),
                error = %failure,
                "List cannot be read"
            );
        }
        self.version.send_modify(|version| *version += 1);
    }

    fn learn(&self, profile: Profile) {
        let mut state = self.state.lock();
        if state.profile.as_deref() != Some(&profile) {
            state.profile = Some(Arc::new(profile));
        }
        state.profile_due = false;
        drop(state);
        self.version.send_modify(|version| *version += 1);
    }

    fn store(&self, kind: Kind, listing: Arc<Listing>) {
        let read = listing.read;
        let (is_told, is_missed, other) = {
            let mut state = self.state.lock();
            let list = state.lists.entry(kind).or_default();
            let is_told = std::mem::take(&mut list.is_told);
            let is_missed = std::mem::take(&mut list.is_missed) && !listing.items.is_empty();
            let last = list.last.as_ref();
            let other = last.filter(|last| last.items != listing.items);
            let other = other.map(|last| last.read);
            list.last = Some(listing);
            list.n_read = list.n_begun;
            list.came = Some(Instant::now());
            list.failure = None;
            state.failure = None;
            (is_told, is_missed, other)
        };
        if let Some(before) = other {
            self.public.outdate(kind, before, read);
        }
        if other.is_some() || is_missed {
            // The server may have told nobody; who is told below must not be given the old list.
            self.remote.changed(kind);
        }
        self.version.send_modify(|version| *version += 1);
        if other.is_some() || is_missed || is_told {
            self.tell(kind);
        }
    }

    fn tell(&self, kind: Kind) {
        let change = Change {
            server: Arc::clone(self.remote.id()),
            kind,
        };
        // Nobody may be listening.
        self.changes.send(change).ok();
    }

    /// Notes how a reading ended; gives the time until the next.
    fn settle(&self, read: Result<bool, String>, retry: &mut Duration) -> Duration {
        let pause = if read == Ok(true) {
            if !self.is_partial() {
                *retry = RETRY.0;
            }
            jittered(self.settings.refresh)
        } else {
            jittered(back_off(retry))
        };
        let failure = read.err();
        {
            let mut state = self.state.lock();
            state.is_reading = false;
            if let Some(failure) = &failure {
                if state.failure.is_none() {
                    tracing::warn!(server.id = %self.remote.id(), error = %failure, "Server's lists cannot be read");
                }
            } else if state.failure.is_some() {
                tracing::info!(server.id = %self.remote.id(), "Server's lists can be read again");
            }
            state.failure = failure.map(Arc::from);
        }
        self.version.send_modify(|version| *version += 1);
        pause
    }

    /// Begins to hear of changes, where the server tells of them.
    async fn listen(self: &Arc<Self>, source: &Source, profile: &Profile) -> Ear {
        let filter = promised(profile);
        if filter.is_empty() {
            return Ear::Deaf;
        }
        let ear = match source {
            Source::Modern => match self.watches.find(&self.remote, &self.caller) {
                Ok(watch) => Ear::Modern(watch.follow(filter.clone())),
                Err(_) => Ear::Deaf,
            },
            Source::Legacy(group) => match group.follow().await {
                Ok(follower) => Ear::Legacy(follower),
                Err(_) => Ear::Deaf,
            },
        };
        // A legacy server without such a stream says so only to the one who opens it.
        if let Ear::Modern(follower) = &ear {
            let honoured = tokio::time::timeout(RETRY.0, follower.honoured()).await;
            if honoured.is_ok_and(|honoured| honoured == filter) {
                self.state.lock().hearing = Some(follower.hearing());
            }
        }
        ear
    }

    /// Takes a notification of the server's.
    fn take(&self, notice: &str) {
        let Some(object) = Object::read(notice) else {
            return;
        };
        let method = object.text("method");
        for kind in Kind::ALL {
            if method.as_deref() == Some(kind.changed()) && !self.nudge(kind) {
                self.tell(kind);
            }
        }
    }
}

/// Which changes a server says that it tells of.
fn promised(profile: &Profile) -> Filter {
    let all = Object::read(&profile.capabilities).unwrap_or_default();
    let tells = |name: &str| {
        all.get(name)
            .and_then(Object::read)
            .is_some_and(|one| one.get("listChanged") == Some("true"))
    };
    Filter {
        tools: tells("tools"),
        prompts: tells("prompts"),
        resources: tells("resources"),
        ..Filter::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_server_is_tried_less_and_less_often_up_to_a_bound() {
        let mut retry = RETRY.0;
        let pauses = std::array::from_fn(|_| back_off(&mut retry).as_millis());
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn jitter_keeps_to_a_tenth_of_the_period() {
        let period = Duration::from_secs(100);
        for _ in 0..1_000 {
            let pause = jittered(period);
            assert!(pause >= period.mul_f64(REFRESH_PART), "{pause:?}");
            assert!(pause <= period.mul_f64(1.1), "{pause:?}");
        }
    }
}
