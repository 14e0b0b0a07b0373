//! How old an answer may be, and what for.
//!
//! **Invariant:** an answer is fresh while its age is less than its lifetime, not when it is equal:
//! one that may be kept for no time is never given out.
//!
//! Lengths of time are `core`'s, which has no clock.

use core::time::Duration;

use crate::cache::admit::Class;
use crate::cache::admit::Hints;
use crate::cache::policy::Policy;
use crate::mcp::method::Method;

/// Longest that an answer is fresh, whatever its server says: a day, as the SDKs have it.
pub const FRESH_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest that an answer is used once it is no longer fresh.
pub const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an answer is of use once it is no longer fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Staleness {
    /// While a new one is being fetched.
    pub while_revalidate: Duration,
    /// Where fetching a new one failed.
    pub if_error: Duration,
}

/// How long an answer may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    fresh: Duration,
    stale: Staleness,
}

/// What an answer of some age may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// For any request, for as long as is left.
    Fresh {
        /// More than nothing.
        left: Duration,
    },
    /// For any request, while a new one is fetched; and where that fails.
    WhileRevalidate,
    /// For a request for which fetching a new one failed.
    IfError,
    /// For nothing.
    Gone,
}

impl Lifetime {
    /// A lifetime, within [`FRESH_MAX`] and [`STALE_MAX`].
    #[must_use]
    pub fn new(fresh: Duration, stale: Staleness) -> Self {
        Self {
            fresh: fresh.min(FRESH_MAX),
            stale: Staleness {
                while_revalidate: stale.while_revalidate.min(STALE_MAX),
                if_error: stale.if_error.min(STALE_MAX),
            },
        }
    }

    /// How long it is fresh.
    #[must_use]
    pub fn fresh(&self) -> Duration {
        self.fresh
    }

    /// How long it is of use once it is no longer fresh.
    #[must_use]
    pub fn stale(&self) -> Staleness {
        self.stale
    }

    /// How long it may be used for anything, and so how long it is worth its place.
    #[must_use]
    pub fn kept(&self) -> Duration {
        self.fresh + self.stale.while_revalidate.max(self.stale.if_error)
    }

    /// What an answer that was received `age` ago may be used for.
    #[must_use]
    pub fn judge(&self, age: Duration) -> Freshness {
        let left = self.fresh.saturating_sub(age);
        if !left.is_zero() {
            return Freshness::Fresh { left };
        }
        let past = age.saturating_sub(self.fresh);
        if past < self.stale.while_revalidate {
            Freshness::WhileRevalidate
        } else if past < self.stale.if_error {
            Freshness::IfError
        } else {
            Freshness::Gone
        }
    }
}

/// How long a result of the protocol's own cacheable methods is kept; nothing where it is not. Calls
/// have [`Policy::call`].
///
/// For lists the operator may say it, too, and the longer time counts. Where a server gives no time,
/// or zero, nothing is kept but by that word.
#[must_use]
pub fn lifetime(method: Method, hints: &Hints, policy: &Policy) -> Option<Lifetime> {
    if !policy.is_enabled {
        return None;
    }
    let (fresh, stale) = match Class::of(method)? {
        Class::Catalog => (hints.ttl.max(policy.list_ttl), policy.lists),
        Class::Read => (hints.ttl, policy.calls),
        Class::Call => (None, policy.calls),
    };
    let fresh = fresh.filter(|fresh| !fresh.is_zero())?;
    Some(Lifetime::new(fresh, stale))
}

#[cfg(test)]
mod tests;
