//! The access log: one JSON line a request on standard output.
//!
//! Lines are gathered and written a few times a second by one thread, so that a request pays for
//! formatting only, not for a system call.
//!
//! **Invariant:** what is secret in a URI that was asked for is not told.
//! **Invariant:** bounded. When standard output is slower than the traffic, lines are dropped and
//! their number is told; a request never waits for its log line.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use filters::json::redact;
use filters::rpc::write::push_string;
use parking_lot::{Condvar, Mutex};

use crate::telemetry::outcome::Outcome;

/// Most bytes waiting to be written.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a line may wait.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

/// Where access lines go.
#[derive(Clone)]
pub struct AccessLog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    text: String,
    clock: Clock,
    dropped: u64,
    closed: bool,
    is_broken: bool,
}

/// What time it was at an instant: a line is told the instant of its end, and no request reads the
/// clock a second time.
struct Clock {
    at: Instant,
    since_epoch: Duration,
}

impl Clock {
    fn read() -> Self {
        Self {
            at: Instant::now(),
            // A clock that is set to before 1970 tells of 1970.
            since_epoch: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Milliseconds since 1970 at an instant.
    fn millis(&self, at: Instant) -> u64 {
        let since = self.since_epoch + at.saturating_duration_since(self.at);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The thread that writes the lines. Dropping it writes what is left and ends the thread.
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl AccessLog {
    /// Starts the writing thread over `out`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(mut out: impl Write + Send + 'static) -> io::Result<(Self, Writer)> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                text: String::new(),
                clock: Clock::read(),
                dropped: 0,
                closed: false,
                is_broken: false,
            }),
            wake: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&theirs, &mut out))?;
        Ok((
            Self {
                shared: Arc::clone(&shared),
            },
            Writer {
                shared,
                thread: Some(thread),
            },
        ))
    }

    /// Whether the last lines could be written.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.shared.state.lock().is_broken
    }

    /// Logs a request that ended at `now`.
    pub fn log(&self, outcome: &Outcome, now: Instant) {
        let mut state = self.shared.state.lock();
        if state.text.len() >= BUFFER_BYTES_MAX {
            state.dropped += 1;
            return;
        }
        let millis = state.clock.millis(now);
        write_line(&mut state.text, outcome, millis);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("Access log thread panicked");
        }
    }
}

fn write_all(shared: &Shared, out: &mut impl Write) {
    let mut text = String::new();
    loop {
        let (closed, dropped) = {
            let mut state = shared.state.lock();
            if !state.closed {
                shared.wake.wait_for(&mut state, FLUSH_INTERVAL);
            }
            text.clear();
            std::mem::swap(&mut text, &mut state.text);
            // Whoever sets the time is followed within a flush.
            state.clock = Clock::read();
            (state.closed, std::mem::take(&mut state.dropped))
        };
        if dropped > 0 {
            tracing::warn!(dropped, "Access log could not keep up");
        }
        if !text.is_empty() {
            let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            if let Err(error) = &written {
                tracing::debug!(%error, "Access log could not be written");
            }
            shared.state.lock().is_broken = written.is_err();
        }
        if closed {
            return;
        }
    }
}

/// Appends one JSON line.
fn write_line(line: &mut String, outcome: &Outcome, millis: u64) {
    let mut number = itoa::Buffer::new();
    line.push_str(r#"{"timestamp_ms":"#);
    line.push_str(number.format(millis));
    let mut text = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            line.push_str(name);
            push_string(line, value);
        }
    };
    text(r#","trace_id":"#, Some(&outcome.trace_id));
    text(r#","client_id":"#, Some(&outcome.client));
    text(r#","tenant_id":"#, outcome.tenant.as_deref());
    text(r#","server_id":"#, outcome.server.as_deref());
    let target = outcome.target.as_deref().map(redact::target);
    text(r#","tool_name":"#, target.as_deref().map(cut));
    text(r#","reason":"#, outcome.reason);
    let error = outcome.error.as_deref().map(redact::target);
    text(r#","error_message":"#, error.as_deref().map(cut));
    let guardrail = outcome.guardrail.as_ref();
    text(r#","guardrail_rule":"#, guardrail.map(|(rule, _)| &**rule));
    // What follows needs no escapes.
    let mut label = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            for part in [name, value, "\""] {
                line.push_str(part);
            }
        }
    };
    label(
        r#","guardrail_action":""#,
        guardrail.map(|(_, action)| *action),
    );
    label(r#","era":""#, outcome.era.map(|era| era.label()));
    label(
        r#","cache_status":""#,
        outcome.cache_status.map(|status| status.label()),
    );
    label(r#","http_method":""#, Some(outcome.verb));
    label(r#","method":""#, Some(outcome.method_label()));
    label(r#","status":""#, Some(outcome.status.label()));
    line.push_str(r#","http_status":"#);
    line.push_str(number.format(outcome.http_status));
    line.push_str(r#","duration_us":"#);
    let duration = u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX);
    line.push_str(number.format(duration));
    line.push_str(r#","request_size":"#);
    line.push_str(number.format(outcome.request_bytes));
    line.push_str(r#","response_size":"#);
    line.push_str(number.format(outcome.response_bytes));
    if let Some(replica) = outcome.replica {
        line.push_str(r#","replica":"#);
        line.push_str(number.format(replica));
    }
    line.push_str("}\n");
}

/// As much of a stranger's text as a line repeats.
fn cut(text: &str) -> &str {
    const BYTES_MAX: usize = 256;
    text.split_at_checked(text.floor_char_boundary(BYTES_MAX))
        .map_or(text, |(head, _)| head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::outcome::Status;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_json_and_none_is_lost_at_the_end() {
        let sink = Sink::default();
        let (log, writer) = AccessLog::start(sink.clone()).unwrap();
        let mut outcome = Outcome::begin("c".into());
        outcome.trace_id = "t\"1\n".to_owned();
        outcome.server = Some("s".into());
        outcome.target = Some("é".repeat(500));
        outcome.status = Status::Success;
        outcome.cache_status = Some(filters::cache::status::Status::Skip);
        outcome.replica = Some(1);
        for _ in 0..100 {
            log.log(&outcome, Instant::now());
        }
        drop(writer);
        let text = String::from_utf8(sink.0.lock().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[0]["trace_id"], "t\"1\n");
        assert_eq!(lines[0]["status"], "success");
        assert_eq!(lines[0]["tool_name"].as_str().unwrap().len(), 256);
    }

    #[test]
    fn a_line_tells_no_secret_of_the_uri_that_was_asked_for() {
        let mut outcome = Outcome::begin("c".into());
        outcome.target = Some("db://u:hunter2@x/?access_token=hunter3".to_owned());
        outcome.error = Some("denied: \"db://x/?password=hunter4\"".to_owned());
        let mut line = String::new();
        write_line(&mut line, &outcome, 0);
        assert!(!line.contains("hunter"), "{line}");
        assert!(line.contains("?access_token=[REDACTED]"), "{line}");
    }
}
