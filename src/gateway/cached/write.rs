//! Calls that make stored results stale.
//!
//! **Invariant:** what a call makes stale is gone before its client hears how it ended, and only if
//! the call was sent: a call that never left cannot have changed anything. What is given up may go on
//! all the same, and so does a task: what it makes stale goes once more when it is over, or can be no
//! longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::invalidate::Reach;
use filters::cache::task::{self, Said};
use filters::mcp::call::Call;

use crate::state::live::Live;
use crate::state::snapshot::Server;

/// How long a task is remembered whose server does not say how long it keeps it, and at most.
const TASK_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a call in flight makes stale once it is over.
#[derive(Clone)]
pub(in crate::gateway) struct Write {
    live: Arc<Live>,
    server: Arc<str>,
    reach: Reach,
    /// How long a call may take that nobody hears of any more.
    patience: Duration,
    /// What it is asked of; nothing where it is itself what writes.
    poll: Option<Poll>,
}

/// A question about a task.
#[derive(Clone)]
struct Poll {
    task: String,
    method: String,
}

impl Write {
    /// A call to `server`.
    pub(in crate::gateway) fn new(live: &Arc<Live>, server: &Server, reach: Reach) -> Self {
        Self {
            live: Arc::clone(live),
            server: Arc::clone(&server.id),
            reach,
            patience: server.cluster.limits.total,
            poll: None,
        }
    }

    /// A question about a task, which may say that it is over; nothing where nothing depends on it.
    pub(in crate::gateway) fn poll(
        live: &Arc<Live>,
        server: &Server,
        method: &str,
        task: Option<&str>,
    ) -> Option<Self> {
        let task = task?;
        let reach = live.cache.unsettled.task(&server.id, task)?;
        let poll = Poll {
            task: task.to_owned(),
            method: method.to_owned(),
        };
        Some(Self {
            poll: Some(poll),
            ..Self::new(live, server, reach)
        })
    }

    /// As [`Self::poll`], of a message that was not taken apart.
    pub(in crate::gateway) fn of_task(
        live: &Arc<Live>,
        server: &Server,
        call: &Call<'_>,
    ) -> Option<Self> {
        let task = call.target.as_ref().map(|target| target.name());
        Self::poll(live, server, call.message.method()?, task)
    }

    /// Whether it only asks, of a task.
    pub(in crate::gateway) fn is_question(&self) -> bool {
        self.poll.is_some()
    }

    /// What it makes stale, unless it only asks.
    pub(in crate::gateway) fn reach(&self) -> Option<&Reach> {
        self.poll.is_none().then_some(&self.reach)
    }

    /// The call goes on unheard: what it made stale goes for now, and once more when it must be over.
    pub(in crate::gateway) fn settle_so_far(&self) {
        if self.poll.is_none() {
            self.owe();
            self.live.cache.memory.invalidate(&self.server, &self.reach);
        }
    }

    fn owe(&self) {
        let until = Instant::now() + self.patience;
        let unsettled = &self.live.cache.unsettled;
        unsettled.owe(&self.server, self.reach.clone(), until);
    }

    /// The call was answered: what it made stale goes, here and on other instances. Where a task
    /// answered it, once more when that is over.
    pub(in crate::gateway) async fn settle(self, said: Said<'_>) {
        let unsettled = &self.live.cache.unsettled;
        match (&self.poll, said) {
            (None, Said::Result(result)) => {
                if let Some(begun) = task::begun(result) {
                    let until = Instant::now() + begun.ttl.unwrap_or(TASK_MAX).min(TASK_MAX);
                    unsettled.owe_task(&self.server, &begun.id, self.reach.clone(), until);
                }
            }
            (Some(Poll { task, method }), Said::Result(result)) => {
                let is_over = task::is_over(method, result);
                if !is_over || unsettled.end_task(&self.server, task).is_none() {
                    return;
                }
            }
            (_, Said::Other) => {}
        }
        settle(&self.live, &self.server, &self.reach).await;
    }

    /// Nobody will hear how the call ends, or whether it did: what it made stale goes, and once more
    /// when it must be over.
    pub(in crate::gateway) async fn give_up(self) {
        // What is asked of a task changes nothing.
        if self.poll.is_some() {
            return;
        }
        self.owe();
        settle(&self.live, &self.server, &self.reach).await;
    }

    /// As [`Self::give_up`], when nobody waits for it.
    pub(in crate::gateway) fn give_up_later(self) {
        let live = Arc::clone(&self.live);
        live.detached.spawn(self.give_up());
    }
}

/// What a call made stale goes, here and on other instances.
pub(in crate::gateway) async fn settle(live: &Live, server: &Arc<str>, reach: &Reach) {
    let dropped = live.cache.invalidate(server, reach).await;
    tracing::debug!(server.id = %server, dropped, "A call made results stale");
}
