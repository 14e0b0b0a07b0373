//! The right to a call's answer.

use std::sync::Arc;

use super::logs::Seat;
use super::{Failure, Link, OnDisconnect};
use crate::stdio::mailbox::Mailbox;
use crate::stdio::payload::Payload;

/// The right to a call's answer. Dropped before the answer came, the client has gone.
#[derive(Debug)]
pub(in crate::stdio) struct Ticket {
    link: Arc<Link>,
    number: u64,
    pub(in crate::stdio) mailbox: Arc<Mailbox>,
    on_disconnect: OnDisconnect,
    is_settled: bool,
    seat: Option<Seat>,
}

impl Ticket {
    pub(super) fn new(
        link: Arc<Link>,
        number: u64,
        mailbox: Arc<Mailbox>,
        on_disconnect: OnDisconnect,
    ) -> Self {
        Self {
            link,
            number,
            mailbox,
            on_disconnect,
            is_settled: false,
            seat: None,
        }
    }

    /// Keeps the call's seat for as long as the call lasts.
    pub(in crate::stdio) fn hold(&mut self, seat: Option<Seat>) {
        self.seat = seat;
    }

    /// The call was not sent after all.
    pub(super) fn give_back(mut self) {
        self.is_settled = true;
        self.link.table.lock().end(self.number);
    }

    /// The answer has come.
    pub(in crate::stdio) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// The call took too long: it is cancelled whatever the era (E60). Returns what its client is
    /// told.
    pub(in crate::stdio) fn time_out(&mut self) -> (Failure, Payload) {
        self.is_settled = true;
        self.mailbox.close();
        let spec = &self.link.spec;
        let failure = Failure::UpstreamTimeout {
            after: spec.call_timeout,
        };
        let call = self.link.withdraw(self.number, "timeout");
        let id = call.map(|call| call.client_id);
        let error = failure.to_json(&spec.server, id.as_deref());
        (failure, Payload::whole(error.into()))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        self.mailbox.close();
        if self.on_disconnect == OnDisconnect::Cancel {
            drop(self.link.withdraw(self.number, "the client went away"));
        }
    }
}
