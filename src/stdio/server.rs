//! The unix socket, and HTTP/1.1 on it.
//!
//! **Invariant:** only this user can connect (0600 in a 0700 directory), and every connection is
//! awaited, or ended, before the socket's owner ends.

use std::convert::Infallible;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::bridge::Bridge;

/// Most connections at once; a further one waits to be accepted.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// How long to wait where the system has no file descriptor for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Listens on `path`.
///
/// # Errors
/// The system's own.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves connections until `stop`, and then ends them as their requests are answered: at `abort`
/// at the latest.
pub(super) async fn serve(
    listener: UnixListener,
    bridge: Arc<Bridge>,
    stop: CancellationToken,
    abort: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            break;
        };
        let (bridge, stop, abort) = (Arc::clone(&bridge), stop.clone(), abort.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection(stream, bridge, stop) => {}
                () = abort.cancelled() => {}
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &UnixListener, places: &Arc<Semaphore>) -> Option<(UnixStream, Place)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, place)),
            Err(error) => {
                warn!(%error, "Connection not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, bridge: Arc<Bridge>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let bridge = Arc::clone(&bridge);
        async move { Ok::<_, Infallible>(bridge.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // The client went away in the middle: its calls know by now.
        debug!(%error, "Connection broke");
    }
}

/// Awaits `task` for at most `patience`; `false` where it took longer.
pub(super) async fn within(patience: Duration, task: impl Future<Output = ()>) -> bool {
    timeout(patience, task).await.is_ok()
}
