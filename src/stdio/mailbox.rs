//! The queue between a child's reader and one HTTP answer.
//!
//! **Invariant:** the reader never waits for a client. A queue that is full ends its stream, and no
//! other stream notices.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use http::StatusCode;
use parking_lot::Mutex;

use super::payload::Payload;

/// Most messages that wait for one client.
pub(super) const MESSAGES_MAX: usize = 1024;

/// What a stream is given.
#[derive(Debug)]
pub(super) enum Parcel {
    /// A message before the answer.
    Event(Payload),
    /// The answer, after which there is nothing.
    Answer(Payload, StatusCode),
    /// Nothing more, without an answer.
    End,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The client has gone, or has its answer.
    Gone,
    /// The client reads too slowly.
    Full,
}

/// A bounded queue with one reader.
#[derive(Debug)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Parcel>,
    bytes: usize,
    /// Nothing more is taken: the last parcel is in, or the client has gone.
    closed: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    /// A queue of up to `bytes_max` bytes, or of one message of any size.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            bytes_max,
        }
    }

    /// Queues a message that is not the last.
    pub(super) fn event(&self, payload: Payload) -> Result<(), Rejected> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Rejected::Gone);
        }
        let bytes = state.bytes.saturating_add(payload.len());
        if !state.queue.is_empty() && (bytes > self.bytes_max || state.queue.len() >= MESSAGES_MAX)
        {
            return Err(Rejected::Full);
        }
        state.bytes = bytes;
        state.queue.push_back(Parcel::Event(payload));
        state.wake();
        Ok(())
    }

    /// Queues the last parcel, for which there is always room; the second such is ignored.
    pub(super) fn finish(&self, last: Parcel) {
        let mut state = self.state.lock();
        if !state.closed {
            state.closed = true;
            state.queue.push_back(last);
            state.wake();
        }
    }

    /// Whether messages are still taken.
    pub(super) fn is_open(&self) -> bool {
        !self.state.lock().closed
    }

    /// The client has gone: drops what waits and takes nothing more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.queue = VecDeque::new();
        state.bytes = 0;
    }

    /// Waits for the next parcel. After the last one there is only [`Parcel::End`].
    pub(super) async fn next(&self) -> Parcel {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// See [`Mailbox::next`].
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Parcel> {
        let mut state = self.state.lock();
        if let Some(parcel) = state.queue.pop_front() {
            if let Parcel::Event(payload) = &parcel {
                state.bytes = state.bytes.saturating_sub(payload.len());
            }
            return Poll::Ready(parcel);
        }
        if state.closed {
            return Poll::Ready(Parcel::End);
        }
        if !state
            .waker
            .as_ref()
            .is_some_and(|old| old.will_wake(cx.waker()))
        {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Payload {
        Payload::whole(vec![b'1'; bytes].into())
    }

    fn poll(mailbox: &Mailbox) -> Poll<Parcel> {
        mailbox.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_queue_takes_its_bound_in_bytes_and_no_more() {
        let mailbox = Mailbox::new(10);
        assert_eq!(mailbox.event(message(5)), Ok(()));
        assert_eq!(mailbox.event(message(5)), Ok(()));
        assert_eq!(mailbox.event(message(1)), Err(Rejected::Full));
        assert!(poll(&mailbox).is_ready());
        assert_eq!(mailbox.event(message(5)), Ok(()));
    }

    #[test]
    fn a_queue_takes_its_bound_in_messages_and_no_more() {
        let mailbox = Mailbox::new(usize::MAX);
        for _ in 0..MESSAGES_MAX {
            assert_eq!(mailbox.event(message(1)), Ok(()));
        }
        assert_eq!(mailbox.event(message(1)), Err(Rejected::Full));
    }

    #[test]
    fn one_message_fits_whatever_its_size() {
        assert_eq!(Mailbox::new(1).event(message(100)), Ok(()));
    }

    #[test]
    fn the_answer_is_last_and_always_fits() {
        let mailbox = Mailbox::new(1);
        mailbox.event(message(1)).unwrap();
        mailbox.finish(Parcel::Answer(message(9), StatusCode::OK));
        mailbox.finish(Parcel::End);
        assert_eq!(mailbox.event(message(1)), Err(Rejected::Gone));
        assert!(matches!(poll(&mailbox), Poll::Ready(Parcel::Event(_))));
        assert!(matches!(poll(&mailbox), Poll::Ready(Parcel::Answer(..))));
        assert!(matches!(poll(&mailbox), Poll::Ready(Parcel::End)));
    }

    #[test]
    fn a_closed_queue_holds_and_takes_nothing() {
        let mailbox = Mailbox::new(10);
        mailbox.event(message(1)).unwrap();
        mailbox.close();
        assert_eq!(mailbox.event(message(1)), Err(Rejected::Gone));
        assert!(matches!(poll(&mailbox), Poll::Ready(Parcel::End)));
    }
}
