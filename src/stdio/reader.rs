//! Reads what a child writes: messages from its standard output, log lines from its error output.
//!
//! **Invariant:** both are always read, so that no child hangs on a full pipe, and neither can fill
//! the log: what is past the rate is counted and left out.
//! **Invariant:** no secret that a child was started with leaves this file.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;
use tracing::{info, warn};

use super::frame::{Line, Lines};
use super::link::Link;
use super::link::deliver::Taken;

/// Room made for each read.
const READ_BYTES: usize = 64 * 1024;
/// As much of a child's line as the log repeats.
const LOGGED_BYTES_MAX: usize = 2 * 1024;
/// Most lines a second that a child may put into the log.
const LOGGED_LINES_PER_SECOND: u32 = 100;

/// Delivers every line of `from` until it ends.
pub(super) async fn read_messages<R: AsyncRead + Unpin>(mut from: R, link: Arc<Link>) {
    let mut lines = Lines::new(link.spec.line_bytes_max);
    let mut quota = Quota::new();
    loop {
        lines.buffer.reserve(READ_BYTES);
        match from.read_buf(&mut lines.buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        while let Some(line) = lines.next() {
            deliver(&link, &covered(line, &link), &mut quota);
        }
    }
    if let Some(line) = lines.last() {
        deliver(&link, &covered(line, &link), &mut quota);
    }
}

/// A line without what is secret of what its child was started with, in as many bytes.
fn covered(line: Line, link: &Link) -> Line {
    let Some(mask) = link.spec.reach.mask() else {
        return line;
    };
    let cover = |text: Bytes| match mask.cover(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(covered) => covered.into(),
    };
    match line {
        Line::Whole(line) => Line::Whole(cover(line)),
        Line::TooLong { head, tail } => {
            let mut head = cover(head);
            // It may have been cut within a secret.
            head.truncate(head.len().saturating_sub(mask.tail(&head)));
            Line::TooLong { head, tail }
        }
    }
}

/// Delivers one line, and says in the log what was wrong with it.
pub(super) fn deliver(link: &Link, line: &Line, quota: &mut Quota) {
    let server = &link.spec.server;
    match link.deliver(line) {
        Taken::Message => {}
        Taken::Noise => {
            if quota.allows(server) {
                warn!(server.id = %server, line = %excerpt(line), "Server wrote no MCP message");
            }
        }
        Taken::TooLong => {
            let max = link.spec.line_bytes_max;
            warn!(server.id = %server, bytes_max = max, "Server wrote a too long message");
        }
    }
}

/// Logs every line of `from` until it ends. What a server writes there is a log, not an error (E56).
pub(super) async fn log_errors<R: AsyncRead + Unpin>(mut from: R, link: Arc<Link>) {
    let server = &link.spec.server;
    let mut lines = Lines::new(LOGGED_BYTES_MAX);
    let mut quota = Quota::new();
    let log = |line: &Line, quota: &mut Quota| {
        let text = excerpt(line);
        if !text.trim().is_empty() && quota.allows(server) {
            info!(server.id = %server, line = %text, "Child wrote to its log");
        }
    };
    loop {
        lines.buffer.reserve(LOGGED_BYTES_MAX);
        match from.read_buf(&mut lines.buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        while let Some(line) = lines.next() {
            log(&covered(line, &link), &mut quota);
        }
    }
    if let Some(line) = lines.last() {
        log(&covered(line, &link), &mut quota);
    }
}

/// The beginning of a line, as text without control characters.
fn excerpt(line: &Line) -> String {
    let bytes = match line {
        Line::Whole(line) => line,
        Line::TooLong { head, .. } => head,
    };
    let bytes = bytes.get(..LOGGED_BYTES_MAX).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

/// How many more lines may be logged in this second.
pub(super) struct Quota {
    since: Instant,
    logged: u32,
    omitted: u64,
}

impl Quota {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            logged: 0,
            omitted: 0,
        }
    }

    fn allows(&mut self, server: &str) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            if self.omitted > 0 {
                warn!(server.id = %server, n_lines = self.omitted, "Lines of a child left out");
            }
            *self = Self::new();
        }
        let is_within = self.logged < LOGGED_LINES_PER_SECOND;
        if is_within {
            self.logged += 1;
        } else {
            self.omitted += 1;
        }
        is_within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_child_logs_up_to_its_rate_and_again_in_the_next_second() {
        let mut quota = Quota::new();
        let allowed = |quota: &mut Quota| {
            (0..LOGGED_LINES_PER_SECOND + 1)
                .filter(|_| quota.allows("x"))
                .count()
        };
        assert_eq!(allowed(&mut quota), 100);
        assert_eq!(quota.omitted, 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(allowed(&mut quota), 100);
    }

    #[test]
    fn a_logged_line_is_short_and_has_no_control_characters() {
        let line = Line::Whole(format!("\x1b[31m{}", "é".repeat(LOGGED_BYTES_MAX)).into());
        let text = excerpt(&line);
        assert!(text.starts_with(" [31mé"));
        assert!(text.chars().count() <= LOGGED_BYTES_MAX);
    }
}
