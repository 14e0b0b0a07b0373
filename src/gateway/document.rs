//! Relays an answer that is one document, as it comes. Of the answer to a write, the last part is kept
//! back until what it makes stale is settled.

use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use filters::json::outcome::TopLevel;
use filters::refusal::Phase;
use futures_util::poll;
use pingora::proxy::Session;
use pingora_timeout::fast_timeout::fast_timeout;

use crate::gateway::Ended;
use crate::gateway::aftercare::Aftercare;
use crate::gateway::exchange::Exchange;
use crate::gateway::relay::{broken, client_gone};
use crate::telemetry::outcome::Status;
use crate::upstream::error::Error;
use crate::upstream::relay::Body;

/// Relays a document to its end.
pub(super) async fn relay(
    session: &mut Session,
    exchange: &mut Exchange,
    mut body: Body,
    mut care: Aftercare,
) -> Result<(), Ended> {
    let mut seen = TopLevel::default();
    // The last that came of the answer to a write: only then is it known to be the last.
    let mut held = None;
    loop {
        // A short answer came with its head: nothing is waited for, nor timed.
        let there = poll!(pin!(body.next()));
        let next = if let Poll::Ready(next) = there {
            Ok(next)
        } else {
            let left = care.deadline.saturating_duration_since(Instant::now());
            let limit = care.limits.idle.min(left);
            tokio::select! {
                biased;
                next = fast_timeout(limit, body.next()) => next,
                () = client_gone(session.as_downstream_mut()) => {
                    care.abandon_body(body);
                    return Err(Ended::ClientGone);
                }
            }
        };
        let bytes = match next {
            Ok(Ok(bytes)) => bytes,
            // The head is with the client: all that is left is to break off.
            Ok(Err(error)) => {
                care.give_up().await;
                return Err(broken(exchange, &error));
            }
            Err(_) => {
                care.cancel();
                care.give_up().await;
                return Err(broken(exchange, &Error::Timeout(Phase::Idle)));
            }
        };
        if let Some(bytes) = &bytes {
            seen.observe(bytes);
            care.hear(bytes);
        }
        let is_over = bytes.is_none() || body.is_done();
        let mut bytes = bytes.unwrap_or_default();
        if care.write.is_some() && !is_over {
            match held.replace(bytes) {
                Some(earlier) => bytes = earlier,
                None => continue,
            }
        } else if let Some(earlier) = held.take() {
            care.settle().await;
            bytes = [earlier, bytes].concat().into();
        } else {
            care.settle().await;
        }
        let written = session
            .as_downstream_mut()
            .write_response_body(bytes, is_over)
            .await;
        if written.is_err() {
            care.abandon_body(body);
            return Err(Ended::ClientGone);
        }
        if is_over {
            if seen.is_error() {
                exchange.outcome.status = Status::Error;
            }
            return Ok(());
        }
    }
}
