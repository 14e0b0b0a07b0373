//! The life of one peer, from its start until nothing of it is left.
//!
//! **Invariant:** however a peer ends, its calls fail at once, and its place is free only when
//! nothing of it is left.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::failure::Failure;
use super::link::Link;
use super::peer::Peer;

/// A peer and all that belongs to it.
pub(super) struct Tended {
    pub(super) peer: Peer,
    pub(super) link: Arc<Link>,
    pub(super) halt: Halt,
    pub(super) place: OwnedSemaphorePermit,
}

/// What tells a peer to end.
#[derive(Clone, Debug)]
pub(super) struct Halt {
    /// Ends this one.
    pub(super) one: CancellationToken,
    /// Ends every one.
    pub(super) all: CancellationToken,
}

/// How a peer ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// For those who come later.
    pub(super) failure: Failure,
    /// Whether it was told to.
    pub(super) is_told: bool,
}

impl Tended {
    /// Serves the peer until it ends or is told to. Returns why, for those who come later.
    pub(super) async fn run(self) -> Failure {
        let Self {
            peer,
            link,
            halt,
            place,
        } = self;
        let ended = peer.serve(&link, &halt).await;
        drop(place);
        report(&link, &ended);
        ended.failure
    }
}

impl Halt {
    /// Waits until it is told; what that means to calls.
    pub(super) async fn told(&self) -> Failure {
        tokio::select! {
            biased;
            () = self.all.cancelled() => Failure::ShuttingDown,
            () = self.one.cancelled() => Failure::SessionEnded,
        }
    }
}

fn report(link: &Link, ended: &Ended) {
    let server = &link.spec.server;
    let reason = ended.failure.message(server);
    if ended.is_told {
        debug!(server.id = %server, %reason, "Peer ended");
        return;
    }
    link.counters.crashed.fetch_add(1, Ordering::Relaxed);
    warn!(server.id = %server, %reason, "Peer ended by itself");
    *link.counters.last_error.lock() = Some(reason.into_owned());
}
