//! How long a connection may wait for a request.
//!
//! A wait begins before Pingora reads a request's head, and is over when it has: Pingora keeps an
//! [`Awaited`] meanwhile, as what belongs to the connection, and drops it then.
//!
//! **Invariant:** while a request is served nothing here ends a connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

/// That nothing is waited for.
const NEVER: u64 = u64::MAX;

/// Until when a connection may wait for a request.
pub(super) struct Wait {
    began: Instant,
    /// Milliseconds after that.
    until: AtomicU64,
}

/// A wait that is over when this is dropped.
pub(super) struct Awaited(Arc<Wait>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.is_over();
    }
}

/// Why a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is over.
    ByItself,
    /// It waited too long.
    ByUs,
}

impl Wait {
    /// A connection whose first request must come within `patience`.
    pub(super) fn begin(patience: Duration) -> Self {
        Self {
            began: Instant::now(),
            until: AtomicU64::new(to_ms(patience)),
        }
    }

    /// The next request must come within `patience`, unless one is awaited already.
    pub(super) fn next(wait: &Arc<Self>, patience: Duration) -> Awaited {
        let until = to_ms(wait.began.elapsed().saturating_add(patience));
        // The first wait began when the connection did.
        wait.until
            .compare_exchange(NEVER, until, Ordering::Relaxed, Ordering::Relaxed)
            .ok();
        Awaited(Arc::clone(wait))
    }

    /// The request is there.
    pub(super) fn is_over(&self) {
        self.until.store(NEVER, Ordering::Relaxed);
    }

    /// When the wait must end, if there is one.
    fn due(&self) -> Option<Instant> {
        let until = self.until.load(Ordering::Relaxed);
        (until != NEVER).then(|| self.began + Duration::from_millis(until))
    }

    /// Serves a connection until it ends, or waits too long. `idle` is how long waits after the first
    /// may last, so that none of them can begin and be over between two looks at the clock.
    pub(super) async fn bound<T>(&self, served: impl Future<Output = T>, idle: Duration) -> Ended {
        let mut served = pin!(served);
        let soon = |due: Option<Instant>| {
            let latest = Instant::now() + idle;
            due.map_or(latest, |due| due.min(latest))
        };
        let first = soon(self.due());
        let mut look = pin!(tokio::time::sleep_until(first));
        poll_fn(|context| {
            if served.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ended::ByItself);
            }
            while look.as_mut().poll(context).is_ready() {
                let now = Instant::now();
                match self.due() {
                    Some(due) if due <= now => return Poll::Ready(Ended::ByUs),
                    due => look.as_mut().reset(soon(due)),
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn to_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const HEAD: Duration = Duration::from_secs(2);
    const IDLE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_asks_ends() {
        let (wait, began) = (Wait::begin(HEAD), Instant::now());
        assert_eq!(wait.bound(pending::<()>(), IDLE).await, Ended::ByUs);
        assert_eq!(began.elapsed(), HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_as_long_as_it_likes_and_the_next_may_not() {
        let (wait, began) = (Arc::new(Wait::begin(HEAD)), Instant::now());
        let served = async {
            drop(Wait::next(&wait, IDLE));
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let _awaited = Wait::next(&wait, IDLE);
            pending::<()>().await;
        };
        assert_eq!(wait.bound(served, IDLE).await, Ended::ByUs);
        assert_eq!(began.elapsed(), Duration::from_secs(3605));
    }

    #[tokio::test(start_paused = true)]
    async fn asking_for_the_first_request_does_not_win_time() {
        let (wait, began) = (Arc::new(Wait::begin(HEAD)), Instant::now());
        let served = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _awaited = Wait::next(&wait, IDLE);
            pending::<()>().await;
        };
        assert_eq!(wait.bound(served, IDLE).await, Ended::ByUs);
        assert_eq!(began.elapsed(), HEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_shorter_than_the_first_ends_in_its_own_time() {
        let (wait, began) = (Arc::new(Wait::begin(IDLE)), Instant::now());
        let served = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(Wait::next(&wait, HEAD));
            let _awaited = Wait::next(&wait, HEAD);
            pending::<()>().await;
        };
        assert_eq!(wait.bound(served, HEAD).await, Ended::ByUs);
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_by_itself_is_not_ended() {
        let wait = Wait::begin(HEAD);
        let served = tokio::time::sleep(Duration::from_secs(1));
        assert_eq!(wait.bound(served, IDLE).await, Ended::ByItself);
    }
}
