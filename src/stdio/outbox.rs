//! What waits to be written to a child's standard input, or to be posted.
//!
//! Callers write their message straight into the one buffer; the writer takes all there is and
//! writes it at once. A child that does not read fills the buffer, and then callers wait for room
//! as long as their own time allows, and for no longer.
//!
//! **Invariant:** a message is in the buffer whole or not at all, and is one line.

use std::io;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::payload::{Edit, edited_bytes_max, join_lines, push_edited};

/// Buffers that grew past this are not kept.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Nothing more is written to this child.
    Closed,
    /// The child has not read what is already there.
    Full,
}

#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    bytes_max: usize,
    filled: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    closed: bool,
}

impl Outbox {
    /// A buffer of up to `bytes_max` bytes, or of one message of any size.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            bytes_max,
            filled: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Queues `text`, which is valid JSON, with `edits` made.
    pub(super) fn offer(&self, text: &str, edits: &mut [Edit<'_>]) -> Result<(), Rejected> {
        let bytes = edited_bytes_max(text.len(), edits) + 1;
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Closed);
        }
        let before = state.buffer.len();
        if before > 0 && before.saturating_add(bytes) > self.bytes_max {
            return Err(Rejected::Full);
        }
        state.buffer.reserve(bytes);
        push_edited(&mut state.buffer, text.as_bytes(), edits);
        if let Some(line) = state.buffer.get_mut(before..) {
            join_lines(line);
        }
        state.buffer.push(b'\n');
        drop(state);
        if before == 0 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// As [`Outbox::offer`], for what a child that does not read may as well not be told.
    pub(super) fn tell(&self, text: &str, edits: &mut [Edit<'_>]) {
        self.offer(text, edits).ok();
    }

    /// As [`Outbox::offer`], waiting for room. The caller bounds the wait.
    pub(super) async fn send(&self, text: &str, edits: &mut [Edit<'_>]) -> Result<(), Rejected> {
        loop {
            let room = self.room.notified();
            match self.offer(text, edits) {
                Err(Rejected::Full) => room.await,
                done => return done,
            }
        }
    }

    /// Takes nothing more. What is queued is still written.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    /// Waits for what is queued and takes all of it, for which `taken` must be empty; `false` once
    /// the box is closed and empty. Cancel-safe.
    pub(super) async fn take(&self, taken: &mut Vec<u8>) -> bool {
        loop {
            let closed = {
                let mut state = self.state.lock();
                std::mem::swap(&mut state.buffer, taken);
                state.closed
            };
            if !taken.is_empty() {
                self.room.notify_waiters();
                return true;
            }
            if closed {
                return false;
            }
            self.filled.notified().await;
        }
    }

    /// Writes to `to` what is queued, until the box is closed and empty.
    ///
    /// # Errors
    /// The write's own, or [`io::ErrorKind::TimedOut`] where `to` took nothing for `stall`.
    pub(super) async fn drain<W: AsyncWrite + Unpin>(
        &self,
        mut to: W,
        stall: Duration,
    ) -> io::Result<()> {
        let mut taken = Vec::new();
        while self.take(&mut taken).await {
            let mut rest = taken.as_slice();
            while !rest.is_empty() {
                let written = timeout(stall, to.write(rest)).await??;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                rest = rest.get(written..).unwrap_or_default();
            }
            taken.clear();
            taken.shrink_to(KEPT_BYTES_MAX);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn messages_are_written_whole_in_order_and_one_a_line() {
        let outbox = Outbox::new(1024);
        outbox.offer("{\"a\":\n1}", &mut []).unwrap();
        outbox
            .offer(
                "[2]",
                &mut [Edit {
                    at: 1..2,
                    with: "\"x\"",
                }],
            )
            .unwrap();
        outbox.close();
        let mut written = Vec::new();
        outbox.drain(&mut written, LONG).await.unwrap();
        assert_eq!(written, b"{\"a\": 1}\n[\"x\"]\n");
    }

    #[test]
    fn a_full_box_refuses_and_an_empty_one_takes_any_size() {
        let outbox = Outbox::new(4);
        outbox.offer("[1,2,3,4,5,6]", &mut []).unwrap();
        assert_eq!(outbox.offer("1", &mut []), Err(Rejected::Full));
        let exact = Outbox::new(4);
        exact.offer("1", &mut []).unwrap();
        assert_eq!(exact.offer("2", &mut []), Ok(()));
        assert_eq!(exact.offer("3", &mut []), Err(Rejected::Full));
    }

    #[test]
    fn a_closed_box_takes_nothing() {
        let outbox = Outbox::new(4);
        outbox.close();
        assert_eq!(outbox.offer("1", &mut []), Err(Rejected::Closed));
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_when_the_child_reads() {
        let outbox = Outbox::new(2);
        outbox.offer("1", &mut []).unwrap();
        let (near, mut far) = tokio::io::duplex(64);
        let (sent, drained, ()) = tokio::join!(
            async {
                let sent = outbox.send("2", &mut []).await;
                outbox.close();
                sent
            },
            outbox.drain(near, LONG),
            async {
                let mut read = String::new();
                tokio::io::AsyncReadExt::read_to_string(&mut far, &mut read)
                    .await
                    .unwrap();
                assert_eq!(read, "1\n2\n");
            }
        );
        assert_eq!(sent, Ok(()));
        drained.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_never_reads_is_given_up() {
        let outbox = Outbox::new(1024);
        outbox.offer("[1,2,3,4,5,6,7,8]", &mut []).unwrap();
        let (near, _far) = tokio::io::duplex(4);
        let error = outbox.drain(near, LONG).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
