//! Where a legacy session's unrelated messages wait: on its event stream (GET), or until it opens.
//!
//! **Invariant:** a message is on one stream (E45). What waits is bounded: the oldest notifications
//! give way and are counted; a request of the server's that cannot wait is refused to the server.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::failure::Failure;
use super::mailbox::{Mailbox, Parcel};
use super::payload::Payload;

/// Most messages that wait for a stream.
pub(super) const BACKLOG_MAX: usize = 256;
/// Most bytes of them.
const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A message that answers no call.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) payload: Payload,
    /// Whether the server waits for an answer to it.
    pub(super) is_request: bool,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits.
    Waiting,
    /// It waits, and older notifications were dropped for it.
    Displacing(u64),
    /// There is no room for it.
    Refused,
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stream: Option<Arc<Mailbox>>,
    backlog: VecDeque<Letter>,
    bytes: usize,
}

impl Desk {
    /// Opens the event stream, which begins with what has waited for it.
    ///
    /// # Errors
    /// [`Failure::StreamTaken`] while another is open.
    pub(super) fn open(&self, bytes_max: usize) -> Result<Arc<Mailbox>, Failure> {
        let mut state = self.state.lock();
        if state.has_stream() {
            return Err(Failure::StreamTaken);
        }
        let stream = Arc::new(Mailbox::new(bytes_max.max(BACKLOG_BYTES_MAX)));
        for letter in std::mem::take(&mut state.backlog) {
            // Its bounds are smaller than the stream's.
            stream.event(letter.payload).ok();
        }
        state.bytes = 0;
        state.stream = Some(Arc::clone(&stream));
        Ok(stream)
    }

    /// Whether the event stream is open.
    pub(super) fn has_stream(&self) -> bool {
        self.state.lock().has_stream()
    }

    /// Puts a letter on the event stream; gives it back where there is none, or where it is full
    /// and therefore ended.
    pub(super) fn send(&self, letter: Letter) -> Result<(), Letter> {
        let state = self.state.lock();
        let Some(stream) = &state.stream else {
            return Err(letter);
        };
        if stream.event(letter.payload.clone()).is_ok() {
            return Ok(());
        }
        stream.finish(Parcel::End);
        Err(letter)
    }

    /// Keeps a letter until a stream opens.
    pub(super) fn keep(&self, letter: Letter) -> Kept {
        let mut state = self.state.lock();
        let mut dropped = 0;
        while !state.has_room(letter.payload.len()) {
            let Some(oldest) = state.backlog.iter().position(|waiting| !waiting.is_request) else {
                return Kept::Refused;
            };
            if let Some(gone) = state.backlog.remove(oldest) {
                state.bytes = state.bytes.saturating_sub(gone.payload.len());
                dropped += 1;
            }
        }
        state.bytes += letter.payload.len();
        state.backlog.push_back(letter);
        if dropped == 0 {
            Kept::Waiting
        } else {
            Kept::Displacing(dropped)
        }
    }

    /// Ends the event stream.
    pub(super) fn close(&self) {
        if let Some(stream) = self.state.lock().stream.take() {
            stream.finish(Parcel::End);
        }
    }
}

impl State {
    fn has_stream(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_open())
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.backlog.is_empty()
            || (self.backlog.len() < BACKLOG_MAX
                && self.bytes.saturating_add(bytes) <= BACKLOG_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn letter(text: &str, is_request: bool) -> Letter {
        Letter {
            payload: Payload::whole(text.to_owned().into()),
            is_request,
        }
    }

    fn read(stream: &Mailbox) -> Vec<String> {
        let cx = Context::from_waker(Waker::noop());
        let mut read = Vec::new();
        while let Poll::Ready(Parcel::Event(payload)) = stream.poll_next(&cx) {
            read.push(String::from_utf8(payload.to_vec()).unwrap());
        }
        read
    }

    #[test]
    fn what_waited_comes_first_and_once() {
        let desk = Desk::default();
        desk.keep(letter("1", false));
        desk.keep(letter("2", true));
        let stream = desk.open(1024).unwrap();
        desk.send(letter("3", false)).unwrap();
        assert_eq!(read(&stream), ["1", "2", "3"]);
        stream.close();
        assert!(read(&desk.open(1024).unwrap()).is_empty());
    }

    #[test]
    fn one_stream_at_a_time() {
        let desk = Desk::default();
        let stream = desk.open(1024).unwrap();
        assert_eq!(desk.open(1024).unwrap_err(), Failure::StreamTaken);
        stream.close();
        assert!(desk.open(1024).is_ok());
    }

    #[test]
    fn the_oldest_notification_gives_way_and_requests_do_not() {
        let desk = Desk::default();
        desk.keep(letter("ask", true));
        for n in 1..BACKLOG_MAX {
            assert_eq!(desk.keep(letter(&n.to_string(), false)), Kept::Waiting);
        }
        assert_eq!(desk.keep(letter("new", false)), Kept::Displacing(1));
        let kept = read(&desk.open(1024).unwrap());
        assert_eq!(kept.len(), BACKLOG_MAX);
        assert_eq!(kept[..2], ["ask", "2"]);
    }

    #[test]
    fn a_backlog_of_requests_refuses() {
        let desk = Desk::default();
        for _ in 0..BACKLOG_MAX {
            assert_eq!(desk.keep(letter("ask", true)), Kept::Waiting);
        }
        assert_eq!(desk.keep(letter("ask", true)), Kept::Refused);
        assert_eq!(desk.keep(letter("tell", false)), Kept::Refused);
    }

    #[test]
    fn a_stream_that_is_not_read_is_ended() {
        let desk = Desk::default();
        let stream = desk.open(1).unwrap();
        let long = "1".repeat(BACKLOG_BYTES_MAX);
        desk.send(letter(&long, false)).unwrap();
        assert!(desk.send(letter("2", false)).is_err());
        assert!(!stream.is_open());
        assert!(!desk.has_stream());
    }
}
