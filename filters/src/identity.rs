//! Who is calling, and how that was proved.

pub mod certificate;
pub mod credential;
pub mod denial;
pub mod resource;
pub mod scope;
pub mod token;

use std::sync::{Arc, LazyLock};

/// Longest name of a client or tenant, role or scope that a credential may bring along, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// The name of a caller that proved nothing.
static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("anonymous"));

/// The identity of a caller that proved nothing.
static NOBODY: LazyLock<Identity> = LazyLock::new(|| Identity::new(Principal::anonymous()));

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The client's id: `anonymous` where nothing was proved.
    pub client: Arc<str>,
    /// The tenant that its credential proved it to be of. One that a header merely names is never here:
    /// see [`Identity::of_tenant`].
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

/// A principal beside the one text that tells it from all others. Cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The principal: what rules and limits go by.
    pub principal: Arc<Principal>,
    /// The tenant that what is its own is kept apart by: the proven one, or where nobody has to prove
    /// anything the one that a header names.
    pub tenant: Option<Arc<str>>,
    /// What sessions, parked calls and seals are bound to: proof, tenant and client together. A client
    /// of one tenant is another subject than its namesake in another.
    pub subject: Arc<str>,
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

    fn subject(&self, tenant: Option<&str>) -> Arc<str> {
        let tenant = match (self.proof, tenant) {
            (Proof::None, None) => return Arc::clone(&self.client),
            (_, tenant) => tenant.unwrap_or_default(),
        };
        // Names hold no control characters, so that this is read in one way only.
        format!("{}\n{tenant}\n{}", self.proof.label(), self.client).into()
    }
}

impl Proof {
    /// The label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ApiKey => "api-key",
            Self::Jwt => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

impl Identity {
    /// The identity of a principal.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        let tenant = principal.tenant.clone();
        Self {
            subject: principal.subject(tenant.as_deref()),
            tenant,
            principal: Arc::new(principal),
        }
    }

    /// The identity of a caller that says to be of a tenant and proves nothing. What is its own is kept
    /// apart from other tenants'; to rules and limits it is nobody in particular.
    #[must_use]
    pub fn of_tenant(tenant: &str) -> Self {
        let Self { principal, .. } = Self::anonymous();
        Self {
            subject: principal.subject(Some(tenant)),
            tenant: Some(tenant.into()),
            principal,
        }
    }

    /// The identity of a caller of whom nothing is known.
    #[must_use]
    pub fn anonymous() -> Self {
        NOBODY.clone()
    }
}

/// Whose share of what each caller may have only so much of a subject uses up: its own, unless it merely
/// says who it is. Who proved nothing shares with all who did not, whatever their headers say.
#[must_use]
pub fn payer(subject: &Arc<str>) -> Arc<str> {
    let is_said = |(proof, _): (&str, &str)| proof == Proof::None.label();
    match subject.split_once('\n').is_some_and(is_said) {
        true => Arc::clone(&ANONYMOUS),
        false => Arc::clone(subject),
    }
}

/// Whether `name` can be the name of a client or a tenant, a role or a scope: some text without
/// control characters, of bounded length.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(tenant: Option<&str>, client: &str, proof: Proof) -> Principal {
        Principal {
            client: client.into(),
            tenant: tenant.map(Arc::from),
            proof,
            ..Principal::anonymous()
        }
    }

    #[test]
    fn no_two_principals_are_one_subject() {
        let rows = [
            (None, "a", Proof::None),
            (None, "a", Proof::ApiKey),
            (None, "a", Proof::Jwt),
            (Some("a"), "a", Proof::Jwt),
            (Some("a"), "b", Proof::Jwt),
            (Some("ab"), "a", Proof::Jwt),
            (Some("a"), "ba", Proof::Jwt),
            (Some("a"), "a", Proof::None),
        ];
        let subjects: std::collections::HashSet<_> = rows
            .iter()
            .map(|(tenant, client, proof)| {
                Identity::new(principal(*tenant, client, *proof)).subject
            })
            .collect();
        assert_eq!(subjects.len(), rows.len());
    }

    #[test]
    fn a_tenant_that_a_header_names_is_nobody_to_rules_and_limits() {
        let said = Identity::of_tenant("t");
        assert_eq!(said.tenant.as_deref(), Some("t"));
        assert_eq!(*said.principal, Principal::anonymous());
        let other = Identity::of_tenant("u");
        assert!(said.subject != other.subject && said.subject != NOBODY.subject);
        for one in [&said, &other, &NOBODY] {
            assert_eq!(&*payer(&one.subject), "anonymous");
        }
        for proof in [Proof::ApiKey, Proof::Jwt, Proof::Certificate] {
            let proven = Identity::new(principal(Some("t"), "a", proof));
            assert_eq!(proven.tenant.as_deref(), Some("t"));
            assert_eq!(payer(&proven.subject), proven.subject);
        }
    }

    #[test]
    fn a_name_is_bounded_and_has_no_control_characters() {
        assert!(is_name("réné@example.com") && is_name(&"a".repeat(NAME_BYTES_MAX)));
        for name in ["", "a\nb", "a\0", &"a".repeat(NAME_BYTES_MAX + 1)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
