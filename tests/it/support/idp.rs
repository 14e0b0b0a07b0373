//! A fake identity provider: it serves the keys that it is told to, or is down.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::signer::{self, Signer};
use super::upstream::{Upstream, answer};

/// What its tokens are issued by.
pub(crate) const ISSUER: &str = "https://idp.example";

/// The running provider.
pub(crate) struct Provider {
    server: Upstream,
    document: Arc<Mutex<Option<Value>>>,
}

impl Provider {
    /// One that serves these keys.
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let document = Arc::new(Mutex::new(Some(signer::set(signers))));
        let served = Arc::clone(&document);
        let server = Upstream::start(move |_| match &*served.lock() {
            Some(document) => {
                let kind = [("content-type", "application/jwk-set+json")];
                answer("200 OK", &kind, document.to_string().as_bytes())
            }
            None => answer("503 Service Unavailable", &[], b"down"),
        })
        .await;
        Self { server, document }
    }

    /// From now on it serves these.
    pub(crate) fn rotate(&self, signers: &[&Signer]) {
        *self.document.lock() = Some(signer::set(signers));
    }

    /// From now on it fails.
    pub(crate) fn fail(&self) {
        *self.document.lock() = None;
    }

    /// How often it was asked.
    pub(crate) fn n_asked(&self) -> usize {
        self.server.recorded_http("GET").len()
    }

    /// The `auth` section of a gateway that trusts it.
    pub(crate) fn auth(&self) -> Value {
        json!({ "method": "jwt", "jwks_url": self.server.url(), "issuer": ISSUER,
            "audience": "conduit", "jwks_cooldown_seconds": 1 })
    }
}

/// Claims of a token for `client` that is good for an hour.
pub(crate) fn claims(client: &str) -> Value {
    json!({ "iss": ISSUER, "aud": "conduit", "sub": client, "exp": now() + 3600 })
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}
