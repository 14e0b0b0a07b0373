//! Relays an event stream: each read is passed on at once, an idle stream is kept alive, and a
//! stream that breaks before its answer ends with one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use filters::refusal::{Phase, Refusal};
use filters::rpc::parse::Id;
use filters::sse::observe::{Answer, Observer};
use filters::sse::write;
use pingora::proxy::Session;
use pingora_timeout::sleep;

use crate::gateway::Ended;
use crate::gateway::exchange::Exchange;
use crate::gateway::relay::{Aftercare, Kind, NOTHING, broken, client_gone};
use crate::telemetry::outcome::Status;
use crate::upstream::error::Error;
use crate::upstream::relay::Body;

/// How long a stream may go without being looked at.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Relays a stream to its end.
pub(super) async fn relay(
    session: &mut Session,
    exchange: &mut Exchange,
    mut body: Body,
    care: Aftercare,
) -> Result<(), Ended> {
    let mut relay = Relay::new(exchange, &care);
    loop {
        let event = tokio::select! {
            biased;
            next = body.next() => Event::Upstream(next),
            () = client_gone(session.as_downstream_mut()) => Event::ClientGone,
            () = exchange.live.draining.cancelled(), if care.kind == Kind::Listen => Event::Draining,
            () = sleep(relay.pause()) => Event::Tick,
        };
        let step = match event {
            Event::Upstream(Ok(Some(bytes))) => relay.pass(bytes, body.is_done()),
            Event::Upstream(Ok(None)) => relay.end(exchange, &care, &Error::ClosedEarly),
            Event::Upstream(Err(error)) => relay.end(exchange, &care, &error),
            Event::Draining => Step::Finish(NOTHING),
            Event::Tick => relay.tick(exchange, &care),
            Event::ClientGone => {
                care.abandon_body(body);
                return Err(Ended::ClientGone);
            }
        };
        let (bytes, is_over) = match step {
            Step::Write(bytes) => (bytes, false),
            Step::Finish(bytes) => (bytes, true),
            Step::Wait => continue,
            Step::Break(error) => return Err(broken(exchange, &error)),
        };
        if session
            .as_downstream_mut()
            .write_response_body(bytes, is_over)
            .await
            .is_err()
        {
            care.abandon_body(body);
            return Err(Ended::ClientGone);
        }
        if is_over {
            relay.conclude(exchange);
            return Ok(());
        }
        if body.is_done() {
            // Its last bytes came together with its end.
            let step = relay.end(exchange, &care, &Error::ClosedEarly);
            return relay.finish(session, exchange, step).await;
        }
    }
}

enum Event {
    Upstream(Result<Option<Bytes>, Error>),
    ClientGone,
    Draining,
    Tick,
}

/// What to do next.
enum Step {
    Write(Bytes),
    Finish(Bytes),
    Wait,
    Break(Error),
}

/// The state of one stream.
struct Relay {
    observer: Observer,
    keep_alive: Option<Duration>,
    last_write: Instant,
    last_read: Instant,
    idle_limit: Option<Duration>,
    deadline: Option<Instant>,
}

impl Relay {
    fn new(exchange: &Exchange, care: &Aftercare) -> Self {
        let now = Instant::now();
        // A stream that a client opened to listen lives for as long as both sides want it to.
        let is_bounded = care.kind != Kind::Listen;
        Self {
            observer: Observer::default(),
            keep_alive: exchange.snapshot.keep_alive,
            last_write: now,
            last_read: now,
            idle_limit: is_bounded.then_some(care.limits.idle),
            deadline: is_bounded.then_some(care.deadline),
        }
    }

    /// Until when there is nothing to do.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let mut due = self
            .keep_alive
            .map_or(now + PAUSE_MAX, |every| self.last_write + every);
        if let Some(limit) = self.idle_limit {
            due = due.min(self.last_read + limit);
        }
        if let Some(deadline) = self.deadline {
            due = due.min(deadline);
        }
        // The timer is coarse: a little late is better than a spin.
        due.saturating_duration_since(now) + Duration::from_millis(1)
    }

    fn pass(&mut self, bytes: Bytes, is_done: bool) -> Step {
        self.observer.observe(&bytes);
        self.last_read = Instant::now();
        self.last_write = self.last_read;
        if is_done && self.observer.answer().is_some() {
            Step::Finish(bytes)
        } else {
            Step::Write(bytes)
        }
    }

    fn tick(&mut self, exchange: &mut Exchange, care: &Aftercare) -> Step {
        let now = Instant::now();
        let phase = if self.deadline.is_some_and(|deadline| now >= deadline) {
            Some(Phase::Total)
        } else if self
            .idle_limit
            .is_some_and(|limit| now >= self.last_read + limit)
        {
            Some(Phase::Idle)
        } else {
            None
        };
        if let Some(phase) = phase {
            care.cancel();
            return self.end(exchange, care, &Error::Timeout(phase));
        }
        if self
            .keep_alive
            .is_none_or(|every| now < self.last_write + every)
        {
            return Step::Wait;
        }
        self.last_write = now;
        if self.observer.is_between_events() {
            Step::Write(Bytes::from_static(write::KEEP_ALIVE))
        } else {
            Step::Wait
        }
    }

    /// The upstream is done, for whatever reason.
    fn end(&mut self, exchange: &mut Exchange, care: &Aftercare, error: &Error) -> Step {
        // What may be a whole event that only lacks its blank line is one (an answer, perhaps).
        let closing: &[u8] = if self.observer.is_between_events() {
            b""
        } else {
            b"\n\n"
        };
        let mut completed = self.observer.clone();
        completed.observe(closing);
        let is_clean = matches!(error, Error::ClosedEarly);
        let is_owed = care.id.is_some() && completed.answer().is_none();
        if !is_owed {
            self.observer = completed;
            return Step::Finish(Bytes::copy_from_slice(closing));
        }
        // A stream with event ids can be resumed: its answer may still come, on another stream.
        if self.observer.is_resumable() && !matches!(error, Error::Timeout(_)) {
            return if is_clean {
                Step::Finish(NOTHING)
            } else {
                Step::Break(Error::Truncated)
            };
        }
        let refusal = match error {
            Error::ClosedEarly => Refusal::UpstreamBroken {
                server: care.cluster.server.to_string(),
                what: "ended its stream without answering",
            },
            other => other.to_refusal(&care.cluster.server),
        };
        exchange.outcome.error = Some(error.to_string());
        exchange.outcome.reason = Some(refusal.label());
        let event = write::message(&refusal.to_json(care.id.as_deref().and_then(Id::from_json)));
        self.observer.observe(closing);
        self.observer.observe(event.as_bytes());
        Step::Finish([closing, event.as_bytes()].concat().into())
    }

    async fn finish(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        step: Step,
    ) -> Result<(), Ended> {
        let bytes = match step {
            Step::Write(bytes) | Step::Finish(bytes) => bytes,
            Step::Wait => NOTHING,
            Step::Break(error) => return Err(broken(exchange, &error)),
        };
        let written = session
            .as_downstream_mut()
            .write_response_body(bytes, true)
            .await;
        written.map_err(|_| Ended::ClientGone)?;
        self.conclude(exchange);
        Ok(())
    }

    fn conclude(&self, exchange: &mut Exchange) {
        if self.observer.answer() == Some(Answer::Error) {
            exchange.outcome.status = Status::Error;
        }
    }
}
