//! Further children of modern clients, for calls that want log messages.
//!
//! A log message names no call, so two calls that want some cannot share a child. A modern server
//! infers nothing from its connection, so that it does not matter which child a call goes to.
//!
//! **Invariant:** a call that wants no log messages never comes here, and one that finds no child of
//! its own goes to the first, as if there were no others.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::link::Link;
use super::link::audience::Audience;
use super::link::logs::Seat;
use super::nursery::Nursery;

/// Most children besides the first.
const CHILDREN_MAX: usize = 7;

/// The further children of one server.
#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    children: Vec<Child>,
    /// How many are being started.
    n_starting: usize,
}

#[derive(Debug)]
struct Child {
    link: Arc<Link>,
    stop: CancellationToken,
    used: Instant,
}

/// The right to start one child.
struct Start<'a>(&'a Pool);

impl Pool {
    /// A seat for a call that wants log messages, at the `first` child if that has one. Nothing
    /// where all are taken and no further child can be started.
    pub(super) async fn seat(&self, first: &Arc<Link>, nursery: &Nursery) -> Option<Seat> {
        if let Some(seat) = Seat::take(first).or_else(|| self.free()) {
            return Some(seat);
        }
        let start = self.start()?;
        let tended = match nursery.start(Audience::Requests).await {
            Ok(tended) => tended,
            Err(failure) => {
                let server = &nursery.spec.server;
                debug!(server.id = %server, reason = %failure.message(server), "No child for log messages");
                return None;
            }
        };
        let link = Arc::clone(&tended.link);
        let seat = Seat::take(&link);
        self.state.lock().children.push(Child {
            link,
            stop: tended.halt.one.clone(),
            used: Instant::now(),
        });
        drop(start);
        nursery.tasks.spawn(tended.run());
        seat
    }

    /// Ends the children that nobody has used for `idle`.
    pub(super) fn sweep(&self, idle: Duration) {
        let now = Instant::now();
        self.state.lock().children.retain_mut(|child| {
            if child.link.pending() > 0 {
                child.used = now;
            }
            let is_kept = child.link.is_open() && now.duration_since(child.used) < idle;
            if !is_kept {
                child.stop.cancel();
            }
            is_kept
        });
    }

    /// The links of all its children.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        let state = self.state.lock();
        let links = state.children.iter().map(|child| Arc::clone(&child.link));
        links.collect()
    }

    fn free(&self) -> Option<Seat> {
        let mut state = self.state.lock();
        state.children.retain(|child| child.link.is_open());
        state.children.iter_mut().find_map(|child| {
            let seat = Seat::take(&child.link)?;
            child.used = Instant::now();
            Some(seat)
        })
    }

    fn start(&self) -> Option<Start<'_>> {
        let mut state = self.state.lock();
        if state.children.len() + state.n_starting >= CHILDREN_MAX {
            return None;
        }
        state.n_starting += 1;
        Some(Start(self))
    }
}

impl Drop for Start<'_> {
    fn drop(&mut self) {
        self.0.state.lock().n_starting -= 1;
    }
}
