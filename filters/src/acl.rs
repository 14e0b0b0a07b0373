//! Whether a caller may reach a target.
//!
//! **Invariant:** [`permit`] alone makes a [`Permit`], and dispatch takes one by value: a request
//! that was not decided on cannot be sent.

use crate::identity::Principal;
use crate::mcp::call::Call;
use crate::refusal::Refusal;

/// What the access rules say when none of them matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Let it pass.
    #[default]
    Allow,
    /// Refuse it.
    Deny,
}

/// The compiled access rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What happens to a call that no rule names.
    pub default: Effect,
}

/// Proof that a caller may do what it asked of one server.
#[derive(Debug)]
pub struct Permit(());

/// Decides whether `principal` may make `call` to `server`.
///
/// # Errors
/// [`Refusal::Forbidden`] where the rules deny it.
pub fn permit(
    rules: &Rules,
    _principal: &Principal,
    _server: &str,
    _call: Option<&Call<'_>>,
) -> Result<Permit, Refusal> {
    match rules.default {
        Effect::Allow => Ok(Permit(())),
        Effect::Deny => Err(Refusal::Forbidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_decides_where_no_rule_does() {
        let anyone = Principal::anonymous();
        let decide = |default| permit(&Rules { default }, &anyone, "s", None).map(|_| ());
        assert_eq!(decide(Effect::Allow), Ok(()));
        assert_eq!(decide(Effect::Deny), Err(Refusal::Forbidden));
    }
}
