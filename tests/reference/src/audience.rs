//! Who hears of a change: legacy sessions and watchers of a resource, modern listen streams.
//!
//! **Invariant:** one client that does not read never holds up the others for longer than
//! [`SEND_TIMEOUT`]; whoever has gone is forgotten at the next change or arrival.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use rmcp::{
    Peer, RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{SubscriptionContext, SubscriptionSink},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// What changed.
#[derive(Clone)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resources,
    Resource(String),
}

/// The listeners of both eras.
#[derive(Default)]
pub(crate) struct Audience(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    next: u64,
    /// Modern: open `subscriptions/listen` streams.
    streams: HashMap<u64, SubscriptionSink>,
    /// Legacy: initialized sessions, by session number.
    sessions: HashMap<u64, Peer<RoleServer>>,
    /// Legacy: who watches which resource.
    watchers: HashMap<(u64, String), Peer<RoleServer>>,
}

impl Seats {
    fn sweep(&mut self) {
        self.sessions.retain(|_, peer| !peer.is_transport_closed());
        self.watchers.retain(|_, peer| !peer.is_transport_closed());
    }
}

impl Audience {
    /// Keeps a listen stream in the audience until its client ends it, or is gone altogether.
    pub(crate) async fn seat(&self, stream: SubscriptionContext, client_gone: &CancellationToken) {
        let key = {
            let mut seats = self.0.lock();
            seats.next += 1;
            let key = seats.next;
            seats.streams.insert(key, stream.sink().clone());
            key
        };
        tokio::select! {
            () = stream.cancelled() => {}
            () = client_gone.cancelled() => {}
        }
        self.0.lock().streams.remove(&key);
    }

    /// A legacy session has finished its handshake.
    pub(crate) fn join(&self, session: u64, peer: Peer<RoleServer>) {
        let mut seats = self.0.lock();
        seats.sweep();
        seats.sessions.insert(session, peer);
    }

    /// `resources/subscribe`
    pub(crate) fn watch(&self, session: u64, uri: String, peer: Peer<RoleServer>) {
        self.0.lock().watchers.insert((session, uri), peer);
    }

    /// `resources/unsubscribe`
    pub(crate) fn unwatch(&self, session: u64, uri: String) {
        self.0.lock().watchers.remove(&(session, uri));
    }

    /// Tells everyone who asked, and says to how many it was delivered.
    pub(crate) async fn tell(&self, change: &Change) -> usize {
        let (streams, peers) = self.interested(change);
        let mut delivered = 0;
        for stream in streams {
            let sending = async {
                match change {
                    Change::Tools => stream.notify_tool_list_changed().await.is_ok(),
                    Change::Prompts => stream.notify_prompt_list_changed().await.is_ok(),
                    Change::Resources => stream.notify_resource_list_changed().await.is_ok(),
                    Change::Resource(uri) => stream.notify_resource_updated(uri).await.is_ok(),
                }
            };
            delivered += usize::from(timeout(SEND_TIMEOUT, sending).await.unwrap_or(false));
        }
        for peer in peers {
            let sending = async {
                match change {
                    Change::Tools => peer.notify_tool_list_changed().await.is_ok(),
                    Change::Prompts => peer.notify_prompt_list_changed().await.is_ok(),
                    Change::Resources => peer.notify_resource_list_changed().await.is_ok(),
                    Change::Resource(uri) => {
                        let updated = ResourceUpdatedNotificationParam::new(uri);
                        peer.notify_resource_updated(updated).await.is_ok()
                    }
                }
            };
            delivered += usize::from(timeout(SEND_TIMEOUT, sending).await.unwrap_or(false));
        }
        delivered
    }

    fn interested(&self, change: &Change) -> (Vec<SubscriptionSink>, Vec<Peer<RoleServer>>) {
        let mut seats = self.0.lock();
        seats.sweep();
        let wants = |stream: &&SubscriptionSink| {
            let filter = stream.accepted();
            match change {
                Change::Tools => filter.tools_list_changed == Some(true),
                Change::Prompts => filter.prompts_list_changed == Some(true),
                Change::Resources => filter.resources_list_changed == Some(true),
                Change::Resource(uri) => filter
                    .resource_subscriptions
                    .as_ref()
                    .is_some_and(|uris| uris.contains(uri)),
            }
        };
        let streams = seats.streams.values().filter(wants).cloned().collect();
        let peers = match change {
            Change::Resource(uri) => seats
                .watchers
                .iter()
                .filter(|((_, watched), _)| watched == uri)
                .map(|(_, peer)| peer.clone())
                .collect(),
            Change::Tools | Change::Prompts | Change::Resources => {
                seats.sessions.values().cloned().collect()
            }
        };
        (streams, peers)
    }
}
