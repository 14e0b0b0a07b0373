//! The public keys of an identity provider: fetched, kept, and fetched again.
//!
//! **Invariant:** one fetch at a time, by one task, and none sooner after the one before than the
//! cool-down, whatever tokens strangers send.
//!
//! **Invariant:** what was fetched last is used until something newer was: a provider that is down locks
//! nobody out.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use filters::identity::token::{Algorithm, Token};
use filters::json::object;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::auth::signature::PublicKey;

/// Most bytes of a set of keys.
pub const SET_BYTES_MAX: usize = 1024 * 1024;
/// Most keys of a set that are looked at, and so most that one token is tried with.
const KEYS_MAX: usize = 256;
/// How long a request waits for keys.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How soon after a failed fetch the next one is tried, at first; then twice as long each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How soon at the latest.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Fetches the document.
#[async_trait]
pub trait Source: Send + Sync {
    /// The document, or why it is not to be had, for the operator.
    async fn fetch(&self) -> Result<Bytes, String>;
}

/// How often keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In any case.
    pub refresh: Duration,
    /// At most, however many unknown keys are named.
    pub cooldown: Duration,
}

/// The keys that are known now.
pub struct Jwks {
    pace: Pace,
    set: ArcSwapOption<Set>,
    progress: Mutex<Progress>,
    wanted: Notify,
    /// How many fetches are over.
    over: watch::Sender<u64>,
}

#[derive(Default)]
struct Progress {
    began: Option<Instant>,
    is_running: bool,
}

/// A set of keys.
pub struct Set {
    /// A digest of the document: another one for other keys.
    pub digest: [u8; 32],
    keys: Vec<PublicKey>,
}

/// What became of looking for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The signature is that of a key of the set.
    Verified,
    /// It is not, as far as the set says: its provider may have put another key under the same id.
    Forged,
    /// The set has no such key.
    Unknown,
}

impl Set {
    /// Reads a document; nothing where it holds no set.
    #[must_use]
    pub fn read(document: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(document).ok()?;
        let outer = object::Object::read(text)?;
        let keys = object::elements(outer.get("keys")?)?;
        let keys = keys.into_iter().take(KEYS_MAX);
        Some(Self {
            digest: Sha256::digest(document).into(),
            keys: keys.filter_map(PublicKey::read).collect(),
        })
    }

    /// Verifies a token with the keys of the id that it names, or where it names none with all that fit.
    #[must_use]
    pub fn verify(&self, token: &Token<'_>) -> Verdict {
        let Token {
            algorithm,
            signed,
            signature,
            ..
        } = token;
        let mut verdict = Verdict::Unknown;
        for key in self.candidates(token.key_id.as_deref(), *algorithm) {
            if key.verifies(*algorithm, signed.as_bytes(), signature) {
                return Verdict::Verified;
            }
            verdict = Verdict::Forged;
        }
        verdict
    }

    fn candidates<'s>(
        &'s self,
        id: Option<&'s str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'s PublicKey> {
        let is_named = move |key: &&PublicKey| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let keys = self.keys.iter().filter(is_named);
        keys.filter(move |key| key.serves(algorithm))
    }
}

impl Jwks {
    /// Nothing is known, and nothing runs yet.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            set: ArcSwapOption::empty(),
            progress: Mutex::default(),
            wanted: Notify::new(),
            over: watch::Sender::new(0),
        }
    }

    /// The keys that were fetched last.
    #[must_use]
    pub fn set(&self) -> Option<Arc<Set>> {
        self.set.load_full()
    }

    /// Whether keys may be fetched again by now: what is not in the set may be at the provider.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_due_after(&self.progress.lock())
    }

    fn is_due_after(&self, progress: &Progress) -> bool {
        let cooldown = self.pace.cooldown;
        progress
            .began
            .is_none_or(|began| began.elapsed() >= cooldown)
    }

    /// Has the keys fetched again, unless that was just done, and waits for it within bounds.
    pub async fn renew(&self) {
        let mut over = self.over.subscribe();
        {
            let progress = self.progress.lock();
            match (progress.is_running, self.is_due_after(&progress)) {
                (true, _) => {}
                (false, true) => self.wanted.notify_one(),
                (false, false) => return,
            }
        }
        if timeout(WAIT_MAX, over.changed()).await.is_err() {
            tracing::debug!("Keys did not come in time");
        }
    }

    /// Fetches the keys, again and again, until it is told to stop.
    pub async fn run(self: Arc<Self>, source: Arc<dyn Source>, stop: CancellationToken) {
        let mut retry = RETRY_FIRST;
        loop {
            let began = Instant::now();
            *self.progress.lock() = Progress {
                began: Some(began),
                is_running: true,
            };
            let Some(fetched) = stop.run_until_cancelled(source.fetch()).await else {
                return;
            };
            let pause = if self.take(fetched) {
                retry = RETRY_FIRST;
                jittered(self.pace.refresh)
            } else {
                let pause = retry;
                retry = (retry * 2).min(RETRY_MAX);
                jittered(pause)
            };
            self.progress.lock().is_running = false;
            self.over.send_modify(|count| *count += 1);
            let next = async {
                tokio::select! {
                    () = sleep_until(began + pause) => {}
                    () = self.wanted.notified() => {
                        sleep_until((began + self.pace.cooldown).min(began + pause)).await;
                    }
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
        }
    }

    /// Puts what was fetched in the place of what was known; `false` where it is of no use.
    fn take(&self, fetched: Result<Bytes, String>) -> bool {
        let read = fetched.and_then(|document| {
            Set::read(&document).ok_or_else(|| "answered with no JWK set".to_owned())
        });
        let is_first = self.set.load().is_none();
        match read {
            Ok(set) if set.keys.is_empty() => {
                tracing::warn!(
                    "Identity provider has no key that could be used: keys stay as they are"
                );
                false
            }
            Ok(set) => {
                if is_first {
                    tracing::info!(keys = set.keys.len(), "Identity provider's keys are known");
                }
                self.set.store(Some(Arc::new(set)));
                true
            }
            Err(error) => {
                let kept = !is_first;
                tracing::warn!(%error, kept, "Identity provider's keys could not be fetched");
                false
            }
        }
    }
}

/// Up to a tenth less, so that instances do not ask all at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests;
