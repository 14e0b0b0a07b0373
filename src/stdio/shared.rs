//! A child that many clients share: it is started when first needed, kept running, and started
//! again when it crashes.
//!
//! **Invariant:** while it cannot be used, calls are told so at once; nobody waits for a crashing
//! child.

use std::sync::Arc;
use std::time::Duration;

use filters::rpc::parse::{Id, message};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::warn;

use super::backoff::{Backoff, FIRST};
use super::failure::Failure;
use super::link::audience::Audience;
use super::link::{Kind, Link, OnDisconnect, Outgoing};
use super::mailbox::Parcel;
use super::meta::Greeting;
use super::nursery::Nursery;
use super::tend::Tended;

/// A child of all clients of one era.
#[derive(Debug)]
pub(super) struct Shared {
    slot: watch::Sender<Slot>,
    wanted: Notify,
    era: Era,
}

/// How its clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Without a handshake.
    Modern,
    /// After a handshake, which is made once, here.
    Legacy,
}

#[derive(Clone, Debug)]
enum Slot {
    /// Nobody has needed it yet, or it is being started.
    Starting,
    Up(Up),
    Down {
        failure: Failure,
        until: Instant,
    },
}

/// A running child, and what it said at the handshake.
#[derive(Clone, Debug)]
pub(super) struct Up {
    pub(super) link: Arc<Link>,
    pub(super) greeting: Option<Arc<Greeting>>,
}

impl Shared {
    pub(super) fn new(era: Era) -> Self {
        Self {
            slot: watch::Sender::new(Slot::Starting),
            wanted: Notify::new(),
            era,
        }
    }

    /// The running child, started if nobody needed it before.
    ///
    /// # Errors
    /// How it ended, while it waits to be started again.
    pub(super) async fn up(&self) -> Result<Up, Failure> {
        if let Slot::Up(up) = &*self.slot.borrow() {
            return Ok(up.clone());
        }
        self.wanted.notify_one();
        let mut slots = self.slot.subscribe();
        let slot = slots
            .wait_for(|slot| !matches!(slot, Slot::Starting))
            .await
            .map_err(|_| Failure::ShuttingDown)?;
        match &*slot {
            Slot::Up(up) => Ok(up.clone()),
            Slot::Down { failure, until } => Err(restarting(failure, *until)),
            Slot::Starting => Err(Failure::ShuttingDown),
        }
    }

    /// The running child, if there is one.
    pub(super) fn current(&self) -> Option<Arc<Link>> {
        match &*self.slot.borrow() {
            Slot::Up(up) => Some(Arc::clone(&up.link)),
            Slot::Starting | Slot::Down { .. } => None,
        }
    }

    /// Keeps the child running, from when it is first wanted until all are to stop.
    pub(super) async fn run(&self, nursery: &Nursery) {
        let stop = nursery.stop.clone();
        tokio::select! {
            () = stop.cancelled() => return self.set_down(Failure::ShuttingDown, Duration::ZERO),
            () = self.wanted.notified() => {}
        }
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let failure = self.run_once(nursery).await;
            if stop.is_cancelled() {
                return self.set_down(Failure::ShuttingDown, Duration::ZERO);
            }
            let wait = if matches!(failure, Failure::TooMany { .. }) {
                // There was no child that could have crashed.
                FIRST
            } else {
                backoff.after(began.elapsed())
            };
            self.set_down(failure, wait);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {
                    self.slot.send_replace(Slot::Starting);
                }
            }
        }
    }

    /// One life of the child.
    async fn run_once(&self, nursery: &Nursery) -> Failure {
        let audience = match self.era {
            Era::Modern => Audience::Requests,
            Era::Legacy => Audience::Sessions(parking_lot::Mutex::default()),
        };
        let tended = match nursery.start(audience).await {
            Ok(tended) => tended,
            Err(failure) => return failure,
        };
        let link = Arc::clone(&tended.link);
        match self.era {
            Era::Modern => {
                self.set_up(link, None);
                tended.run().await
            }
            Era::Legacy => self.run_greeted(tended, link).await,
        }
    }

    async fn run_greeted(&self, tended: Tended, link: Arc<Link>) -> Failure {
        let stop = tended.halt.one.clone();
        let mut running = std::pin::pin!(tended.run());
        let greeted = tokio::select! {
            failure = &mut running => return failure,
            greeted = greet(&link) => greeted,
        };
        match greeted {
            Ok(greeting) => {
                self.set_up(link, Some(Arc::new(greeting)));
                running.await
            }
            Err(failure) => {
                warn!(server.id = %link.spec.server, reason = %failure.message(&link.spec.server), "Handshake failed");
                stop.cancel();
                running.await;
                failure
            }
        }
    }

    fn set_up(&self, link: Arc<Link>, greeting: Option<Arc<Greeting>>) {
        self.slot.send_replace(Slot::Up(Up { link, greeting }));
    }

    fn set_down(&self, failure: Failure, wait: Duration) {
        let until = Instant::now() + wait;
        self.slot.send_replace(Slot::Down { failure, until });
    }
}

/// What a call is told while the child waits to be started again.
fn restarting(failure: &Failure, until: Instant) -> Failure {
    if let Failure::UpstreamEnded { how } = failure {
        Failure::UpstreamRestarting {
            how: Arc::clone(how),
            after: until.saturating_duration_since(Instant::now()),
        }
    } else {
        failure.clone()
    }
}

/// The handshake of a legacy child that many share. Capabilities are those that the gateway itself
/// has: none, since there is no one client that the server could ask.
async fn greet(link: &Arc<Link>) -> Result<Greeting, Failure> {
    let text = concat!(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{},"clientInfo":{"name":"conduit","version":""#,
        env!("CARGO_PKG_VERSION"),
        r#""}}}"#
    );
    let message = message(text)?;
    let id: Id<'_> = message
        .request_id()
        .ok_or(Failure::ClientShape("initialize has no id"))?;
    let mut ticket = link
        .call(Outgoing {
            message: &message,
            id,
            progress_token: None,
            wants_log: false,
            kind: Kind::Request,
            session: 0,
            on_disconnect: OnDisconnect::Abandon,
        })
        .await?;
    let answer = tokio::time::timeout(link.spec.call_timeout, async {
        loop {
            match ticket.mailbox.next().await {
                Parcel::Event(_) => {}
                Parcel::Answer(payload, _) => return Some(payload),
                Parcel::End => return None,
            }
        }
    })
    .await;
    let Ok(answer) = answer else {
        return Err(ticket.time_out().0);
    };
    ticket.settle();
    let text = answer.map(|answer| answer.to_vec()).unwrap_or_default();
    let greeting = std::str::from_utf8(&text).ok().and_then(Greeting::read);
    let greeting = greeting.ok_or_else(|| Failure::UpstreamEnded {
        how: "refused the initialize handshake".into(),
    })?;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    link.send(initialized, &mut []).await?;
    Ok(greeting)
}
