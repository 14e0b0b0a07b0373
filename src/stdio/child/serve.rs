//! One child at work: its pipes, and its end.
//!
//! **Invariant:** however a child ends, its calls fail at once, and it is served until it is
//! reaped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{Exit, Pipes, Process, start};
use crate::stdio::Program;
use crate::stdio::failure::Failure;
use crate::stdio::link::Link;
use crate::stdio::reader::{log_errors, read_messages};
use crate::stdio::runtime::Runtime;
use crate::stdio::tend::{Ended, Halt};

/// How long a child that closed a pipe has to end by itself, so that its status can be told.
const EXIT_GRACE: Duration = Duration::from_millis(250);
/// How long what an ended child wrote last may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// A child that takes none of its input for this long is given up.
const STALL_MIN: Duration = Duration::from_secs(60);

/// A child that was started.
#[derive(Debug)]
pub(in crate::stdio) struct Child {
    process: Process,
    pipes: Pipes,
    /// For messages: what was started.
    command: String,
}

/// What ended a child's service.
enum Cause {
    Exited(Exit),
    Told(Failure),
    ClosedOutput,
    ClosedInput,
}

impl Child {
    /// Starts `program`.
    ///
    /// # Errors
    /// See [`start`].
    pub(in crate::stdio) async fn start(program: &Program, runtime: &Runtime) -> io::Result<Self> {
        let (process, pipes) = start(program, runtime).await?;
        Ok(Self {
            process,
            pipes,
            command: program.command.clone(),
        })
    }

    /// Serves it until nothing of it is left. Closes the link.
    pub(in crate::stdio) async fn serve(self, link: &Arc<Link>, halt: &Halt) -> Ended {
        let Self {
            mut process,
            pipes,
            command,
        } = self;
        let stall = STALL_MIN.max(link.spec.call_timeout.saturating_mul(2));
        let mut reader = spawn(read_messages(pipes.stdout, Arc::clone(link)));
        let errors = spawn(log_errors(pipes.stderr, Arc::clone(link)));
        let writing = Arc::clone(link);
        let mut writer = spawn(async move { writing.outbox.drain(pipes.stdin, stall).await });

        let cause = tokio::select! {
            biased;
            failure = halt.told() => Cause::Told(failure),
            exit = process.wait() => Cause::Exited(exit),
            _ = &mut reader => Cause::ClosedOutput,
            _ = &mut writer => Cause::ClosedInput,
        };
        let is_read = matches!(cause, Cause::ClosedOutput);
        let is_told = matches!(cause, Cause::Told(_));
        let exit = end(&mut process, link, &cause).await;
        if !is_read && !is_told {
            // What it answered before it went still counts.
            drop(timeout(LAST_WORDS, &mut reader).await);
        }
        let failure = Failure::UpstreamEnded {
            how: exit.describe(&command).into(),
        };
        link.close(&failure);
        drop(timeout(LAST_WORDS, errors).await);
        Ended { failure, is_told }
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
