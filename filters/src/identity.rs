//! Who is calling, and how that was proved.

use std::sync::{Arc, LazyLock};

/// The name of a caller that proved nothing.
static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("anonymous"));

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The client's id: `anonymous` where nothing was proved.
    pub client: Arc<str>,
    /// How the id was proved.
    pub proof: Proof,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// It did not: authentication is off.
    None,
}

impl Principal {
    /// A caller of whom nothing is known. Headers such as `X-Forwarded-For` never name one.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            client: Arc::clone(&ANONYMOUS),
            proof: Proof::None,
        }
    }
}
