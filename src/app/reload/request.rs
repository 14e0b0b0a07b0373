//! How a reload is asked for, from a signal or the control plane, and how what is found out about
//! servers comes here.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::state::reload::{Reload, Report};
use crate::upstream::found::Found;

/// Reloads that wait at once: a further one waits for a place, or is one too many for a signal.
const WAITING_MAX: usize = 8;
/// Findings that wait at once. One that is lost is found again.
const FOUND_MAX: usize = 64;

/// Asks for reloads.
#[derive(Clone)]
pub(in crate::app) struct Bell(mpsc::Sender<Request>);

/// What was asked for, and what was found.
pub(in crate::app) struct Requests {
    reloads: mpsc::Receiver<Request>,
    found: mpsc::Receiver<Found>,
}

/// What is to be done next.
pub(super) enum Next {
    /// To reload.
    Reload(Request),
    /// To switch a server.
    Switch(Found),
}

/// A reload that was asked for.
pub(in crate::app) struct Request(oneshot::Sender<Report>);

/// All ends.
pub(in crate::app) fn channel() -> (Bell, mpsc::Sender<Found>, Requests) {
    let (sender, reloads) = mpsc::channel(WAITING_MAX);
    let (finder, found) = mpsc::channel(FOUND_MAX);
    (Bell(sender), finder, Requests { reloads, found })
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
    pub(super) async fn next(&mut self) -> Option<Next> {
        tokio::select! {
            request = self.reloads.recv() => request.map(Next::Reload),
            found = self.found.recv() => found.map(Next::Switch),
        }
    }
}

impl Request {
    /// Tells who asked, if they still wait.
    pub(super) fn answer(self, report: Report) {
        self.0.send(report).ok();
    }
}
