//! The log for operators: standard error, one line an event.
//!
//! **Invariant:** an event is one line, and everything in it can be seen. Fields hold what clients and servers
//! say, so they are escaped here, where no call site can forget it.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use filters::lock::visible;
use tracing::Dispatch;
use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged when `RUST_LOG` says nothing: libraries only where something is wrong.
const DEFAULT_FILTER: &str = "info,pingora_core=warn,pingora_proxy=warn,rmcp=warn";

/// Starts logging. A second call changes nothing.
pub fn start() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = log(filter, io::stderr, io::stderr().is_terminal());
    // What libraries tell the `log` crate is told, too.
    if log.try_init().is_err() {
        tracing::debug!("Logging was started already");
    }
}

/// A log that writes to `out`, with colours or without.
fn log<W>(filter: EnvFilter, out: W, has_colours: bool) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(Fields)
        .with_writer(out)
        .with_ansi(has_colours)
        .finish()
        .into()
}

/// Writes the fields of an event: its message, then `name=value` for each.
struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, out: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line {
            out,
            is_begun: false,
            written: Ok(()),
        };
        fields.record(&mut line);
        line.written
    }
}

/// The fields of one event, as they are written.
struct Line<'w> {
    out: Writer<'w>,
    is_begun: bool,
    written: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
        if std::mem::replace(&mut self.is_begun, true) {
            self.out.write_char(' ')?;
        }
        match (name, self.out.has_ansi_escapes()) {
            ("message", _) => {}
            (_, true) => write!(self.out, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            (_, false) => write!(self.out, "{name}=")?,
        }
        write!(Visible(&mut self.out), "{value:?}")
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What the `log` crate says of where a line comes from stands before it already.
        if self.written.is_ok() && !field.name().starts_with("log.") {
            self.written = self.write(field.name(), value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }
}

/// Writes text so that all of it can be seen, and on one line.
struct Visible<'o, W>(&'o mut W);

impl<W: Write> Write for Visible<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match visible::is_line(text) {
            true => self.0.write_str(text),
            false => self.0.write_str(&visible::line(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::dispatcher;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(has_colours: bool, event: impl FnOnce()) -> String {
        let sink = Sink::default();
        let theirs = sink.clone();
        let log = log(EnvFilter::new("info"), move || theirs.clone(), has_colours);
        dispatcher::with_default(&log, event);
        String::from_utf8(sink.0.lock().clone()).unwrap()
    }

    const FORGED: &str =
        "x\n2026-11-24T00:00:00Z  INFO conduit: forged\r\u{1b}[31mred\u{202e}\u{85}";

    #[test]
    fn no_text_of_a_strangers_makes_a_line_or_moves_a_cursor() {
        let text = logged(false, || {
            let span = tracing::info_span!("request", path = %FORGED);
            let _entered = span.enter();
            let error = io::Error::other(FORGED);
            tracing::info!(target.name = %FORGED, seen = ?FORGED, said = FORGED, "Told");
            tracing::warn!(%error, "{FORGED}");
            tracing::warn!(error = &error as &dyn std::error::Error, "Failed");
        });
        assert_eq!(text.lines().count(), 3, "{text}");
        let hidden = |letter: char| letter.is_control() && letter != '\n';
        assert!(!text.contains(hidden), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
        assert!(text.contains(r"target.name=x\u{a}2026-11-24"), "{text}");
    }

    #[test]
    fn a_line_has_its_message_and_then_its_fields() {
        let text = logged(false, || {
            tracing::info!(server.id = %"s", n = 3, word = "a b", "Server is there");
        });
        let line = r#"Server is there server.id=s n=3 word="a b""#;
        assert!(text.trim_end().ends_with(line), "{text}");
        let coloured = logged(true, || tracing::info!(n = 3, "Told"));
        assert!(
            coloured.contains("\u{1b}[3mn\u{1b}[0m\u{1b}[2m=\u{1b}[0m3"),
            "{coloured}"
        );
    }
}
