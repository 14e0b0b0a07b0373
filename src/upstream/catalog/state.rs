//! What is known of one view of a server, and when it is to be read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::mcp::list::Kind;

use super::absent::Absent;
use super::{Listed, Listing, Profile, Settings};
use crate::upstream::watch::Hearing;

/// How long a list without anybody's promise is taken as it is.
const UNPROMISED: Duration = Duration::from_secs(1);
/// How long is waited for a list again that there is a good copy of.
const RENEWAL_MAX: Duration = Duration::from_millis(200);
/// How long a view that nobody uses is kept fresh.
const USED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// What is known, and what is to be done about it.
#[derive(Default)]
pub(super) struct State {
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) lists: BTreeMap<Kind, List>,
    /// Why the last attempt failed.
    pub(super) failure: Option<Arc<str>>,
    pub(super) is_reading: bool,
    /// A failing server is due to be tried again.
    pub(super) retry: bool,
    /// The profile is due to be read again.
    pub(super) profile_due: bool,
    /// Nothing is heard, for nobody used the view: changes may be missed.
    pub(super) is_idle: bool,
    /// How changes are heard of, where the server promised to tell of them.
    pub(super) hearing: Option<Hearing>,
    pub(super) used: Option<Instant>,
    /// Tools that were looked for in vain.
    pub(super) absent: Absent,
}

/// What is known of one list.
#[derive(Default)]
pub(super) struct List {
    pub(super) last: Option<Arc<Listing>>,
    /// When it came here: one that another view had read is older than that.
    pub(super) came: Option<Instant>,
    /// It is to be read.
    pub(super) is_dirty: bool,
    /// A change was told since it was read.
    pub(super) is_told: bool,
    /// Somebody was given nothing in its place since it was read.
    pub(super) is_missed: bool,
    /// Why the last attempt failed; the server's other lists may well be good.
    pub(super) failure: Option<Arc<str>>,
}

impl State {
    /// Whether a list was read since `since`, or cannot be read for now.
    pub(super) fn is_tried(&self, kind: Kind, since: Instant) -> bool {
        self.lists.get(&kind).is_some_and(|list| {
            let has_come = list.came.is_some_and(|came| came >= since);
            has_come || list.failure.is_some()
        })
    }

    pub(super) fn is_used(&self, now: Instant) -> bool {
        self.used
            .is_some_and(|used| now.saturating_duration_since(used) < USED_WITHIN)
    }

    /// Whether it is known that the list lacks a tool.
    pub(super) fn is_absent(&self, tool: &str, now: Instant) -> bool {
        let tools = self.lists.get(&Kind::Tools);
        // A change may have brought it.
        tools.is_some_and(|tools| !tools.is_told) && self.absent.has(tool, now)
    }

    /// A list as it is given.
    pub(super) fn listed(&self, kind: Kind, settings: &Settings) -> Listed {
        let list = self.lists.get(&kind);
        let failure = self
            .failure
            .as_ref()
            .or_else(|| list.and_then(|list| list.failure.as_ref()));
        let listing = list
            .and_then(|list| list.last.clone())
            .filter(|listing| failure.is_none() || listing.read.elapsed() < settings.stale_max);
        let failure = match (failure, &listing) {
            (Some(failure), _) => Some(Arc::clone(failure)),
            (None, None) => Some(Arc::from("did not answer in time")),
            (None, Some(_)) => None,
        };
        Listed { listing, failure }
    }

    /// Marks what is due to be read again: lists that were read `old` ago.
    pub(super) fn age(&mut self, now: Instant, old: Duration) {
        if !self.is_used(now) {
            return;
        }
        if self.failure.is_some() {
            // It is time to try again.
            self.is_reading = false;
            self.retry = true;
            return;
        }
        for list in self.lists.values_mut() {
            let is_old = list
                .last
                .as_ref()
                .is_some_and(|last| now.saturating_duration_since(last.read) >= old);
            list.is_dirty |= is_old || list.failure.is_some();
        }
        self.profile_due = true;
    }

    /// Has a list read again that was read before another view found it `changed`: whoever heard of
    /// that must not be given it.
    pub(super) fn outdate(&mut self, kind: Kind, changed: Option<Instant>) {
        let Some(list) = self.lists.get_mut(&kind) else {
            return;
        };
        let read = list.last.as_ref().map(|last| last.read);
        list.is_dirty |= read < changed && read.is_some();
    }

    /// How long to wait for a list; nothing where what is there will do.
    pub(super) fn patience(
        &mut self,
        kind: Kind,
        now: Instant,
        settings: &Settings,
    ) -> Option<Duration> {
        let is_failing = self.failure.is_some();
        let hearing = self.hearing.as_ref();
        let is_watched = hearing.is_some_and(|hearing| hearing.hears(kind));
        let list = self.lists.entry(kind).or_default();
        if list.failure.is_some() {
            return None;
        }
        let Some(last) = &list.last else {
            list.is_dirty = true;
            return (!is_failing).then_some(settings.timeout);
        };
        if is_failing {
            return None;
        }
        if list.is_dirty {
            return Some(settings.timeout);
        }
        let age = now.saturating_duration_since(last.read);
        if age < last.promise {
            return None;
        }
        let is_timed = last.ttl.is_some_and(|ttl| !ttl.is_zero());
        if !is_timed && (is_watched || age < UNPROMISED) {
            return None;
        }
        list.is_dirty = true;
        Some(if is_timed {
            settings.timeout
        } else {
            RENEWAL_MAX.min(settings.timeout)
        })
    }
}

#[cfg(test)]
mod tests;
