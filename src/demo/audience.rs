//! Who hears that the notes changed: legacy sessions and subscribers, modern listen streams.
//!
//! **Invariant:** at most [`SEATS_MAX`] of each kind; a client that does not read is given up
//! after [`SEND_TIMEOUT`], so that it never holds up the caller for long.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use rmcp::{
    ErrorData, Peer, RoleServer,
    model::ResourceUpdatedNotificationParam,
    service::{SubscriptionContext, SubscriptionSink},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const SEATS_MAX: usize = 1_000;
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The listeners of both eras.
#[derive(Default)]
pub(super) struct Audience(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    last_stream: u64,
    /// Modern: open `subscriptions/listen` streams.
    streams: HashMap<u64, SubscriptionSink>,
    /// Legacy: sessions, by number. They all hear that a list changed.
    sessions: HashMap<u64, Peer<RoleServer>>,
    /// Legacy: sessions that subscribed to a resource.
    subscribers: HashMap<(u64, String), Peer<RoleServer>>,
}

impl Seats {
    /// Forgets sessions that have ended.
    fn sweep(&mut self) {
        self.sessions.retain(|_, peer| !peer.is_transport_closed());
        self.subscribers
            .retain(|_, peer| !peer.is_transport_closed());
    }
}

impl Audience {
    /// Keeps a listen stream until its client ends it, or is gone altogether.
    pub(super) async fn seat(
        &self,
        stream: SubscriptionContext,
        client_gone: &CancellationToken,
    ) -> Result<(), ErrorData> {
        let number = {
            let mut seats = self.0.lock();
            if seats.streams.len() >= SEATS_MAX {
                return Err(full());
            }
            seats.last_stream += 1;
            let number = seats.last_stream;
            seats.streams.insert(number, stream.sink().clone());
            number
        };
        tokio::select! {
            () = stream.cancelled() => {}
            () = client_gone.cancelled() => {}
        }
        self.0.lock().streams.remove(&number);
        Ok(())
    }

    /// Adds a legacy session. One too many simply hears nothing.
    pub(super) fn join(&self, session: u64, peer: Peer<RoleServer>) {
        let mut seats = self.0.lock();
        seats.sweep();
        if seats.sessions.len() < SEATS_MAX {
            seats.sessions.insert(session, peer);
        }
    }

    /// `resources/subscribe`
    pub(super) fn subscribe(
        &self,
        session: u64,
        uri: String,
        peer: Peer<RoleServer>,
    ) -> Result<(), ErrorData> {
        let mut seats = self.0.lock();
        seats.sweep();
        if seats.subscribers.len() >= SEATS_MAX {
            return Err(full());
        }
        seats.subscribers.insert((session, uri), peer);
        Ok(())
    }

    /// `resources/unsubscribe`
    pub(super) fn unsubscribe(&self, session: u64, uri: String) {
        self.0.lock().subscribers.remove(&(session, uri));
    }

    /// Says that the list of resources changed, and the resources at `uris` with it.
    pub(super) async fn tell(&self, uris: &[String]) {
        let (streams, sessions, subscribers) = {
            let mut seats = self.0.lock();
            seats.sweep();
            let streams: Vec<_> = seats.streams.values().cloned().collect();
            let sessions: Vec<_> = seats.sessions.values().cloned().collect();
            let subscribers: Vec<_> = seats
                .subscribers
                .iter()
                .filter(|((_, uri), _)| uris.contains(uri))
                .map(|((_, uri), peer)| (uri.clone(), peer.clone()))
                .collect();
            (streams, sessions, subscribers)
        };
        let streams = join_all(
            streams
                .iter()
                .map(|stream| timeout(SEND_TIMEOUT, inform(stream, uris))),
        );
        let sessions = join_all(
            sessions
                .iter()
                .map(|peer| timeout(SEND_TIMEOUT, peer.notify_resource_list_changed())),
        );
        let subscribers = join_all(subscribers.iter().map(|(uri, peer)| {
            let updated = ResourceUpdatedNotificationParam::new(uri);
            timeout(SEND_TIMEOUT, peer.notify_resource_updated(updated))
        }));
        // Whoever could not be told has gone or does not read: nothing to do about it.
        tokio::join!(streams, sessions, subscribers);
    }
}

/// Sends a stream what it asked for; rmcp refuses to send it anything else.
async fn inform(stream: &SubscriptionSink, uris: &[String]) {
    stream.notify_resource_list_changed().await.ok();
    for uri in uris {
        stream.notify_resource_updated(uri).await.ok();
    }
}

fn full() -> ErrorData {
    ErrorData::internal_error(format!("{SEATS_MAX} subscriptions are open already"), None)
}
