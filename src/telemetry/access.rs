//! The access log: one JSON line a request on standard output.
//!
//! Lines are gathered and written a few times a second by one thread, so that a request pays for
//! formatting only, not for a system call.
//!
//! **Invariant:** bounded. When standard output is slower than the traffic, lines are dropped and
//! their number is told; a request never waits for its log line.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    text: String,
    dropped: u64,
    closed: bool,
    is_broken: bool,
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
        let shared = Arc::new(Shared::default());
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

    /// Logs a finished request.
    pub fn log(&self, outcome: &Outcome) {
        let mut state = self.shared.state.lock();
        if state.text.len() >= BUFFER_BYTES_MAX {
            state.dropped += 1;
            return;
        }
        write_line(&mut state.text, outcome);
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
fn write_line(line: &mut String, outcome: &Outcome) {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut number = itoa::Buffer::new();
    line.push_str(r#"{"timestamp_ms":"#);
    line.push_str(number.format(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
    line.push_str(r#","trace_id":"#);
    push_string(line, &outcome.trace_id);
    for (name, value) in [
        (r#","client_id":"#, Some(&*outcome.client)),
        (r#","tenant_id":"#, outcome.tenant.as_deref()),
        (r#","server_id":"#, outcome.server.as_deref()),
        (r#","era":"#, outcome.era.map(|era| era.label())),
        (r#","tool_name":"#, outcome.target.as_deref().map(cut)),
        (r#","reason":"#, outcome.reason),
        (
            r#","guardrail_rule":"#,
            outcome.guardrail.as_ref().map(|(rule, _)| &**rule),
        ),
        (
            r#","guardrail_action":"#,
            outcome.guardrail.as_ref().map(|(_, action)| *action),
        ),
        (r#","error_message":"#, outcome.error.as_deref().map(cut)),
        (
            r#","cache_status":"#,
            outcome.cache_status.map(|status| status.label()),
        ),
    ] {
        if let Some(value) = value {
            line.push_str(name);
            push_string(line, value);
        }
    }
    // What follows needs no escapes.
    for (name, value) in [
        (r#","http_method":""#, outcome.verb),
        (r#"","method":""#, outcome.method_label()),
        (r#"","status":""#, outcome.status.label()),
    ] {
        line.push_str(name);
        line.push_str(value);
    }
    line.push_str(r#"","http_status":"#);
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
            log.log(&outcome);
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
}
