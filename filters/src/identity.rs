//! Who is calling, and how that was proved.

use std::sync::Arc;

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
            client: Arc::from("anonymous"),
            proof: Proof::None,
        }
    }
}
