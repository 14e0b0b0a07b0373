//! Time limits for what is mostly there already.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use pingora_timeout::Elapsed;
use pingora_timeout::fast_timeout::fast_timeout;

/// Awaits `work` for at most `limit`. Pingora's timeout reads the clock before it looks whether there is
/// anything to wait for, which takes longer than to read what has come; this one looks first.
///
/// # Errors
/// [`Elapsed`] when the time is over.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    match poll!(work.as_mut()) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => fast_timeout(limit, work).await,
    }
}
