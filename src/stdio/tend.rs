//! The life of one child, from its start until nothing of it is left.
//!
//! **Invariant:** however a child ends, its calls fail at once, and its place is free only when the
//! process is reaped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use super::child::{Exit, Pipes, Process};
use super::failure::Failure;
use super::link::Link;
use super::reader::{log_errors, read_messages};

/// How long a child that closed a pipe has to end by itself, so that its status can be told.
const EXIT_GRACE: Duration = Duration::from_millis(250);
/// How long what an ended child wrote last may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A child that takes none of its input for this long is given up.
const STALL_MIN: Duration = Duration::from_secs(60);

/// A started child and all that belongs to it.
#[derive(Debug)]
pub(super) struct Tended {
    pub(super) process: Process,
    pub(super) pipes: Pipes,
    pub(super) link: Arc<Link>,
    /// Ends this child.
    pub(super) stop: CancellationToken,
    /// Ends every child.
    pub(super) stop_all: CancellationToken,
    pub(super) place: OwnedSemaphorePermit,
}

/// What ended a child's service.
enum Cause {
    Exited(Exit),
    Told(Failure),
    ClosedOutput,
    ClosedInput,
}

impl Tended {
    /// Serves the child until it ends or is told to. Returns why, for those who come later.
    pub(super) async fn run(self) -> Failure {
        let Self {
            mut process,
            pipes,
            link,
            stop,
            stop_all,
            place,
        } = self;
        let stall = STALL_MIN.max(link.spec.call_timeout.saturating_mul(2));
        let mut reader = spawn(read_messages(pipes.stdout, Arc::clone(&link)));
        let errors = spawn(log_errors(pipes.stderr, Arc::clone(&link)));
        let writing = Arc::clone(&link);
        let mut writer = spawn(async move { writing.outbox.drain(pipes.stdin, stall).await });

        let cause = tokio::select! {
            biased;
            () = stop_all.cancelled() => Cause::Told(Failure::ShuttingDown),
            () = stop.cancelled() => Cause::Told(Failure::SessionEnded),
            exit = process.wait() => Cause::Exited(exit),
            _ = &mut reader => Cause::ClosedOutput,
            _ = &mut writer => Cause::ClosedInput,
        };
        let is_read = matches!(cause, Cause::ClosedOutput);
        let is_told = matches!(cause, Cause::Told(_));
        let exit = end(&mut process, &link, &cause).await;
        if !is_read && !is_told {
            // What it answered before it went still counts.
            drop(timeout(LAST_WORDS, &mut reader).await);
        }
        let failure = Failure::UpstreamEnded {
            how: exit.describe(&link.spec.command).into(),
        };
        link.close(&failure);
        drop(timeout(LAST_WORDS, errors).await);
        drop(place);
        report(&link, &failure, is_told);
        failure
    }
}

fn spawn<F>(task: F) -> AbortOnDropHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Ends the child as far as it has not ended by itself.
async fn end(process: &mut Process, link: &Link, cause: &Cause) -> Exit {
    match cause {
        Cause::Exited(exit) => *exit,
        Cause::Told(failure) => {
            link.close(failure);
            process.stop().await
        }
        Cause::ClosedOutput | Cause::ClosedInput => {
            if let Ok(exit) = timeout(EXIT_GRACE, process.wait()).await {
                return exit;
            }
            let how = match cause {
                Cause::ClosedInput => "does not read its input",
                Cause::ClosedOutput | Cause::Exited(_) | Cause::Told(_) => "closed its output",
            };
            link.close(&Failure::UpstreamEnded { how: how.into() });
            process.stop().await
        }
    }
}

fn report(link: &Link, failure: &Failure, is_told: bool) {
    let server = &link.spec.server;
    let reason = failure.message(server);
    if is_told {
        debug!(server.id = %server, %reason, "Child ended");
        return;
    }
    link.counters.crashed.fetch_add(1, Ordering::Relaxed);
    warn!(server.id = %server, %reason, "Child ended by itself");
    *link.counters.last_error.lock() = Some(reason.into_owned());
}
