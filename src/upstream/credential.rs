//! Credentials of the gateway's own: what every request to a server carries, how it is kept fresh, and
//! what is done where the server does not accept it.
//!
//! **Invariant:** one task renews a credential, so one renewal is under way at a time, and requests
//! only ever read what it got last: no file, clock of a file or network is looked at for them.
//!
//! **Invariant:** what was got last is used as long as it is good, whatever becomes of renewals.

pub mod file;
pub mod grant;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use filters::mask::Mask;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::upstream::credential::file::File;
use crate::upstream::credential::grant::Grant;
use crate::upstream::error::Error;

/// How long a request waits for a credential that is not there, or was refused.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How soon a credential that servers refuse is renewed for that again.
const REFUSED_COOLDOWN: Duration = Duration::from_secs(10);
/// How soon one that is not there is asked for again, for requests.
const MISSING_COOLDOWN: Duration = Duration::from_secs(1);
/// How soon after a renewal that failed the next one is tried, at first; then twice as long each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How soon at the latest.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// How much sooner than its end a credential is used no more: a request takes its time to arrive.
const END_MARGIN: Duration = Duration::from_secs(5);

/// Whose credential requests to a server carry.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// That of whoever sends a request, if any: what the server says of it is for them.
    Callers,
    /// The gateway's: what the server says of it is for nobody else (E19).
    Own(Own),
}

/// The gateway's own credentials at a server.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// One that is sent as `Authorization`, if there is one.
    pub credential: Option<Arc<Credential>>,
    /// Whether one stands in the headers that every request carries, or in the URL.
    pub is_written: bool,
    /// Covers what else is secret of what is sent.
    pub mask: Option<Arc<Mask>>,
}

/// One credential, and what keeps it fresh.
pub struct Credential {
    server: Arc<str>,
    /// What else must not be shown of what is sent with it.
    others: Vec<String>,
    source: Option<Source>,
    current: ArcSwapOption<Ticket>,
    progress: Mutex<Progress>,
    wanted: Notify,
    /// How many renewals are over.
    over: watch::Sender<u64>,
}

/// Where a credential comes from.
pub enum Source {
    /// A file that somebody else writes.
    File(File),
    /// A token endpoint.
    Grant(Box<Grant>),
}

/// A credential as it is sent.
pub struct Ticket {
    /// The header line, with its CRLF.
    pub line: Vec<u8>,
    /// Covers it, and what else is secret, in answers.
    pub mask: Option<Arc<Mask>>,
    token: String,
    ends: Option<Instant>,
}

/// A credential as its source gave it.
#[derive(Debug)]
pub struct Fetched {
    /// The token.
    pub token: Token,
    /// When another is asked for.
    pub next: Duration,
    /// How long it is good, if that is known.
    pub lifetime: Option<Duration>,
}

/// A token, which must not be shown.
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

/// Why a credential could not be renewed; for the operator, and nothing of it is a secret.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file holds no token.
    #[error("{0} does not hold one token: visible ASCII without spaces, quotes and commas")]
    Content(String),
    /// The token endpoint, or its issuer, could not be asked.
    #[error("{what} {error}")]
    Upstream {
        /// Which of them.
        what: &'static str,
        /// Why.
        error: Error,
    },
    /// What it answered is of no use.
    #[error("{0}")]
    Answer(filters::grant::Failure),
    /// The endpoint that the issuer names is not one to send a secret to.
    #[error("token endpoint of the issuer's metadata {0}")]
    Learned(#[from] super::learned::Refused),
}

#[derive(Default)]
struct Progress {
    began: Option<Instant>,
    forced: Option<Instant>,
    is_running: bool,
}

/// How a renewal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// There is another credential, or the same for longer.
    Renewed,
    /// It is the one that there was.
    Unchanged,
    /// There is none but the one that there was, if any.
    Failed,
}

impl Renewal {
    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// Why a credential is renewed out of turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Missing,
    Refused,
}

// === impl Credentials ===

impl Credentials {
    /// The gateway's own, where it is that.
    #[must_use]
    pub fn own(&self) -> Option<&Own> {
        match self {
            Self::Callers => None,
            Self::Own(own) => Some(own),
        }
    }
}

// === impl Ticket ===

impl Ticket {
    fn new(token: String, lifetime: Option<Duration>, others: &[String]) -> Self {
        let secrets = others.iter().map(String::as_str);
        let mask = Mask::of(secrets.chain([token.as_str()])).map(Arc::new);
        let margin = |whole: Duration| END_MARGIN.min(whole / 10);
        Self {
            line: format!("authorization: Bearer {token}\r\n").into_bytes(),
            mask,
            token,
            ends: lifetime.map(|whole| Instant::now() + whole.saturating_sub(margin(whole))),
        }
    }

    fn is_good(&self) -> bool {
        self.ends.is_none_or(|ends| Instant::now() < ends)
    }
}

// === impl Credential ===

impl Credential {
    /// A credential that is always the same. `others` must not be shown either.
    #[must_use]
    pub fn fixed(server: Arc<str>, token: String, others: Vec<String>) -> Self {
        let ticket = Ticket::new(token, None, &others);
        Self {
            current: ArcSwapOption::from_pointee(ticket),
            ..Self::empty(server, None, others)
        }
    }

    /// A credential that [`Self::run`] keeps fresh.
    #[must_use]
    pub fn renewed(server: Arc<str>, source: Source, others: Vec<String>) -> Self {
        Self::empty(server, Some(source), others)
    }

