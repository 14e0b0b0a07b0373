//! Verifies tokens of one identity provider.
//!
//! **Invariant:** a token is believed only while the key that it was verified with is in the provider's
//! set. What was verified once is remembered, under the token's digest, and its times and audience are
//! looked at each time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use filters::identity::Identity;
use filters::identity::denial::Denial;
use filters::identity::resource;
use filters::identity::token::{Algorithm, Grant, Rules, Token};
use filters::refusal::Refusal;
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::auth::jwks::{Jwks, Set, Verdict};

/// Most tokens that are remembered. Only valid ones are.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not 0");

/// What tokens are judged by.
pub struct Verifier {
    spec: Spec,
    jwks: Arc<Jwks>,
    known: Mutex<LruCache<[u8; 32], Arc<Known>>>,
}

/// What an operator says of tokens.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What they must say.
    pub rules: Rules,
    /// Whom they may be for, besides the endpoint itself, in canonical form.
    pub audiences: Vec<String>,
    /// Whether they may be for anybody: there is neither an audience nor a resource.
    pub is_for_all: bool,
    /// How they may be signed.
    pub algorithms: Vec<Algorithm>,
}

/// A token that was verified.
struct Known {
    identity: Identity,
    grant: Grant,
    /// The set that its key was in.
    set: [u8; 32],
}

/// What is thought of a token.
pub enum Judged {
    /// It is good.
    Granted(Identity),
    /// It is not.
    Denied(Denial),
    /// Its key is not known: it may be, when keys were fetched again.
    Unknown,
    /// No key that is known has signed it, and there may be newer ones: as with [`Self::Unknown`].
    Outdated,
}

impl Verifier {
    /// A verifier with the keys in `jwks`.
    #[must_use]
    pub fn new(mut spec: Spec, jwks: Arc<Jwks>) -> Self {
        for audience in &mut spec.audiences {
            *audience = resource::canonical(audience);
        }
        Self {
            spec,
            jwks,
            known: Mutex::new(LruCache::new(REMEMBERED_MAX)),
        }
    }

    /// Judges a token by the keys that are known. `is_own` says whether an audience, in canonical form,
    /// is the endpoint itself.
    pub fn judge(&self, text: &str, now: u64, is_own: impl Fn(&str) -> bool) -> Judged {
        let Some(set) = self.jwks.set() else {
            // What is malformed needs no key to be.
            return match self.parse(text) {
                Ok(_) => Judged::Unknown,
                Err(denial) => Judged::Denied(denial),
            };
        };
        let digest = Sha256::digest(text).into();
        let remembered = self.known.lock().get(&digest).map(Arc::clone);
        let known = match remembered.filter(|known| known.set == set.digest) {
            Some(known) => known,
            None => match self.verify(text, &set, now) {
                Ok(Some(known)) => {
                    let known = Arc::new(known);
                    self.known.lock().put(digest, Arc::clone(&known));
                    known
                }
                Ok(None) => return Judged::Unknown,
                // Keys are renewed under the id of the one before, or have none.
                Err(Denial::Signature) if self.jwks.is_due() => return Judged::Outdated,
                Err(denial) => return Judged::Denied(denial),
            },
        };
        match known
            .grant
            .check(now, |audience| self.is_for(audience, &is_own))
        {
            Ok(()) => Judged::Granted(known.identity.clone()),
            // One for nobody in particular is for anybody only where nobody is named.
            Err(Denial::Audience) if self.spec.is_for_all => {
                Judged::Granted(known.identity.clone())
            }
            Err(denial) => Judged::Denied(denial),
        }
    }

    /// Judges a token whose key is not known, when keys were fetched again.
    ///
    /// # Errors
    /// The refusal.
    pub async fn judge_later(
        &self,
        text: &str,
        now: u64,
        is_own: impl Fn(&str) -> bool,
    ) -> Result<Identity, Refusal> {
        self.jwks.renew().await;
        match self.judge(text, now, is_own) {
            Judged::Granted(identity) => Ok(identity),
            Judged::Denied(denial) => Err(Refusal::Unauthenticated(denial)),
            Judged::Outdated => Err(Refusal::Unauthenticated(Denial::Signature)),
            Judged::Unknown if self.jwks.set().is_none() => Err(Refusal::AuthUnavailable),
            Judged::Unknown => Err(Refusal::Unauthenticated(Denial::KeyIdUnknown)),
        }
    }

    /// Verifies a token; nothing where the set has no such key.
    fn verify(&self, text: &str, set: &Set, now: u64) -> Result<Option<Known>, Denial> {
        let token = self.parse(text)?;
        match set.verify(&token) {
            Verdict::Verified => {}
            Verdict::Forged => return Err(Denial::Signature),
            Verdict::Unknown => return Ok(None),
        }
        let grant = token.grant(&self.spec.rules)?;
        // Not worth being remembered.
        grant.check_time(now)?;
        Ok(Some(Known {
            identity: Identity::new(grant.principal.clone()),
            grant,
            set: set.digest,
        }))
    }

    fn parse<'t>(&self, text: &'t str) -> Result<Token<'t>, Denial> {
        let token = Token::parse(text)?;
        if self.spec.algorithms.contains(&token.algorithm) {
            Ok(token)
        } else {
            Err(Denial::Algorithm)
        }
    }

    fn is_for(&self, audience: &str, is_own: &impl Fn(&str) -> bool) -> bool {
        is_own(audience) || self.spec.audiences.iter().any(|one| one == audience)
    }
}
