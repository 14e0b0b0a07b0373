//! Which eras of MCP a server speaks: asked, remembered, and asked again where something speaks
//! against what is remembered.
//!
//! **Invariant:** only an answer is evidence. A server that refuses the caller, is overloaded, or is
//! not there, has said nothing about its era.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::mcp::era::{self, Verdict};
use filters::mcp::revision::Era;
use filters::mcp::translate::up;
use parking_lot::Mutex;

use crate::upstream::error::Error;
use crate::upstream::fields::{Caller, Mcp};
use crate::upstream::found::Dialect;
use crate::upstream::http_sse;
use crate::upstream::remote::{Post, Remote, Transport};
use crate::upstream::session::Session;
use crate::upstream::session::open::OpenError;
use crate::upstream::talk::Patience;

/// How long "it is not modern" is believed: a server that was upgraded does not say so.
const LEGACY_BELIEVED: Duration = Duration::from_secs(300);
/// How long a server that could not be judged is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Longest time one question may take.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// The modern revision the gateway speaks to servers.
pub const MODERN: &str = "2026-07-28";

/// What the configuration says of a server's era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// To be found out.
    #[default]
    Auto,
    /// Only that one.
    Only(Era),
}

/// Whether a server speaks an era.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nobody asked yet.
    #[default]
    Unknown,
    /// It does.
    Yes,
    /// It does not.
    No,
}

/// What is known of one server.
#[derive(Debug, Default)]
pub struct Verdicts {
    choice: Choice,
    known: Mutex<Known>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    modern: Standing,
    legacy: Standing,
    /// When `modern` was decided.
    decided: Option<Instant>,
    /// Until when not to ask again.
    quiet_until: Option<Instant>,
    discover: Option<Arc<str>>,
}

impl Verdicts {
    /// Nothing but what the configuration says.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            ..Self::default()
        }
    }

    /// Whether the server speaks `era`, as far as is known.
    #[must_use]
    pub fn serves(&self, era: Era) -> Standing {
        match self.choice {
            Choice::Only(only) if only == era => return Standing::Yes,
            Choice::Only(_) => return Standing::No,
            Choice::Auto => {}
        }
        let known = self.known.lock();
        match era {
            Era::Legacy => known.legacy,
            Era::Modern => known.modern,
        }
    }

    /// Whether no answer ever showed anything.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let known = self.known.lock();
        known.modern == Standing::Unknown && known.legacy == Standing::Unknown
    }

    /// Whether "it is not modern" was believed long enough: true for one who asks.
    fn is_stale(&self) -> bool {
        let mut known = self.known.lock();
        let is_old = |at: Instant| at.elapsed() >= LEGACY_BELIEVED;
        let is_stale = known.modern == Standing::No && known.decided.is_some_and(is_old);
        if is_stale {
            known.decided = Some(Instant::now());
        }
        is_stale
    }

    /// Remembers what an answer showed.
    pub fn note(&self, era: Era, standing: Standing) {
        let mut known = self.known.lock();
        match era {
            Era::Modern => {
                known.modern = standing;
                known.decided = Some(Instant::now());
                if standing != Standing::Yes {
                    known.discover = None;
                }
            }
            Era::Legacy => known.legacy = standing,
        }
    }

    /// Forgets everything: something spoke against it.
    pub fn doubt(&self) {
        *self.known.lock() = Known::default();
    }

    /// The last `DiscoverResult`.
    #[must_use]
    pub fn discovered(&self) -> Option<Arc<str>> {
        self.known.lock().discover.clone()
    }

    fn is_quiet(&self) -> bool {
        self.known
            .lock()
            .quiet_until
            .is_some_and(|until| Instant::now() < until)
    }

    fn learn(&self, modern: Standing, legacy: Standing, discover: Option<&str>) {
        let mut known = self.known.lock();
        known.modern = modern;
        if legacy != Standing::Unknown {
            known.legacy = legacy;
        }
        known.decided = Some(Instant::now());
        known.quiet_until = (modern == Standing::Unknown).then(|| Instant::now() + RETRY_AFTER);
        known.discover = discover.map(Arc::from);
    }
}

/// The era in which to speak to a server for a client of `wanted`: the client's own wherever the
/// server has it (D2: behaviour differs by era), else the other.
pub async fn decide(remote: &Arc<Remote>, caller: &Caller, wanted: Era) -> Era {
    let other = match wanted {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    };
    match (remote.eras.serves(wanted), remote.eras.serves(other)) {
        (Standing::Yes, _) => wanted,
        (Standing::No, _) => {
            // A program is what it was when the gateway started; a server elsewhere may be renewed.
            if remote.transport == Transport::Http && remote.eras.is_stale() {
                let (remote, caller) = (Arc::clone(remote), caller.clone());
                let background = remote.background.clone();
                background.spawn(async move { ask(&remote, &caller).await });
            }
            other
        }
        // A legacy client's own handshake shows it.
        (Standing::Unknown, Standing::Unknown) if wanted == Era::Legacy => wanted,
        (Standing::Unknown, _) => {
            ask(remote, caller).await;
            match remote.eras.serves(wanted) {
                Standing::No => other,
                Standing::Yes | Standing::Unknown => wanted,
            }
        }
    }
}

