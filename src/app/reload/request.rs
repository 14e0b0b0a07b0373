//! How a reload is asked for, from a signal or the control plane.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::state::reload::{Reload, Report};

/// Reloads that wait at once: a further one waits for a place, or is one too many for a signal.
const WAITING_MAX: usize = 8;

/// Asks for reloads.
#[derive(Clone)]
pub(in crate::app) struct Bell(mpsc::Sender<Request>);

/// The reloads that were asked for.
pub(in crate::app) struct Requests(mpsc::Receiver<Request>);

/// One of them.
pub(in crate::app) struct Request(oneshot::Sender<Report>);

/// Both ends.
pub(in crate::app) fn channel() -> (Bell, Requests) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Bell(sender), Requests(receiver))
}

impl Bell {
    /// Asks for one, and for no answer.
    pub(in crate::app) fn ring(&self) {
        let (sender, _) = oneshot::channel();
        if self.0.try_send(Request(sender)).is_err() {
            // One of those that wait reads what is there now.
            tracing::debug!("Enough reloads wait already");
        }
    }

    /// What the control plane asks with.
    pub(in crate::app) fn reload(&self) -> Reload {
        let bell = self.clone();
        Arc::new(move || Box::pin(bell.clone().ask()))
    }

    async fn ask(self) -> Report {
        let (sender, receiver) = oneshot::channel();
        let ending = || Report::refused(vec!["the gateway is ending".to_owned()]);
        if self.0.send(Request(sender)).await.is_err() {
            return ending();
        }
        receiver.await.unwrap_or_else(|_| ending())
    }
}

impl Requests {
    /// The next one; nothing where nobody can ask any more.
    pub(super) async fn next(&mut self) -> Option<Request> {
        self.0.recv().await
    }
}

impl Request {
    /// Tells who asked, if they still wait.
    pub(super) fn answer(self, report: Report) {
        self.0.send(report).ok();
    }
}
