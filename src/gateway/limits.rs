//! Charges messages for what they want: the one place, whichever way a message goes.
//!
//! A message is charged when its caller was found to be allowed it and guardrails let it through, and
//! before anything is done for it: before the cache is asked, before its server is.
//!
//! **Invariant:** a message is charged once, however often it is sent again.

use std::sync::Arc;
use std::time::Duration;

use filters::mcp::call::Call;
use filters::rate::fare;
use filters::refusal::Refusal;
use pingora::proxy::Session;

use crate::gateway::Ended;
use crate::gateway::exchange::Exchange;
use crate::gateway::relay::client_gone;
use crate::gateway::reply::{Reply, Wake};
use crate::limit::{Charged, Customer, Policy, Settled, Verdict};
use crate::state::live::Live;

/// What a message is charged for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Want<'w> {
    /// The server that it is for; none for what concerns several.
    pub(super) server: Option<&'w Arc<str>>,
    /// The tool that it calls, as its server spells it.
    pub(super) tool: Option<&'w str>,
}

/// How far a charge came at once.
enum Begun {
    Done(Result<(), Refusal>),
    Due(Due),
}

/// A charge that takes its time.
struct Due {
    live: Arc<Live>,
    policy: Arc<Policy>,
    customer: Customer,
    budget: Duration,
}

/// Charges a message for one server, where that takes no time; `false` where it does, and nothing was
/// charged.
pub(super) fn charge_at_once(
    exchange: &mut Exchange,
    server: &Arc<str>,
    call: &Call<'_>,
) -> Result<bool, Refusal> {
    if !fare::is_charged(call) {
        return Ok(true);
    }
    let want = Want {
        server: Some(server),
        tool: fare::tool(call),
    };
    match begin(exchange, want) {
        Begun::Done(paid) => paid.map(|()| true),
        Begun::Due(_) => {
            exchange.has_paid = false;
            Ok(false)
        }
    }
}

/// Charges a message for one server, while its client is watched.
pub(super) async fn charge(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Arc<str>,
    call: &Call<'_>,
) -> Result<(), Ended> {
    if !fare::is_charged(call) {
        return Ok(());
    }
    let want = Want {
        server: Some(server),
        tool: fare::tool(call),
    };
    charge_for(session, exchange, want).await
}

/// As [`charge`], where it is known already that it is charged.
pub(super) async fn charge_for(
    session: &mut Session,
    exchange: &mut Exchange,
    want: Want<'_>,
) -> Result<(), Ended> {
    match begin(exchange, want) {
        Begun::Done(paid) => Ok(paid?),
        Begun::Due(due) => {
            // Boxed: who is charged at once has no room for it.
            let settled = Box::pin(async {
                tokio::select! {
                    biased;
                    settled = due.settle() => Ok(settled),
                    () = client_gone(session.as_downstream_mut()) => Err(Ended::ClientGone),
                }
            });
            match settled.await {
                Ok(settled) => Ok(conclude(exchange, want, settled)?),
                Err(ended) => {
                    exchange.unspend();
                    Err(ended)
                }
            }
        }
    }
}

/// Charges a message that is answered through a reply; why it is refused, if it is.
pub(super) async fn charge_in(
    reply: &mut Reply<'_>,
    call: &Call<'_>,
    want: Want<'_>,
) -> Result<Option<Refusal>, Ended> {
    if !fare::is_charged(call) {
        return Ok(None);
    }
    match begin(reply.exchange, want) {
        Begun::Done(paid) => Ok(paid.err()),
        Begun::Due(due) => match Box::pin(reply.wait(due.settle())).await? {
            Wake::Done(settled) => Ok(conclude(reply.exchange, want, settled).err()),
            Wake::Gone => {
                reply.exchange.unspend();
                Err(Ended::ClientGone)
            }
        },
    }
}

fn begin(exchange: &mut Exchange, want: Want<'_>) -> Begun {
    let Some(policy) = &exchange.snapshot.limits else {
        return Begun::Done(Ok(()));
    };
    if std::mem::replace(&mut exchange.has_paid, true) {
        return Begun::Done(Ok(()));
    }
    let server = want.server.map(|server| &**server);
    let bill = policy.rules.bill(&exchange.principal, server, want.tool);
    match exchange.live.limiter.charge(policy, &bill) {
        Charged::Now(verdict) => {
            let settled = verdict.into();
            Begun::Done(conclude(exchange, want, settled))
        }
        Charged::Later => {
            let longest = policy.patience.map(|patience| patience.max_wait);
            Begun::Due(Due {
                live: Arc::clone(&exchange.live),
                policy: Arc::clone(policy),
                customer: Customer {
                    principal: Arc::clone(&exchange.principal),
                    server: want.server.map(Arc::clone),
                    tool: want.tool.map(str::to_owned),
                },
                // The entries of a batch share what time there is.
                budget: longest.unwrap_or_default().saturating_sub(exchange.waited),
            })
        }
    }
}

impl Due {
    async fn settle(self) -> Settled {
        let limiter = &self.live.limiter;
        let settling = limiter.settle(&self.policy, &self.customer, self.budget);
        settling.await
    }
}

/// Counts what became of it, and says it.
fn conclude(exchange: &mut Exchange, want: Want<'_>, settled: Settled) -> Result<(), Refusal> {
    let paid = settle(exchange, want, settled);
    if paid.is_err() {
        exchange.unspend();
    }
    paid
}

fn settle(exchange: &mut Exchange, want: Want<'_>, settled: Settled) -> Result<(), Refusal> {
    let metrics = &exchange.live.metrics.limits;
    if let Some(waited) = settled.waited {
        metrics.note_wait(waited);
        exchange.waited += waited;
    }
    match settled.verdict {
        Verdict::Allowed => Ok(()),
        Verdict::Uncounted => {
            metrics.count_uncounted();
            Ok(())
        }
        Verdict::Unavailable => {
            metrics.count_uncounted();
            Err(Refusal::LimitsUnavailable)
        }
        Verdict::Refused(refused) => {
            let server = want.server.map_or("_all", |server| &**server);
            let label = &refused.rule.label;
            metrics.count_rejection(&exchange.principal.client, server, label);
            Err(Refusal::RateLimited {
                label: label.clone(),
                limit: refused.rule.limit.n_calls,
                retry_after: refused.seconds(),
            })
        }
    }
}
