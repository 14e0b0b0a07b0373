//! What the tests stand on: processes, the gateway, the SDK programs, a raw HTTP client and a fake server.

use std::time::Duration;

pub(crate) mod gateway;
pub(crate) mod http1;
pub(crate) mod idp;
pub(crate) mod log;
pub(crate) mod message;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod rust_client;
pub(crate) mod sdk;
pub(crate) mod signer;
pub(crate) mod slow;
pub(crate) mod tls;
pub(crate) mod upstream;
pub(crate) mod wire;

/// How long anything may take before a test calls it hung. Generous: CI has two slow cores.
const DEADLINE: Duration = Duration::from_secs(30);

/// Awaits `future`, and fails by the name of `what` if it hangs.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: still waiting after {DEADLINE:?}"),
    }
}

/// Asks `probe` again and again until it has an answer, and fails by the name of `what` if it never has.
pub(crate) async fn until<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    within(what, async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            if let Some(value) = probe().await {
                return value;
            }
        }
    })
    .await
}
