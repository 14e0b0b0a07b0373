//! Whether a caller may reach a target, on every method: calls, lists and what is told of changes are
//! decided by the same walk over the same policies.
//!
//! The first policy that matches the caller decides, and no other. In it, `deny` counts before
//! `allow`, and what neither names is left to the default.
//!
//! **Invariant:** [`permit`] alone makes a [`Permit`], and dispatch takes one by value: a request
//! that was not decided on cannot be sent.
//! **Invariant:** a list shows an item exactly if a call of it is permitted: both ask
//! [`view::View::decide`].

pub mod denial;
pub mod explain;
pub mod names;
pub mod need;
mod policy;
pub mod screen;
pub mod spec;
mod template;
pub mod view;

use crate::acl::denial::Denial;
use crate::acl::need::Need;
use crate::acl::policy::Policy;
use crate::acl::spec::{Effect, Mode, Spec};
use crate::acl::view::View;
use crate::identity::Principal;
use crate::refusal::Refusal;

/// The compiled access rules. By default they are off, and everybody may do everything.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Absent while they are off.
    on: Option<On>,
}

/// Rules that are switched on.
#[derive(Clone, Debug)]
struct On {
    mode: Mode,
    default: Effect,
    policies: Box<[Policy]>,
}

impl Rules {
    /// Compiles the rules; whatever is written can be.
    #[must_use]
    pub fn compile(spec: &Spec) -> Self {
        Self {
            on: Some(On {
                mode: spec.mode,
                default: spec.default,
                policies: spec.policies.iter().map(Policy::compile).collect(),
            }),
        }
    }

    /// Whether anything is decided at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// Whether what is decided holds: not so while the rules are off, or only rehearsed.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.on
            .as_ref()
            .is_some_and(|on| matches!(on.mode, Mode::Enforce))
    }

    /// What the rules say of one caller at one server, whether that holds or not.
    #[must_use]
    pub fn view<'a>(&'a self, principal: &Principal, server: &'a str) -> View<'a> {
        View::find(self, principal, server)
    }

    /// Whether a caller may know that a server exists: whether anything there may be permitted to it.
    #[must_use]
    pub fn sees(&self, principal: &Principal, server: &str) -> bool {
        !self.is_enforced() || self.view(principal, server).is_any()
    }
}

/// Proof that a caller may do what it asked of one server.
#[derive(Debug)]
pub struct Permit {
    /// What would have been denied, were the rules enforced.
    shadowed: Option<Box<Denial>>,
}

impl Permit {
    /// What would have been denied, were the rules enforced.
    #[must_use]
    pub fn shadowed(&self) -> Option<&Denial> {
        self.shadowed.as_deref()
    }
}

/// Decides whether `principal` may do at `server` what `need` says; it is asked only if anything is
/// decided at all.
///
/// # Errors
/// [`Refusal::ServerUnknown`] where it may not even know of the server, [`Refusal::AccessDenied`]
/// where the rules deny what it names, [`Refusal::ParamsInvalid`] where it should name something and
/// does not.
pub fn permit<'n>(
    rules: &Rules,
    principal: &Principal,
    server: &str,
    need: impl FnOnce() -> Need<'n>,
) -> Result<Permit, Refusal> {
    let Some(on) = &rules.on else {
        return Ok(Permit { shadowed: None });
    };
    let Err(denied) = rules.view(principal, server).grants(principal, &need()) else {
        return Ok(Permit { shadowed: None });
    };
    match on.mode {
        Mode::Enforce => Err(denied.into_refusal(server)),
        Mode::Shadow => Ok(Permit {
            shadowed: denied.into_denial().map(Box::new),
        }),
    }
}

#[cfg(test)]
mod tests;
