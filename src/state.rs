//! What a request works on: the compiled configuration, and what outlives it.

pub mod guard;
pub mod live;
mod lock;
pub mod outlet;
pub mod parked;
pub mod reload;
pub mod session;
pub mod sessions;
pub mod snapshot;
pub mod store;
pub mod users;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::state::live::Live;
use crate::state::snapshot::Snapshot;
use crate::state::users::User;

/// The control plane, as the data plane sees it: requests under `/conduit` go there. Neither knows
/// the other; `app` brings them together. Where a request comes from is a [`Peer`] among its extensions,
/// and whose certificate its connection was opened with an `auth::certificate::Peer`.
pub type ControlPlane =
    Arc<dyn Fn(http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> + Send + Sync>;

/// The other end of the connection of a request to the control plane. What headers say of it, such as
/// `X-Forwarded-For`, is the client's own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A host at this address.
    Host(IpAddr),
    /// A process that may open a unix socket of ours.
    Socket,
    /// Nobody knows.
    Unknown,
}

impl Peer {
    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(self) -> bool {
        match self {
            Self::Host(address) => address.to_canonical().is_loopback(),
            Self::Socket => true,
            Self::Unknown => false,
        }
    }
}

/// The compiled configuration, exchanged as a whole, beside what outlives it.
pub struct Shared {
    /// The configuration in force. A request pins it once.
    pub snapshot: ArcSwap<Snapshot>,
    /// What outlives a reload.
    pub live: Arc<Live>,
}

impl Shared {
    /// Pins the configuration in force for a request.
    #[must_use]
    pub fn pin(&self) -> (Arc<Snapshot>, User) {
        loop {
            let snapshot = self.snapshot.load_full();
            // One that was just replaced lets nobody in; the next one is there already.
            if let Some(user) = snapshot.users.join() {
                return (snapshot, user);
            }
        }
    }
}
