//! Who is calling, and how that was proved.

use std::sync::{Arc, LazyLock};

/// The name of a caller that proved nothing.
static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("anonymous"));

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The client's id: `anonymous` where nothing was proved.
    pub client: Arc<str>,
    /// The tenant it belongs to, if that is known.
    pub tenant: Option<Arc<str>>,
    /// What it may act as, by its own credential's word.
    pub roles: Arc<[Arc<str>]>,
    /// What its token was issued for (RFC 6749 §3.3).
    pub scopes: Arc<[Arc<str>]>,
    /// How the id was proved.
    pub proof: Proof,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// It did not: authentication is off.
    None,
    /// By a key that the configuration names.
    ApiKey,
    /// By a token of an identity provider.
    Jwt,
    /// By a client certificate.
    Certificate,
}

impl Principal {
    /// A caller of whom nothing is known. Headers such as `X-Forwarded-For` never name one.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            client: Arc::clone(&ANONYMOUS),
            tenant: None,
            roles: Arc::default(),
            scopes: Arc::default(),
            proof: Proof::None,
        }
    }
}
