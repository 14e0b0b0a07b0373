//! Posts what clients send, message by message.
//!
//! **Invariant:** messages are posted in order, each once the one before it is accepted. A server
//! that accepts a call only when it is done (some do) would so keep its client from answering what
//! it asks meanwhile: after [`PATIENCE`] the next message goes all the same. How many are held back
//! like that is bounded.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use memchr::memchr;
use tokio::time::timeout;

use super::{Broken, Postman};
use crate::stdio::outbox::Outbox;

/// How long a message waits for the one before it to be accepted.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most messages that a server may hold back at a time.
const HELD_MAX: usize = 64;

/// Posts what is put into `outbox` until it is closed and empty.
///
/// # Errors
/// Where a message is not accepted.
pub(super) async fn post_all(
    postman: &dyn Postman,
    target: &Arc<str>,
    outbox: &Outbox,
) -> Result<(), Broken> {
    let mut lines = Lines::default();
    let mut held = FuturesUnordered::new();
    loop {
        let line = tokio::select! {
            biased;
            Some(accepted) = held.next(), if !held.is_empty() => {
                accepted?;
                continue;
            }
            line = lines.next(outbox), if held.len() < HELD_MAX => line,
        };
        let Some(line) = line else { break };
        let mut posting = Box::pin(post(postman, target, line));
        match timeout(PATIENCE, &mut posting).await {
            Ok(accepted) => accepted?,
            Err(_) => held.push(posting),
        }
    }
    while let Some(accepted) = held.next().await {
        accepted?;
    }
    Ok(())
}

async fn post(postman: &dyn Postman, target: &Arc<str>, message: Bytes) -> Result<(), Broken> {
    match postman.post(Arc::clone(target), message).await? {
        200..300 => Ok(()),
        status => Err(format!("answered HTTP {status} to POST").into()),
    }
}

/// The lines of an outbox.
#[derive(Default)]
struct Lines {
    taken: Bytes,
}

impl Lines {
    /// The next line; nothing once the outbox is closed and empty. Cancel-safe.
    async fn next(&mut self, outbox: &Outbox) -> Option<Bytes> {
        while self.taken.is_empty() {
            let mut taken = Vec::new();
            if !outbox.take(&mut taken).await {
                return None;
            }
            self.taken = taken.into();
        }
        let end = memchr(b'\n', &self.taken).unwrap_or(self.taken.len());
        let line = self.taken.split_to(end);
        // Its line feed.
        drop(self.taken.split_to(self.taken.len().min(1)));
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::sync::Notify;

    /// Accepts what does not say "held" at once, and that once it is told to.
    #[derive(Default)]
    struct Fake {
        posted: Mutex<Vec<Bytes>>,
        go: Notify,
        refuses: bool,
    }

    #[async_trait]
    impl Postman for Fake {
        async fn post(&self, _target: Arc<str>, message: Bytes) -> Result<u16, Broken> {
            self.posted.lock().push(message.clone());
            if message.starts_with(b"\"held") {
                self.go.notified().await;
            }
            Ok(if self.refuses { 404 } else { 202 })
        }
    }

    fn outbox(messages: impl IntoIterator<Item = String>) -> Outbox {
        let outbox = Outbox::new(1024 * 1024);
        for message in messages {
            outbox.offer(&message, &mut []).unwrap();
        }
        outbox.close();
        outbox
    }

    #[tokio::test]
    async fn messages_are_posted_one_by_one_in_order() {
        let fake = Fake::default();
        let outbox = outbox((0..100).map(|n| n.to_string()));
        let posted = post_all(&fake, &"/m".into(), &outbox).await;
        assert_eq!(posted, Ok(()));
        let wanted: Vec<Bytes> = (0..100).map(|n| n.to_string().into()).collect();
        assert_eq!(*fake.posted.lock(), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_held_back_does_not_hold_back_the_next_for_ever() {
        let fake = Fake::default();
        let outbox = outbox(["\"held\"".to_owned(), "1".to_owned()]);
        let target = "/m".into();
        let mut posting = Box::pin(post_all(&fake, &target, &outbox));
        assert!(timeout(PATIENCE * 2, &mut posting).await.is_err());
        assert_eq!(fake.posted.lock().len(), 2);
        fake.go.notify_one();
        assert_eq!(posting.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_held_back_up_to_their_bound() {
        let fake = Fake::default();
        let outbox = outbox((0..=HELD_MAX).map(|_| "\"held\"".to_owned()));
        let target = "/m".into();
        let mut posting = Box::pin(post_all(&fake, &target, &outbox));
        assert!(timeout(PATIENCE * 1000, &mut posting).await.is_err());
        assert_eq!(fake.posted.lock().len(), HELD_MAX);
        fake.go.notify_one();
        assert!(timeout(PATIENCE * 1000, &mut posting).await.is_err());
        assert_eq!(fake.posted.lock().len(), HELD_MAX + 1);
    }

    #[tokio::test]
    async fn a_message_that_is_refused_ends_the_connection() {
        let fake = Fake {
            refuses: true,
            ..Fake::default()
        };
        let outbox = outbox(["1".to_owned(), "2".to_owned()]);
        let posted = post_all(&fake, &"/m".into(), &outbox).await;
        assert_eq!(posted, Err("answered HTTP 404 to POST".into()));
        assert_eq!(fake.posted.lock().len(), 1);
    }
}
