//! How often callers call: the counts, in memory or in Redis, and the calls that wait for their turn.
//!
//! Which buckets a call pays from and whether they can is decided in `filters::rate`. Here stands
//! what was paid, for as long as it counts; it outlives a reload, the [`Policy`] does not.
//!
//! **Invariant:** a call pays all its buckets or none, on all instances that share a Redis.
//! **Invariant:** with Redis gone or slow a call waits for it no longer than [`redis::TIMEOUT`].

pub mod key;
pub mod memory;
pub mod queue;
pub mod redis;

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::identity::Principal;
use filters::rate::charge::{Decision, Refused, Standing};
use filters::rate::rules::{Bill, Bucket, Rules};

use crate::limit::key::Seeds;
use crate::limit::memory::Memory;
use crate::limit::queue::{Patience, Queues};
use crate::limit::redis::Redis;

/// The limits of one configuration.
#[derive(Debug, Default)]
pub struct Policy {
    /// Which limits there are.
    pub rules: Rules,
    /// How long calls may wait for their turn; `None` refuses them at once.
    pub patience: Option<Patience>,
    /// What happens to calls that Redis does not count.
    pub on_backend_error: OnBackendError,
}

/// What happens to a call while the store of the counts does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBackendError {
    /// It passes, uncounted.
    #[default]
    Allow,
    /// It is refused.
    Deny,
}

/// The counts.
pub enum Store {
    /// Of this gateway.
    Memory(Box<Memory>),
    /// Of all gateways that share a Redis.
    Redis(Arc<Redis>),
}

/// The counts, and the calls that wait.
pub struct Limiter {
    /// What was paid.
    pub store: Store,
    queues: Queues,
    seeds: Seeds,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It paid.
    Allowed,
    /// It passes although nobody could count it.
    Uncounted,
    /// A limit is used up.
    Refused(Refused),
    /// Nobody can count it, and so it does not pass.
    Unavailable,
}

/// What became of a call, and how long it stood in line for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What became of it.
    pub verdict: Verdict,
    /// How long it stood in line, if it did.
    pub waited: Option<Duration>,
}

/// What is known of a call at once.
#[derive(Debug)]
pub enum Charged {
    /// This becomes of it.
    Now(Verdict),
    /// Redis has to be asked, or it may wait for its turn: see [`Limiter::settle`].
    Later,
}

/// A call that is charged later: what its bill is made from.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// The server.
    pub server: Option<Arc<str>>,
    /// Its tool.
    pub tool: Option<String>,
}

// === impl Limiter ===

impl Limiter {
    /// A limiter that counted nothing yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            queues: Queues::default(),
            seeds: Seeds::default(),
        }
    }

    /// Charges a call, where that needs no waiting.
    #[must_use]
    pub fn charge(&self, policy: &Policy, bill: &Bill<'_>) -> Charged {
        if bill.is_empty() {
            return Charged::Now(Verdict::Allowed);
        }
        if policy.patience.is_some() && self.queues.ahead(&self.seeds, bill).is_some() {
            return Charged::Later;
        }
        match &self.store {
            Store::Memory(memory) => match memory.charge(bill) {
                Decision::Allowed => Charged::Now(Verdict::Allowed),
                Decision::Refused(refused) if is_hopeless(policy, &refused) => {
                    Charged::Now(Verdict::Refused(refused))
                }
                Decision::Refused(_) => Charged::Later,
            },
            Store::Redis(redis) if redis.is_used() => Charged::Later,
            Store::Redis(_) => Charged::Now(policy.on_backend_error.verdict()),
        }
    }

    /// Charges a call however long that takes, within `budget` where it waits for its turn. Whoever
    /// drops this leaves the queue.
    pub async fn settle(&self, policy: &Policy, customer: &Customer, budget: Duration) -> Settled {
        let bill = customer.bill(policy);
        let patience = policy.patience.filter(|_| !budget.is_zero());
        let Some(patience) = patience else {
            return self.ask(policy, &bill).await.into();
        };
        let ahead = self.queues.ahead(&self.seeds, &bill);
        let (owner, refused) = match ahead {
            Some(owner) => (owner, None),
            None => match self.ask(policy, &bill).await {
                Verdict::Refused(refused) if refused.wait <= budget => {
                    let owner = queue::owner_of(&self.seeds, &bill, &refused);
                    (owner, Some(refused))
                }
                verdict @ (Verdict::Allowed
                | Verdict::Uncounted
                | Verdict::Refused(_)
                | Verdict::Unavailable) => return verdict.into(),
            },
        };
        let began = Instant::now();
        let turn = queue::Turn {
            owner,
            refused,
            deadline: began + budget,
            n_calls_max: patience.n_calls_max,
            seeds: &self.seeds,
            bill: &bill,
        };
        let verdict = self.queues.wait(turn, || self.ask(policy, &bill)).await;
        Settled {
            verdict,
            waited: Some(began.elapsed()),
        }
    }

    /// Charges a call, without a thought of others that wait.
    async fn ask(&self, policy: &Policy, bill: &Bill<'_>) -> Verdict {
        match &self.store {
            Store::Memory(memory) => memory.charge(bill).into(),
            Store::Redis(redis) => match redis.charge(bill).await {
                Ok(decision) => decision.into(),
                Err(_) => policy.on_backend_error.verdict(),
            },
        }
    }

    /// How buckets stand; nothing is charged.
    ///
    /// # Errors
    /// If Redis does not tell.
    pub async fn stand(&self, buckets: &[Bucket<'_>]) -> Result<Vec<Standing>, redis::Error> {
        match &self.store {
            Store::Memory(memory) => Ok(memory.stand(buckets)),
            Store::Redis(redis) => redis.stand(buckets).await,
        }
    }

    /// Forgets what everybody paid, and gives those who wait their turn.
    ///
    /// # Errors
    /// If Redis does not do it.
    pub async fn reset(&self) -> Result<(), redis::Error> {
        match &self.store {
            Store::Memory(memory) => memory.reset(),
            Store::Redis(redis) => redis.reset(None).await?,
        }
        self.queues.wake();
        Ok(())
    }

    /// Forgets what one client paid from its own buckets, in all tenants or in one.
    ///
    /// # Errors
    /// If Redis does not do it.
    pub async fn reset_client(
        &self,
        client: &str,
        tenant: Option<&str>,
    ) -> Result<(), redis::Error> {
        match &self.store {
            Store::Memory(memory) => memory.reset_client(client, tenant),
            Store::Redis(redis) => redis.reset(Some((client, tenant))).await?,
        }
        self.queues.wake();
        Ok(())
    }

    /// How many calls wait for their turn.
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        self.queues.n_waiting()
    }
}

/// Whether nobody needs to wait for a turn that cannot come in time.
fn is_hopeless(policy: &Policy, refused: &Refused) -> bool {
    let longest = policy.patience.map(|patience| patience.max_wait);
    longest.is_none_or(|longest| longest < refused.wait)
}

impl Customer {
    /// What it has to pay.
    #[must_use]
    pub fn bill<'b>(&'b self, policy: &'b Policy) -> Bill<'b> {
        let rules = &policy.rules;
        rules.bill(
            &self.principal,
            self.server.as_deref(),
            self.tool.as_deref(),
        )
    }
}

impl OnBackendError {
    fn verdict(self) -> Verdict {
        match self {
            Self::Allow => Verdict::Uncounted,
            Self::Deny => Verdict::Unavailable,
        }
    }
}

impl From<Verdict> for Settled {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            waited: None,
        }
    }
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allowed => Self::Allowed,
            Decision::Refused(refused) => Self::Refused(refused),
        }
    }
}
