//! Who may decide on what a guardrail holds.
//!
//! **Invariant:** nobody decides on their own request, with whatever credential, unless the operator says
//! that they may.
//! **Invariant:** a role is one that a credential proves, or that the operator binds to the client that
//! it proves. A name that somebody merely says has none.

use crate::glob::Glob;
use crate::identity::{Principal, Proof};

/// Who may decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The roles of which whoever decides needs one; none is needed where there are none.
    pub roles: Vec<String>,
    /// Roles that clients have by their names.
    pub bindings: Vec<Binding>,
    /// Whether a name that is merely said is not enough.
    pub needs_proof: bool,
    /// Whether whoever asks may decide.
    pub may_be_own: bool,
}

/// A role of the clients with these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The role.
    pub role: String,
    /// The clients.
    pub clients: Vec<Glob>,
}

/// Whoever decides.
#[derive(Clone, Copy, Debug)]
pub enum Approver<'a> {
    /// Somebody of this name, by the word of whoever operates the gateway.
    Said(&'a str),
    /// Whom a credential proves.
    Proven(&'a Principal),
}

/// Whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// The client's id.
    pub client: &'a str,
    /// Its tenant, as far as that is proved.
    pub tenant: Option<&'a str>,
}

/// Why somebody may not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// They only say who they are.
    Unproven,
    /// It is their own request.
    Own,
    /// It is another tenant's.
    Tenant,
    /// They have none of the roles.
    Role,
}

impl Approver<'_> {
    /// The client's id.
    #[must_use]
    pub fn client(&self) -> &str {
        match self {
            Self::Said(name) => name,
            Self::Proven(principal) => &principal.client,
        }
    }

    /// How that was proved.
    #[must_use]
    pub fn proof(&self) -> Proof {
        match self {
            Self::Said(_) => Proof::None,
            Self::Proven(principal) => principal.proof,
        }
    }
}

impl Rules {
    /// Whether somebody may decide on a request.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, approver: Approver<'_>, requester: Requester<'_>) -> Result<(), Denied> {
        // Also by another credential, or as a namesake elsewhere: who shares a name may be one person.
        let is_own = approver.client() == requester.client;
        let principal = match approver {
            Approver::Said(_) if self.needs_proof => return Err(Denied::Unproven),
            Approver::Said(_) if is_own && !self.may_be_own => return Err(Denied::Own),
            Approver::Said(_) => return Ok(()),
            Approver::Proven(principal) => principal,
        };
        if is_own && !self.may_be_own {
            return Err(Denied::Own);
        }
        // Whoever belongs to a tenant speaks for nobody else's.
        let tenant = principal.tenant.as_deref();
        if tenant.is_some() && tenant != requester.tenant {
            return Err(Denied::Tenant);
        }
        let has_role =
            self.roles.is_empty() || self.roles.iter().any(|role| self.has(principal, role));
        if has_role { Ok(()) } else { Err(Denied::Role) }
    }

    fn has(&self, principal: &Principal, role: &str) -> bool {
        let is_bound = |binding: &Binding| {
            let mut clients = binding.clients.iter();
            binding.role == role && clients.any(|client| client.matches(&principal.client))
        };
        principal.roles.iter().any(|own| **own == *role) || self.bindings.iter().any(is_bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            roles: vec!["approver".to_owned(), "owner".to_owned()],
            bindings: vec![Binding {
                role: "owner".to_owned(),
                clients: vec![Glob::new("lead-*")],
            }],
            needs_proof: true,
            may_be_own: false,
        }
    }

    fn principal(client: &str, tenant: Option<&str>, roles: &[&str]) -> Principal {
        Principal {
            client: client.into(),
            tenant: tenant.map(Into::into),
            roles: roles.iter().map(|role| (*role).into()).collect(),
            proof: Proof::ApiKey,
            ..Principal::anonymous()
        }
    }

    fn check(rules: &Rules, approver: &Principal) -> Result<(), Denied> {
        let requester = Requester {
            client: "agent",
            tenant: Some("acme"),
        };
        rules.check(Approver::Proven(approver), requester)
    }

    #[test]
    fn only_one_of_the_roles_will_do() {
        let rows: [(&str, &[&str], _); 6] = [
            ("boss", &["approver"], Ok(())),
            ("boss", &["viewer", "owner"], Ok(())),
            ("boss", &["viewer", "Approver"], Err(Denied::Role)),
            ("boss", &[], Err(Denied::Role)),
            ("lead-1", &[], Ok(())),
            ("mislead-1", &[], Err(Denied::Role)),
        ];
        for (client, roles, expected) in rows {
            let approver = principal(client, None, roles);
            assert_eq!(check(&rules(), &approver), expected, "{client} {roles:?}");
        }
        let anybody = Rules {
            roles: Vec::new(),
            ..rules()
        };
        assert_eq!(check(&anybody, &principal("boss", None, &[])), Ok(()));
    }

    #[test]
    fn nobody_decides_on_their_own_by_whatever_credential() {
        for (tenant, proof) in [
            (Some("acme"), Proof::ApiKey),
            (Some("acme"), Proof::Jwt),
            (None, Proof::Certificate),
        ] {
            let own = Principal {
                proof,
                ..principal("agent", tenant, &["owner"])
            };
            assert_eq!(check(&rules(), &own), Err(Denied::Own), "{proof:?}");
            let lenient = Rules {
                may_be_own: true,
                ..rules()
            };
            assert_eq!(check(&lenient, &own), Ok(()), "{proof:?}");
        }
    }

    #[test]
    fn who_belongs_to_a_tenant_decides_for_that_one_only() {
        for (tenant, expected) in [
            (Some("acme"), Ok(())),
            (None, Ok(())),
            (Some("other"), Err(Denied::Tenant)),
        ] {
            let approver = principal("boss", tenant, &["owner"]);
            assert_eq!(check(&rules(), &approver), expected, "{tenant:?}");
        }
        let requester = Requester {
            client: "agent",
            tenant: None,
        };
        let approver = principal("boss", Some("acme"), &["owner"]);
        let denied = rules().check(Approver::Proven(&approver), requester);
        assert_eq!(denied, Err(Denied::Tenant), "who has none is nobody's");
    }

    #[test]
    fn a_name_that_is_merely_said_counts_only_where_nothing_can_be_proved() {
        let requester = Requester {
            client: "anonymous",
            tenant: None,
        };
        let said = |rules: &Rules, name| rules.check(Approver::Said(name), requester);
        assert_eq!(said(&rules(), "lead-1"), Err(Denied::Unproven));
        let open = Rules::default();
        assert_eq!(said(&open, "boss"), Ok(()));
        assert_eq!(said(&open, "anonymous"), Err(Denied::Own));
    }
}