/// Asks a server which eras it speaks, unless somebody just did.
pub async fn ask(remote: &Arc<Remote>, caller: &Caller) {
    let before = remote.eras.known.lock().decided;
    let _turn = remote.eras.asking.lock().await;
    if remote.eras.is_quiet() || remote.eras.known.lock().decided != before {
        return;
    }
    let verdict = discover(remote, caller).await;
    match verdict {
        Ok((Verdict::Modern, text)) => {
            remote
                .eras
                .learn(Standing::Yes, Standing::Unknown, text.as_deref())
        }
        Ok((Verdict::Legacy, _)) => shake_hands(remote, caller).await,
        // A program that hangs or ends on a message it does not know is an old one.
        Ok((Verdict::Inconclusive, _)) | Err(_) if remote.transport == Transport::Pipe => {
            shake_hands(remote, caller).await;
        }
        Ok((Verdict::Inconclusive, _)) | Err(_) => {
            remote
                .eras
                .learn(Standing::Unknown, Standing::Unknown, None);
        }
    }
    tracing::debug!(
        server.id = %remote.id(),
        modern = ?remote.eras.serves(Era::Modern),
        legacy = ?remote.eras.serves(Era::Legacy),
        "Server's eras asked"
    );
}

/// What a modern server says of itself.
///
/// # Errors
/// Where it cannot be asked, or does not answer as one.
pub async fn introduce(remote: &Arc<Remote>, caller: &Caller) -> Result<Arc<str>, Error> {
    if let Some(known) = remote.eras.discovered() {
        return Ok(known);
    }
    match discover(remote, caller).await? {
        (Verdict::Modern, Some(result)) => {
            remote
                .eras
                .learn(Standing::Yes, Standing::Unknown, Some(&result));
            Ok(result.into())
        }
        _ => Err(Error::NotHttp("no answer to server/discover")),
    }
}

/// Puts the modern question.
async fn discover(
    remote: &Arc<Remote>,
    caller: &Caller,
) -> Result<(Verdict, Option<String>), Error> {
    let envelope = up::Envelope {
        revision: MODERN,
        capabilities: "{}",
        client_info: Some(super::CLIENT_INFO),
        log_level: None,
    };
    let id = format!("\"conduit-{}\"", remote.serial());
    let body = up::request(
        &id,
        "server/discover",
        Some(&up::modern_params(None, &envelope)),
    );
    let post = Post {
        mcp: Mcp {
            era: Era::Modern,
            revision: Some(MODERN),
            method: Some("server/discover"),
            ..Mcp::BARE
        },
        is_repeatable: true,
    };
    let patience = Patience::Call {
        deadline: Instant::now() + PROBE_MAX,
    };
    let mut talk = remote.post(caller, post, body, patience).await?;
    let answer = last(&mut talk).await?;
    let text = String::from_utf8_lossy(&answer);
    let verdict = era::probe(talk.status, &text);
    let result = filters::json::object::Object::read(&text)
        .and_then(|object| object.get("result").map(str::to_owned));
    Ok((verdict, result))
}

/// The last message of an answer, whichever way it came.
async fn last(talk: &mut super::talk::Talk) -> Result<bytes::Bytes, Error> {
    let mut last = bytes::Bytes::new();
    while let Some(message) = talk.next().await? {
        last = message;
    }
    Ok(last)
}

/// Puts the legacy question: a handshake, ended at once.
async fn shake_hands(remote: &Arc<Remote>, caller: &Caller) {
    match Session::open(remote, caller, "{}").await {
        Ok(session) => {
            session.close().await;
            remote.eras.learn(Standing::No, Standing::Yes, None);
        }
        Err(error) => {
            if matches!(
                error,
                OpenError::Refused {
                    status: 400 | 404 | 405,
                    ..
                }
            ) && remote.transport == Transport::Http
                && remote.eras.choice != Choice::Only(Era::Modern)
                && http_sse::is_http_sse(&remote.cluster, &remote.fields.lines).await
            {
                tracing::info!(
                    server.id = %remote.id(),
                    "Server speaks the HTTP+SSE transport of 2024-11-05"
                );
                remote.finder.tell(Dialect::HttpSse).await;
            }
            tracing::debug!(server.id = %remote.id(), %error, "Server could not be judged");
            remote
                .eras
                .learn(Standing::Unknown, Standing::Unknown, None);
        }
    }
}
