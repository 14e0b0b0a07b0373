//! A session's own stream: what the server says on no call's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use filters::mcp::era::is_stream_loss;
use filters::rpc::parse::{self, Body};
use filters::rpc::write;

use super::Session;
use crate::upstream::error::Error;
use crate::upstream::fields::Mcp;
use crate::upstream::talk::{Patience, Talk};

/// How soon a broken stream is opened again, at first and at the latest.
const REOPEN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How long a call waits for its session's stream, on which the server may ask something.
const ATTEND_MAX: Duration = Duration::from_secs(1);

impl Session {
    /// Opens the session's stream, unless it is, and keeps it open until the session is over.
    pub fn listen(self: &Arc<Self>) {
        if self.is_listening.swap(true, Ordering::AcqRel) {
            return;
        }
        let session = Arc::clone(self);
        self.remote.background.spawn(async move {
            let over = session.over.clone();
            over.run_until_cancelled(read(&session)).await;
        });
    }

    /// Opens the session's stream and waits until it is, or is not to be had: what a server sends
    /// on it before is lost.
    pub async fn attend(self: &Arc<Self>) {
        self.listen();
        tokio::select! {
            () = self.attended.cancelled() => {}
            () = self.over.cancelled() => {}
            () = pingora_timeout::sleep(ATTEND_MAX) => {}
        }
    }

    /// Opens the stream: a new one, or one that goes on after an event.
    pub(super) async fn open_stream(&self, last_event: Option<&str>) -> Result<Talk, Error> {
        let mcp = Mcp {
            last_event,
            ..self.mcp(None)
        };
        self.remote
            .bodiless("GET", &self.caller(), &mcp, Patience::Listen)
            .await
    }
}

/// Reads the session's stream, and opens it again where it broke.
async fn read(session: &Arc<Session>) {
    let mut pause = REOPEN.0;
    let mut last_event: Option<String> = None;
    loop {
        let opened = session.open_stream(last_event.as_deref()).await;
        session.attended.cancel();
        match opened {
            Ok(mut talk) if talk.is_stream() => {
                while let Ok(Some(message)) = talk.next().await {
                    pause = REOPEN.0;
                    if !answer_ping(session, &message).await {
                        session.publish(&message);
                    }
                }
                last_event = talk.last_event().map(str::to_owned).or(last_event);
                pause = talk.retry().unwrap_or(pause).min(REOPEN.1);
            }
            Ok(mut talk) => match talk.status {
                // It has no such stream.
                405 | 501 => return,
                status => {
                    let body = talk.rest().await.unwrap_or_default();
                    let is_lost = session.id.is_some()
                        && is_stream_loss(status, &String::from_utf8_lossy(&body));
                    if is_lost {
                        session.lose();
                    }
                    if is_lost || status == 404 {
                        return;
                    }
                }
            },
            Err(error) => {
                tracing::debug!(server.id = %session.remote.id(), %error, "Session's stream broke");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(REOPEN.1);
    }
}

/// Answers a `ping` of the server's; `true` where it was one.
pub async fn answer_ping(session: &Session, message: &Bytes) -> bool {
    let Ok(text) = std::str::from_utf8(message) else {
        return false;
    };
    let Ok(parse::Message {
        body: Body::Request { id, method, .. },
        ..
    }) = parse::message(text)
    else {
        return false;
    };
    if method != "ping" {
        return false;
    }
    if let Err(error) = session.tell(write::result(id, "{}")).await {
        tracing::debug!(server.id = %session.remote.id(), %error, "Ping could not be answered");
    }
    true
}
