//! Whether Redis is used, and what it still has to be told before it is.
//!
//! The first question that fails opens the circuit: nobody asks any more, and whoever waits for an
//! answer stops waiting. The keeper closes it again.
//!
//! **Invariant:** the circuit is not closed while an invalidation is owed.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use filters::cache::invalidate::Reach;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::cache::redis::Error;
use crate::cache::redis::connection::Connection;
use crate::kv;

/// The most invalidations that are remembered for one server; with one more, all of it is invalid.
pub(super) const OWED_MAX: usize = 64;

/// The way to Redis.
#[derive(Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    owed: HashMap<Arc<str>, Vec<Reach>>,
    /// Since when Redis was not used, once that was said.
    down: Option<Instant>,
    has_ended: bool,
}

/// An invalidation that Redis was not told yet. It is owed when this is dropped, for whatever reason.
pub(super) struct Debt<'d> {
    circuit: &'d Circuit,
    server: &'d Arc<str>,
    reach: &'d Reach,
    /// Why it was not told; nothing once it was.
    error: Option<Error>,
}

// === impl Circuit ===

impl Circuit {
    /// The connection, while the circuit is closed.
    ///
    /// # Errors
    /// If it is open.
    pub(super) fn connection(&self) -> Result<Arc<Connection>, Error> {
        let state = self.0.lock();
        state
            .connection
            .as_ref()
            .map(Arc::clone)
            .ok_or(Error::Kv(kv::Error::Unused))
    }

    /// Whether Redis is used.
    pub(super) fn is_closed(&self) -> bool {
        self.0.lock().connection.is_some()
    }

    /// Opens it, unless that connection was given up before.
    pub(super) fn open(&self, lost: &Arc<Connection>, error: &Error) {
        let mut state = self.0.lock();
        let current = state.connection.as_ref();
        if current.is_some_and(|current| Arc::ptr_eq(current, lost)) {
            state.open();
            state.report(error);
        }
    }

    /// Says that Redis cannot be used, once.
    pub(super) fn report(&self, error: &Error) {
        self.0.lock().report(error);
    }

    /// Remembers an invalidation that Redis was not told, and keeps it from being used until it is.
    fn owe(&self, server: &Arc<str>, reach: &Reach, error: &Error) {
        let mut state = self.0.lock();
        state.owe(server, reach);
        if state.connection.is_some() {
            state.open();
            state.report(error);
        }
    }

    /// Remembers invalidations again that were taken and not told.
    pub(super) fn owe_again<'o>(&self, owed: impl IntoIterator<Item = &'o (Arc<str>, Reach)>) {
        let mut state = self.0.lock();
        for (server, reach) in owed {
            state.owe(server, reach);
        }
    }

    /// Closes it, if nothing is owed; else gives what is, to be told first.
    pub(super) fn close(&self, connection: &Arc<Connection>) -> Vec<(Arc<str>, Reach)> {
        let mut state = self.0.lock();
        let owed = mem::take(&mut state.owed);
        if owed.is_empty() && !state.has_ended {
            state.connection = Some(Arc::clone(connection));
            if let Some(since) = state.down.take() {
                let down_ms = since.elapsed().as_millis();
                info!(down_ms, "Redis is used as the second tier again");
            }
        }
        let each = owed.into_iter();
        each.flat_map(|(server, reaches)| {
            let reaches = reaches.into_iter();
            reaches.map(move |reach| (Arc::clone(&server), reach))
        })
        .collect()
    }

    /// Opens it for good.
    pub(super) fn end(&self) {
        let mut state = self.0.lock();
        state.has_ended = true;
        state.open();
    }
}

// === impl Debt ===

impl<'d> Debt<'d> {
    pub(super) fn new(circuit: &'d Circuit, server: &'d Arc<str>, reach: &'d Reach) -> Self {
        Self {
            circuit,
            server,
            reach,
            error: Some(Error::Abandoned),
        }
    }

    /// Redis was told.
    pub(super) fn pay(&mut self) {
        self.error = None;
    }

    /// Redis could not be told.
    pub(super) fn fail(&mut self, error: Error) {
        self.error = Some(error);
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if let Some(error) = &self.error {
            self.circuit.owe(self.server, self.reach, error);
        }
    }
}

// === impl State ===

impl State {
    fn open(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.give_up();
        }
    }

    fn owe(&mut self, server: &Arc<str>, reach: &Reach) {
        let owed = self.owed.entry(Arc::clone(server)).or_default();
        if owed.contains(reach) || owed.contains(&Reach::Server) {
            return;
        }
        if owed.len() < OWED_MAX {
            owed.push(reach.clone());
        } else {
            *owed = vec![Reach::Server];
        }
    }

    fn report(&mut self, error: &Error) {
        if self.down.is_none() {
            self.down = Some(Instant::now());
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(%error, cause, "Redis cannot be used as the second tier: memory goes on alone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(circuit: &Circuit, server: &str) -> Vec<Reach> {
        let owed = &circuit.0.lock().owed;
        owed.get(server).cloned().unwrap_or_default()
    }

    #[test]
    fn invalidations_are_remembered_up_to_the_bound_and_then_all_of_the_server() {
        let circuit = Circuit::default();
        let (server, other) = (Arc::from("server"), Arc::from("other"));
        let owe = |server, tool: String| drop(Debt::new(&circuit, server, &Reach::Tool(tool)));
        owe(&other, "t".to_owned());
        for n in 0..OWED_MAX {
            owe(&server, n.to_string());
        }
        owe(&server, "0".to_owned());
        assert_eq!(owed(&circuit, "server").len(), OWED_MAX);
        for n in [OWED_MAX, 0] {
            owe(&server, n.to_string());
            assert_eq!(owed(&circuit, "server"), [Reach::Server]);
        }
        assert_eq!(owed(&circuit, "other").len(), 1);
    }

    #[test]
    fn what_redis_was_told_is_not_owed() {
        let circuit = Circuit::default();
        let server = Arc::from("server");
        let mut debt = Debt::new(&circuit, &server, &Reach::Server);
        debt.pay();
        drop(debt);
        assert_eq!(owed(&circuit, "server"), []);
    }
}
