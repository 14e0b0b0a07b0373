//! What goes to a client on no call's stream.
//!
//! **Invariant:** a message goes to exactly one stream, or waits for one; a full queue loses its
//! oldest message that is no answer, and counts it. Where all are answers, it is closed instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Most messages that wait for their client.
const WAITING_MAX: usize = 512;

/// A session's queue of messages.
#[derive(Default)]
pub struct Outlet {
    queue: Mutex<Queue>,
    arrived: Notify,
    n_lost: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Answers that are still to come.
    n_expected: usize,
    /// Counts streams: only the newest takes messages.
    stream: u64,
    is_open: bool,
    is_closed: bool,
}

struct Waiting {
    text: Arc<str>,
    is_answer: bool,
}

/// An answer is still to come.
pub struct Expected(Arc<Outlet>);

/// What a stream gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(Arc<str>),
    /// Another stream took over, or the session ended.
    Over,
}

impl Outlet {
    /// Queues a message that may be lost.
    pub fn send(&self, message: impl Into<Arc<str>>) {
        self.queue(message.into(), false);
    }

    /// Queues the answer to a call, which must not be lost.
    pub fn answer(&self, message: impl Into<Arc<str>>) {
        self.queue(message.into(), true);
    }

    fn queue(&self, text: Arc<str>, is_answer: bool) {
        let mut queue = self.queue.lock();
        if queue.is_closed {
            return;
        }
        if queue.waiting.len() >= WAITING_MAX {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
            let lost = queue.waiting.iter().position(|one| !one.is_answer);
            match (lost, is_answer) {
                (Some(lost), _) => {
                    queue.waiting.remove(lost);
                }
                (None, false) => return,
                (None, true) => {
                    drop(queue);
                    return self.close();
                }
            }
        }
        queue.waiting.push_back(Waiting { text, is_answer });
        drop(queue);
        self.arrived.notify_waiters();
    }

    /// Notes that an answer is to come while the guard lives.
    #[must_use]
    pub fn expect(self: &Arc<Self>) -> Expected {
        self.queue.lock().n_expected += 1;
        Expected(Arc::clone(self))
    }

    /// Resolves when no answer is to come any more. Cancel-safe.
    pub async fn settled(&self) {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            if self.queue.lock().n_expected == 0 {
                return;
            }
            arrived.await;
        }
    }

    /// Opens a stream; an older one ends.
    #[must_use]
    pub fn open(&self) -> u64 {
        let number = {
            let mut queue = self.queue.lock();
            queue.stream += 1;
            queue.is_open = true;
            queue.stream
        };
        self.arrived.notify_waiters();
        number
    }

    /// Ends a stream: messages wait for the next one.
    pub fn leave(&self, number: u64) {
        let mut queue = self.queue.lock();
        if queue.stream == number {
            queue.is_open = false;
        }
    }

    /// Whether a stream is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.queue.lock().is_open
    }

    /// The next message for a stream. Cancel-safe.
    pub async fn next(&self, number: u64) -> Delivery {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            {
                let mut queue = self.queue.lock();
                if queue.stream != number || queue.is_closed {
                    return Delivery::Over;
                }
                if let Some(message) = queue.waiting.pop_front() {
                    return Delivery::Message(message.text);
                }
            }
            arrived.await;
        }
    }

    /// Leaves a message that could not be told to the next stream.
    pub fn put_back(&self, text: Arc<str>) {
        let mut queue = self.queue.lock();
        if !queue.is_closed {
            // What it was is not known any more.
            let is_answer = true;
            queue.waiting.push_front(Waiting { text, is_answer });
        }
    }

    /// Takes no more messages, and ends the stream.
    pub fn close(&self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        queue.waiting.clear();
        drop(queue);
        self.arrived.notify_waiters();
    }

    /// Messages lost because nobody took them in time.
    #[must_use]
    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.n_expected = queue.n_expected.saturating_sub(1);
        drop(queue);
        self.0.arrived.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn messages_wait_for_a_stream_and_go_to_the_newest_only() {
        let outlet = Outlet::default();
        outlet.send("1");
        let first = outlet.open();
        assert_eq!(outlet.next(first).await, Delivery::Message("1".into()));
        let second = outlet.open();
        outlet.send("2");
        assert_eq!(outlet.next(first).await, Delivery::Over);
        assert_eq!(outlet.next(second).await, Delivery::Message("2".into()));
    }

    #[tokio::test]
    async fn a_full_queue_loses_its_oldest_message_and_counts_it() {
        let outlet = Outlet::default();
        for n in 0..=WAITING_MAX {
            outlet.send(n.to_string());
        }
        assert_eq!(outlet.n_lost(), 1);
        let stream = outlet.open();
        assert_eq!(outlet.next(stream).await, Delivery::Message("1".into()));
    }

    #[tokio::test]
    async fn a_full_queue_keeps_answers_and_is_closed_where_all_are() {
        let outlet = Outlet::default();
        outlet.answer("answer");
        for n in 0..WAITING_MAX {
            outlet.send(n.to_string());
        }
        let stream = outlet.open();
        assert_eq!(
            outlet.next(stream).await,
            Delivery::Message("answer".into())
        );
        assert_eq!(outlet.next(stream).await, Delivery::Message("1".into()));
        for n in 0..WAITING_MAX {
            outlet.answer(n.to_string());
        }
        outlet.send("late");
        assert_eq!(outlet.next(stream).await, Delivery::Message("0".into()));
        outlet.answer("fits");
        outlet.answer("one too many");
        assert_eq!(outlet.next(stream).await, Delivery::Over);
    }

    #[tokio::test]
    async fn an_outlet_is_settled_once_no_answer_is_to_come() {
        let outlet = Arc::new(Outlet::default());
        outlet.settled().await;
        let (first, second) = (outlet.expect(), outlet.expect());
        let mut settled = Box::pin(outlet.settled());
        drop(first);
        assert_eq!(settled.as_mut().now_or_never(), None);
        drop(second);
        settled.await;
    }

    #[tokio::test]
    async fn a_closed_outlet_ends_its_stream() {
        let outlet = Outlet::default();
        let stream = outlet.open();
        outlet.close();
        outlet.send("late");
        assert_eq!(outlet.next(stream).await, Delivery::Over);
    }
}
