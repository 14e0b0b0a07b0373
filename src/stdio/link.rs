//! One running child as the bridge sees it: calls go in, each answer comes out at the call's own
//! mailbox.
//!
//! **Invariant:** the child sees only ids and progress tokens that are made here, unique among its
//! calls; what comes back is delivered by them, under the client's own id and token.

pub(super) mod audience;
pub(super) mod deliver;
pub(super) mod logs;
pub(super) mod ticket;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use filters::rpc::parse::{Id, Message};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Spec;
use super::failure::Failure;
use super::mailbox::{Mailbox, Parcel};
use super::outbox::{self, Outbox};
use super::payload::{Edit, Payload};
use audience::Audience;
use logs::Logs;
use ticket::Ticket;

/// Most calls that one child may have at a time.
const PENDING_MAX: usize = 4096;

/// Most bytes that wait for one client, besides a single longer message.
pub(super) const STREAM_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is counted for [`super::Status`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) started: AtomicU64,
    pub(super) crashed: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) last_error: Mutex<Option<String>>,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) spec: Arc<Spec>,
    pub(super) outbox: Outbox,
    pub(super) audience: Audience,
    pub(super) counters: Arc<Counters>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    calls: HashMap<u64, Call>,
    next: u64,
    logs: Logs,
    /// Why no more calls are taken.
    closed: Option<Failure>,
}

/// A call that the child has not answered.
#[derive(Debug)]
struct Call {
    client_id: Box<str>,
    client_token: Option<Box<str>>,
    mailbox: Arc<Mailbox>,
    session: u64,
    kind: Kind,
    wants_log: bool,
    since: Instant,
}

/// What a call's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is answered.
    Request,
    /// A subscription, which may end without an answer.
    Listen,
}

/// What becomes of a call whose client goes away (E22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDisconnect {
    /// Modern: it is cancelled.
    Cancel,
    /// Legacy: it goes on, and its answer is dropped.
    Abandon,
}

/// A request on its way to the child.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) id: Id<'a>,
    pub(super) progress_token: Option<&'a str>,
    pub(super) wants_log: bool,
    pub(super) kind: Kind,
    pub(super) session: u64,
    pub(super) on_disconnect: OnDisconnect,
}

impl Link {
    pub(super) fn new(spec: Arc<Spec>, audience: Audience, counters: Arc<Counters>) -> Self {
        Self {
            outbox: Outbox::new(spec.line_bytes_max),
            spec,
            audience,
            counters,
            table: Mutex::default(),
        }
    }

    /// Sends a request. Its answer comes to the ticket's mailbox.
    ///
    /// # Errors
    /// The link is closed, has too many calls, or the child does not read in time.
    pub(super) async fn call(self: &Arc<Self>, request: Outgoing<'_>) -> Result<Ticket, Failure> {
        let mailbox = Arc::new(Mailbox::new(STREAM_BYTES_MAX));
        let number = self.enter(&request, &mailbox)?;
        let ticket = Ticket::new(Arc::clone(self), number, mailbox, request.on_disconnect);
        let mut digits = itoa::Buffer::new();
        let number = digits.format(number);
        let text = request.message.text;
        let id = Edit::of(text, request.id.as_json(), number);
        let token = request
            .progress_token
            .and_then(|token| Edit::of(text, token, number));
        let sent = match (id, token) {
            (Some(id), Some(token)) => self.send(text, &mut [id, token]).await,
            (Some(id), None) => self.send(text, &mut [id]).await,
            (None, _) => Err(Failure::ClientShape("`id` is not part of the message")),
        };
        match sent {
            Ok(()) => Ok(ticket),
            Err(failure) => {
                ticket.give_back();
                Err(failure)
            }
        }
    }

