//! What a child wrote, brought to whom it is for.

use std::sync::Arc;

use bytes::Bytes;
use filters::json::reader::Raw;
use filters::rpc::parse::{Body, Id, Params};
use http::StatusCode;
use tracing::debug;

use super::super::desk::{Desk, Kept, Letter};
use super::super::frame::Line;
use super::super::mailbox::{Mailbox, Parcel, Rejected};
use super::super::meta;
use super::super::payload::{Edit, Payload};
use super::audience::{Audience, Member};
use super::{Call, Failure, Kind, Link, Table};

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stdio) enum Taken {
    /// A message, or nothing at all.
    Message,
    /// Not one: the child wrote something else to its standard output.
    Noise,
    /// A message that is too long.
    TooLong,
}

/// Which stream an unrelated message belongs on, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefer {
    /// The newest call's: it was probably caused by it.
    Call,
    /// The session's event stream: it is about the server, not about a call.
    Stream,
}

impl Link {
    /// Takes one line of the child's output.
    pub(in crate::stdio) fn deliver(&self, line: &Line) -> Taken {
        match line {
            Line::Whole(line) => self.deliver_whole(line),
            Line::TooLong { head, tail } => {
                self.fail_too_long(head, tail);
                Taken::TooLong
            }
        }
    }

    fn deliver_whole(&self, line: &Bytes) -> Taken {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Taken::Message;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return Taken::Noise;
        };
        let Ok(message) = meta::message(text) else {
            return Taken::Noise;
        };
        match message.body {
            Body::Response { id: Some(id), .. } => self.answer(line, text, id),
            Body::Response { id: None, .. } => {
                debug!(server.id = %self.spec.server, "Child could not read a message");
            }
            Body::Request { id, method, .. } => self.ask(line, id, &method),
            Body::Notification { method, params } => self.notify(line, text, &method, &params),
        }
        Taken::Message
    }

    /// An answer goes to its call, under the client's id.
    fn answer(&self, line: &Bytes, text: &str, id: Id<'_>) {
        let number = number(id.as_json());
        let call = number.and_then(|number| self.table.lock().end(number));
        let Some(call) = call else {
            if number.is_some_and(|number| self.table.lock().logs.settle(number)) {
                return;
            }
            debug!(server.id = %self.spec.server, "Late or unknown answer dropped");
            return;
        };
        let Some(id) = Edit::of(text, id.as_json(), &call.client_id) else {
            return;
        };
        let subscription = (call.kind == Kind::Listen)
            .then(|| meta::result_subscription(text))
            .flatten()
            .and_then(|old| Edit::of(text, old, &call.client_id));
        let payload = match subscription {
            Some(subscription) => Payload::edited(line, &mut [id, subscription]),
            None => Payload::edited(line, &mut [id]),
        };
        let status = match self.audience {
            Audience::Requests => modern_status(meta::error_code(text)),
            Audience::Session(_) | Audience::Sessions(_) => StatusCode::OK,
        };
        call.mailbox.finish(Parcel::Answer(payload, status));
    }

    /// A request of the server's goes to its session's client; shared children get an answer here.
    fn ask(&self, line: &Bytes, id: Id<'_>, method: &str) {
        let Audience::Session(desk) = &self.audience else {
            return self.answer_child(id, method);
        };
        let letter = Letter {
            payload: Payload::whole(line.clone()),
            is_request: true,
        };
        if self.post(desk, letter, Prefer::Call) == Kept::Refused {
            let refusal = Failure::TooMany {
                what: "requests waiting for the client",
                max: super::super::desk::BACKLOG_MAX,
            };
            let error = refusal.to_json(&self.spec.server, Some(id.as_json()));
            self.outbox.tell(&error, &mut []);
        }
    }

    /// Shared children have no one client to ask: `ping` is answered, everything else refused.
    fn answer_child(&self, id: Id<'_>, method: &str) {
        let answer = if method == "ping" {
            filters::rpc::write::result(id, "{}")
        } else {
            debug!(server.id = %self.spec.server, rpc.method = method, "Request of a shared child refused");
            filters::rpc::write::error(
                Some(id),
                &filters::rpc::write::Failure {
                    code: -32601,
                    message: "method not found: this server is shared by several clients",
                    data: None,
                },
            )
        };
        self.outbox.tell(&answer, &mut []);
    }

    fn notify(&self, line: &Bytes, text: &str, method: &str, params: &Params<'_>) {
        match method {
            "notifications/progress" => {
                let token = meta::progress_token(text);
                if token.is_none_or(|token| !self.event(line, text, token, Tag::Progress)) {
                    // Progress of a call that is over: clients must not see it (E25).
                    self.count_dropped(1);
                }
            }
            "notifications/cancelled" if !matches!(self.audience, Audience::Session(_)) => {
                let raw = params.request_id.map(Raw::get);
                self.end_listen(raw.and_then(number));
            }
            _ => self.notify_audience(line, text, method, params),
        }
    }

    fn notify_audience(&self, line: &Bytes, text: &str, method: &str, params: &Params<'_>) {
        let letter = || Letter {
            payload: Payload::whole(line.clone()),
            is_request: false,
        };
        match &self.audience {
            Audience::Session(desk) => {
                self.post(desk, letter(), preference(method));
            }
            Audience::Requests => {
                let tag = meta::subscription(params);
                let is_sent = match tag {
                    Some(tag) => self.event(line, text, tag, Tag::Subscription),
                    None => method == "notifications/message" && self.log_to_only(line),
                };
                if !is_sent {
                    self.count_dropped(1);
                }
            }
            Audience::Sessions(_) if method == "notifications/message" => {
                if !self.log_to_only(line) {
                    self.count_dropped(1);
                }
            }
            Audience::Sessions(members) => {
                let uri = (method == "notifications/resources/updated")
                    .then(|| meta::uri(params))
                    .flatten();
                let members = members.lock();
                let hears =
                    |member: &&Member| uri.as_deref().is_none_or(|uri| member.is_subscribed(uri));
                for member in members.values().filter(hears) {
                    if let Err(letter) = member.desk.send(letter()) {
                        self.count(member.desk.keep(letter));
                    }
                }
            }
        }
    }

    /// Puts a message on the stream of the call that `ours` names, under the client's own token or
    /// id. `false` where there is no such call.
    fn event(&self, line: &Bytes, text: &str, ours: &str, tag: Tag) -> bool {
        let Some(number) = number(ours) else {
            return false;
        };
        let found = {
            let table = self.table.lock();
            table.calls.get(&number).and_then(|call| {
                let theirs = match tag {
                    Tag::Progress => call.client_token.clone()?,
                    Tag::Subscription => call.client_id.clone(),
                };
                Some((Arc::clone(&call.mailbox), theirs))
            })
        };
        let Some((mailbox, theirs)) = found else {
            return false;
        };
        let Some(edit) = Edit::of(text, ours, &theirs) else {
            return false;
        };
        self.put(number, &mailbox, Payload::edited(line, &mut [edit]))
    }

    /// Queues an event for a call; one whose client does not keep up is ended.
    fn put(&self, number: u64, mailbox: &Mailbox, payload: Payload) -> bool {
        match mailbox.event(payload) {
            Ok(()) => true,
            Err(Rejected::Gone) => false,
            Err(Rejected::Full) => {
                let given_up = self.table.lock().give_up(number);
                if let Some((call, barrier)) = given_up {
                    call.fail(&self.spec.server, &Failure::ClientTooSlow);
                    self.tell_given_up(number, barrier, "the client reads too slowly");
                }
                false
            }
        }
    }

    /// A log message names no call. It is passed on only if it can belong to but one: another
    /// client's log is nobody's business. Of modern calls only those count that want log messages.
    fn log_to_only(&self, line: &Bytes) -> bool {
        let only = {
            let table = self.table.lock();
            let number = match self.audience {
                Audience::Requests => table.logs.only(),
                Audience::Session(_) | Audience::Sessions(_) => table.only_request(),
            };
            number.and_then(|number| {
                let call = table.calls.get(&number)?;
                Some((number, Arc::clone(&call.mailbox)))
            })
        };
        only.is_some_and(|(number, mailbox)| {
            self.put(number, &mailbox, Payload::whole(line.clone()))
        })
    }

    /// The server ends a subscription (its only use of `notifications/cancelled`, B6).
    fn end_listen(&self, number: Option<u64>) {
        let Some(number) = number else { return };
        let ended = {
            let mut table = self.table.lock();
            let is_listen = |call: &Call| call.kind == Kind::Listen;
            if table.calls.get(&number).is_some_and(is_listen) {
                table.end(number)
            } else {
                None
            }
        };
        if let Some(call) = ended {
            call.mailbox.finish(Parcel::End);
        }
    }

    /// Puts an unrelated message on exactly one of the session's streams, or keeps it.
    fn post(&self, desk: &Desk, letter: Letter, prefer: Prefer) -> Kept {
        let to_newest = |letter: Letter| match self.newest_call() {
            Some((number, mailbox)) if self.put(number, &mailbox, letter.payload.clone()) => Ok(()),
            Some(_) | None => Err(letter),
        };
        let sent = match prefer {
            Prefer::Call => to_newest(letter).or_else(|letter| desk.send(letter)),
            Prefer::Stream => desk.send(letter).or_else(to_newest),
        };
        match sent {
            Ok(()) => Kept::Waiting,
            Err(letter) => self.count(desk.keep(letter)),
        }
    }

    fn newest_call(&self) -> Option<(u64, Arc<Mailbox>)> {
        let table = self.table.lock();
        let open = table
            .calls
            .iter()
            .filter(|(_, call)| call.mailbox.is_open());
        let newest = open.max_by_key(|(number, _)| **number);
        newest.map(|(number, call)| (*number, Arc::clone(&call.mailbox)))
    }

    fn count(&self, kept: Kept) -> Kept {
        match kept {
            Kept::Waiting => {}
            Kept::Displacing(n_messages) => self.count_dropped(n_messages),
            Kept::Refused => self.count_dropped(1),
        }
        kept
    }

    /// Fails the call that a too long answer is for, if either of its ends tells.
    fn fail_too_long(&self, head: &[u8], tail: &[u8]) {
        let number = id_in_head(head).or_else(|| id_in_tail(tail));
        let call = number.and_then(|number| self.table.lock().end(number));
        if let Some(call) = call {
            let max = self.spec.line_bytes_max;
            call.fail(&self.spec.server, &Failure::UpstreamAnswerTooLarge { max });
        }
    }
}