    fn empty(server: Arc<str>, source: Option<Source>, others: Vec<String>) -> Self {
        let progress = Progress {
            // Whoever comes before the first is there waits for it.
            is_running: source.is_some(),
            ..Progress::default()
        };
        Self {
            server,
            others,
            source,
            current: ArcSwapOption::empty(),
            progress: Mutex::new(progress),
            wanted: Notify::new(),
            over: watch::Sender::new(0),
        }
    }

    /// What to send.
    ///
    /// # Errors
    /// [`Error::CredentialMissing`], where there is nothing that is good, and none comes in time.
    pub async fn ticket(&self) -> Result<Arc<Ticket>, Error> {
        if let Some(ticket) = self.good() {
            return Ok(ticket);
        }
        self.renew(Need::Missing).await;
        self.good().ok_or(Error::CredentialMissing)
    }

    /// What to send instead of what a server refused, if there is something else now.
    pub async fn instead_of(&self, refused: &Ticket) -> Option<Arc<Ticket>> {
        let other = || self.good().filter(|now| now.token != refused.token);
        if let Some(ticket) = other() {
            return Some(ticket);
        }
        self.source.as_ref()?;
        self.renew(Need::Refused).await;
        other()
    }

    /// What was got last, if it is good.
    #[must_use]
    pub fn good(&self) -> Option<Arc<Ticket>> {
        self.current.load_full().filter(|ticket| ticket.is_good())
    }

    /// Has it renewed, unless that was just done, and waits for it within bounds.
    async fn renew(&self, need: Need) {
        let mut over = self.over.subscribe();
        {
            let mut progress = self.progress.lock();
            if !progress.is_running {
                let (last, cooldown) = match need {
                    Need::Missing => (progress.began, MISSING_COOLDOWN),
                    Need::Refused => (progress.forced, REFUSED_COOLDOWN),
                };
                if last.is_some_and(|last| last.elapsed() < cooldown) {
                    return;
                }
                if need == Need::Refused {
                    progress.forced = Some(Instant::now());
                }
                progress.is_running = true;
                self.wanted.notify_one();
            }
        }
        if timeout(WAIT_MAX, over.changed()).await.is_err() {
            tracing::debug!(server.id = %self.server, "Credential did not come in time");
        }
    }

    /// Renews it, again and again, until it is told to stop; `told` hears how each renewal ended.
    pub async fn run(
        self: Arc<Self>,
        stop: CancellationToken,
        told: impl Fn(Renewal) + Send + Sync,
    ) {
        let Some(source) = &self.source else { return };
        let mut state = Keeping::default();
        loop {
            let began = Instant::now();
            {
                let mut progress = self.progress.lock();
                progress.began = Some(began);
                progress.is_running = true;
            }
            let fetched = stop.run_until_cancelled(source.fetch());
            let Some(fetched) = fetched.await else { return };
            let (renewal, pause) = match fetched {
                Ok(fetched) => self.take(fetched, &mut state),
                Err(failure) => (Renewal::Failed, self.miss(&failure, source, &mut state)),
            };
            told(renewal);
            self.progress.lock().is_running = false;
            self.over.send_modify(|count| *count += 1);
            let next = async {
                tokio::select! {
                    () = sleep_until(began + pause) => {}
                    () = self.wanted.notified() => {}
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
        }
    }

    fn take(&self, fetched: Fetched, state: &mut Keeping) -> (Renewal, Duration) {
        let Fetched {
            token: Token(token),
            next,
            lifetime,
        } = fetched;
        let known = self.current.load();
        let is_same = known.as_ref().is_some_and(|known| known.token == token);
        // One whose end is known is another one, if it is good for longer.
        let is_renewed = !is_same || lifetime.is_some();
        if is_renewed {
            let ticket = Ticket::new(token, lifetime, &self.others);
            self.current.store(Some(Arc::new(ticket)));
        }
        if !is_same || state.failure.is_some() {
            tracing::info!(server.id = %self.server, "Credential is renewed");
        }
        *state = Keeping::default();
        match is_renewed {
            true => (Renewal::Renewed, next),
            false => (Renewal::Unchanged, next),
        }
    }

    fn miss(&self, failure: &Failure, source: &Source, state: &mut Keeping) -> Duration {
        let kept = self.good().is_some();
        let text = failure.to_string();
        // What lasts is said once.
        if state.failure.as_ref() == Some(&(text.clone(), kept)) {
            tracing::debug!(server.id = %self.server, error = %text, kept, "Credential could not be renewed");
        } else {
            tracing::warn!(server.id = %self.server, error = %text, kept, "Credential could not be renewed");
        }
        state.failure = Some((text, kept));
        let pause = state.retry;
        state.retry = (pause * 2).min(RETRY_MAX);
        match source {
            Source::File(file) => file.every,
            Source::Grant(_) => jittered(pause),
        }
    }
}

/// How renewals go.
struct Keeping {
    retry: Duration,
    /// What failed last, and whether there is something good nevertheless.
    failure: Option<(String, bool)>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            retry: RETRY_FIRST,
            failure: None,
        }
    }
}

impl Source {
    async fn fetch(&self) -> Result<Fetched, Failure> {
        match self {
            Self::File(file) => file.fetch().await,
            Self::Grant(grant) => grant.fetch().await,
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credential")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Up to a tenth less, so that instances do not ask all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests;