    /// Sends a message that has no answer, or is one.
    ///
    /// # Errors
    /// The link is closed, or the child does not read in time.
    pub(super) async fn send(&self, text: &str, edits: &mut [Edit<'_>]) -> Result<(), Failure> {
        let sent = match self.outbox.offer(text, edits) {
            Err(outbox::Rejected::Full) => {
                let wait = self.outbox.send(text, edits);
                tokio::time::timeout(self.spec.call_timeout, wait)
                    .await
                    .unwrap_or(Err(outbox::Rejected::Full))
            }
            done => done,
        };
        sent.map_err(|rejected| match rejected {
            outbox::Rejected::Full => Failure::UpstreamNotReading,
            outbox::Rejected::Closed => self.failure(),
        })
    }

    fn enter(&self, request: &Outgoing<'_>, mailbox: &Arc<Mailbox>) -> Result<u64, Failure> {
        let call = Call {
            client_id: request.id.as_json().into(),
            client_token: request.progress_token.map(Into::into),
            mailbox: Arc::clone(mailbox),
            session: request.session,
            kind: request.kind,
            wants_log: request.wants_log,
            since: Instant::now(),
        };
        let mut table = self.table.lock();
        if let Some(failure) = &table.closed {
            return Err(failure.clone());
        }
        if table.calls.len() >= PENDING_MAX {
            return Err(Failure::TooMany {
                what: "calls in flight",
                max: PENDING_MAX,
            });
        }
        let number = table.number();
        if call.wants_log {
            table.logs.enter(number);
        }
        table.calls.insert(number, call);
        Ok(number)
    }

    /// Why the link is closed.
    fn failure(&self) -> Failure {
        let closed = self.table.lock().closed.clone();
        closed.unwrap_or_else(|| Failure::UpstreamEnded {
            how: "closed its input".into(),
        })
    }

    /// Whether calls are taken.
    pub(super) fn is_open(&self) -> bool {
        self.table.lock().closed.is_none()
    }

    /// Calls in flight.
    pub(super) fn pending(&self) -> usize {
        self.table.lock().calls.len()
    }

    /// Calls in flight that somebody waits for and that end by themselves.
    pub(super) fn awaited(&self) -> usize {
        let table = self.table.lock();
        let awaited = |call: &&Call| call.kind == Kind::Request && call.mailbox.is_open();
        table.calls.values().filter(awaited).count()
    }

    /// Takes no more calls, and fails those in flight at once.
    pub(super) fn close(&self, failure: &Failure) {
        let calls = {
            let mut table = self.table.lock();
            if table.closed.is_some() {
                return;
            }
            table.closed = Some(failure.clone());
            std::mem::take(&mut table.calls)
        };
        self.outbox.close();
        for call in calls.into_values() {
            call.fail(&self.spec.server, failure);
        }
        match &self.audience {
            Audience::Requests => {}
            Audience::Session(desk) => desk.close(),
            Audience::Sessions(members) => {
                for member in members.lock().values() {
                    member.desk.close();
                }
            }
        }
    }

    /// Ends every subscription as the server itself would (B6): with a result.
    pub(super) fn end_subscriptions(&self) {
        let ended: Vec<Call> = {
            let mut table = self.table.lock();
            table
                .calls
                .extract_if(|_, call| call.kind == Kind::Listen)
                .map(|(_, call)| call)
                .collect()
        };
        for call in ended {
            let id = &call.client_id;
            let result = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
            );
            let payload = Payload::whole(result.into());
            call.mailbox
                .finish(Parcel::Answer(payload, http::StatusCode::OK));
        }
    }

    /// The client of `session` cancels, with `text`, its request `client_id`, which is a slice of
    /// it; one that is unknown is ignored.
    pub(super) fn cancel(&self, session: u64, client_id: &str, text: &str) {
        let number = {
            let table = self.table.lock();
            let matching = |call: &&Call| call.session == session && *call.client_id == *client_id;
            let found = table.calls.iter().filter(|(_, call)| matching(call));
            found.map(|(number, _)| *number).max()
        };
        let Some(number) = number else { return };
        let mut digits = itoa::Buffer::new();
        if let Some(edit) = Edit::of(text, client_id, digits.format(number)) {
            self.outbox.tell(text, &mut [edit]);
        }
    }

    /// Gives a call up: nobody waits for it any more, and the child is told.
    fn withdraw(&self, number: u64, reason: &str) -> Option<Call> {
        let (call, barrier) = self.table.lock().give_up(number)?;
        self.tell_given_up(number, barrier, reason);
        Some(call)
    }

    fn tell_cancelled(&self, number: u64, reason: &str) {
        let notification = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"{reason}"}}}}"#
        );
        self.outbox.tell(&notification, &mut []);
    }

    /// Gives up calls whose client went away longer ago than `age`, so that a server that never
    /// answers them cannot fill the table.
    pub(super) fn forget_abandoned(&self, age: Duration) {
        let forgotten: Vec<u64> = {
            let mut table = self.table.lock();
            let is_old = |call: &Call| !call.mailbox.is_open() && call.since.elapsed() > age;
            let old = table.calls.extract_if(|_, call| is_old(call));
            old.map(|(number, _)| number).collect()
        };
        for number in forgotten {
            self.tell_cancelled(number, "the client went away");
        }
    }

    /// Whether `session` waits for an answer.
    pub(super) fn is_awaited_by(&self, session: u64) -> bool {
        let table = self.table.lock();
        let mut calls = table.calls.values();
        calls.any(|call| call.session == session && call.mailbox.is_open())
    }

    /// Ends what a session has in flight on a child that goes on without it.
    pub(super) fn end_session(&self, session: u64) {
        let ended: Vec<(u64, Call)> = {
            let mut table = self.table.lock();
            let calls = table.calls.extract_if(|_, call| call.session == session);
            calls.collect()
        };
        for (number, call) in ended {
            call.fail(&self.spec.server, &Failure::SessionEnded);
            self.tell_cancelled(number, "the session has ended");
        }
        if let Audience::Sessions(members) = &self.audience {
            members.lock().remove(&session);
        }
    }

    fn count_dropped(&self, n_messages: u64) {
        self.counters
            .dropped
            .fetch_add(n_messages, Ordering::Relaxed);
    }
}

impl Table {
    /// Takes out a call.
    fn end(&mut self, number: u64) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        if call.wants_log {
            self.logs.leave(number);
        }
        Some(call)
    }
}

impl Call {
    fn fail(self, server: &str, failure: &Failure) {
        if self.kind == Kind::Listen {
            // A subscription that breaks off has no answer; the client opens another (B6).
            self.mailbox.finish(Parcel::End);
            return;
        }
        let error = failure.to_json(server, Some(&self.client_id));
        let payload = Payload::whole(error.into());
        self.mailbox
            .finish(Parcel::Answer(payload, failure.status()));
    }
}