impl Table {
    /// The only call in flight that ends by itself.
    fn only_request(&self) -> Option<u64> {
        let calls = self.calls.iter();
        let mut requests = calls.filter(|(_, call)| call.kind == Kind::Request);
        match (requests.next(), requests.next()) {
            (Some((number, _)), None) => Some(*number),
            _ => None,
        }
    }
}

/// Which of a call's own values an event carries.
#[derive(Clone, Copy, Debug)]
enum Tag {
    Progress,
    Subscription,
}

/// An id or token of ours.
fn number(json: &str) -> Option<u64> {
    json.parse().ok()
}

fn preference(method: &str) -> Prefer {
    match method {
        "notifications/resources/updated"
        | "notifications/resources/list_changed"
        | "notifications/tools/list_changed"
        | "notifications/prompts/list_changed"
        | "notifications/tasks/status"
        | "notifications/elicitation/complete" => Prefer::Stream,
        _ => Prefer::Call,
    }
}

/// The status of a modern JSON answer (protocol.md B3).
fn modern_status(error_code: Option<i64>) -> StatusCode {
    match error_code {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32700 | -32600 | -32022..=-32020) => StatusCode::BAD_REQUEST,
        Some(_) | None => StatusCode::OK,
    }
}

/// The id of a message that begins with `{"jsonrpc":"2.0","id":7,` in any order of short members.
fn id_in_head(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).unwrap_or_else(|error| {
        let (valid, _) = head.split_at(error.valid_up_to());
        std::str::from_utf8(valid).unwrap_or_default()
    });
    let mut members = head.trim_start().strip_prefix('{')?;
    for _ in 0..2 {
        let (name, rest) = members.split_once(':')?;
        let (value, rest) = rest.split_once(',')?;
        match name.trim() {
            "\"id\"" => return number(value.trim()),
            "\"jsonrpc\"" => members = rest,
            _ => return None,
        }
    }
    None
}

/// The id of a message that ends with `,"id":7}` or `,"jsonrpc":"2.0","id":7}`.
fn id_in_tail(tail: &[u8]) -> Option<u64> {
    let end = tail.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let from = end
        .iter()
        .rposition(|byte| matches!(byte, b'{' | b'}' | b','))?;
    let member = std::str::from_utf8(end.get(from + 1..)?).ok()?;
    let (name, value) = member.split_once(':')?;
    // After `{` it would be a member of something inside.
    (end.get(from) == Some(&b',') && name.trim() == "\"id\"")
        .then(|| number(value.trim()))
        .flatten()
}

#[cfg(test)]
mod tests;
