//! Whose log messages those of a modern child are: they name no call.
//!
//! A call that was given up may have logged until its child read so. What the child answers to a
//! request that was sent after that, it wrote after that, too: until then nobody gets its messages.
//!
//! **Invariant:** a message is passed on only while exactly one call can have caused it: a modern
//! server logs for none that did not ask for it.

use std::sync::Arc;

use super::{Call, Link, Table};

/// The calls of one child that want log messages.
#[derive(Debug, Default)]
pub(super) struct Logs {
    wanting: Vec<u64>,
    has_seat: bool,
    /// The request whose answer shows that the last of them to be given up is over.
    barrier: Option<u64>,
}

/// The right of one call to be the only one of a child that wants log messages.
#[derive(Debug)]
pub(in crate::stdio) struct Seat {
    pub(in crate::stdio) link: Arc<Link>,
}

impl Logs {
    pub(super) fn enter(&mut self, number: u64) {
        self.wanting.push(number);
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.wanting.retain(|wanting| *wanting != number);
    }

    /// The call that a message is for.
    pub(super) fn only(&self) -> Option<u64> {
        match (self.wanting.as_slice(), self.barrier) {
            ([number], None) => Some(*number),
            _ => None,
        }
    }

    /// Whether `number` is the barrier, which it ends.
    pub(super) fn settle(&mut self, number: u64) -> bool {
        let is_barrier = self.barrier == Some(number);
        if is_barrier {
            self.barrier = None;
        }
        is_barrier
    }
}

impl Link {
    /// Tells the child that a call was given up, and sends the barrier of one that may have logged.
    pub(super) fn tell_given_up(&self, number: u64, barrier: Option<u64>, reason: &str) {
        self.tell_cancelled(number, reason);
        let Some(barrier) = barrier else { return };
        let request = format!(
            concat!(
                r#"{{"jsonrpc":"2.0","id":{},"method":"server/discover","params":{{"_meta":{{"#,
                r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
                r#""io.modelcontextprotocol/clientInfo":{{"name":"conduit","version":"{}"}},"#,
                r#""io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
            ),
            barrier,
            env!("CARGO_PKG_VERSION"),
        );
        self.outbox.tell(&request, &mut []);
    }
}

impl Table {
    /// A number that no other call of the child has.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Takes out a call that the child goes on with. The second is the number of the barrier, where
    /// one is needed.
    pub(super) fn give_up(&mut self, number: u64) -> Option<(Call, Option<u64>)> {
        let call = self.end(number)?;
        if !call.wants_log {
            return Some((call, None));
        }
        let barrier = self.number();
        self.logs.barrier = Some(barrier);
        Some((call, Some(barrier)))
    }
}

impl Seat {
    /// The seat of `link`, if that is open and nobody else there wants log messages.
    pub(in crate::stdio) fn take(link: &Arc<Link>) -> Option<Self> {
        let mut table = link.table.lock();
        let logs = &table.logs;
        if table.closed.is_some() || logs.has_seat || !logs.wanting.is_empty() {
            return None;
        }
        table.logs.has_seat = true;
        Some(Self {
            link: Arc::clone(link),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.link.table.lock().logs.has_seat = false;
    }
}
