//! Who a client certificate says that its bearer is.
//!
//! **Invariant:** a name is taken as a whole or not at all, and where a certificate has several of the
//! kind that names the client, none is: which one counts must not depend on their order.

use std::sync::Arc;

use crate::identity::denial::Denial;
use crate::identity::{Identity, Principal, Proof, is_name};

/// What a certificate names its bearer, kind by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Subject alternative names that are URIs, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// Those that are host names.
    pub hosts: Vec<String>,
    /// Those that are mail addresses.
    pub mails: Vec<String>,
    /// The subject's common names.
    pub common: Vec<String>,
    /// The subject's organisations.
    pub organizations: Vec<String>,
    /// The subject's organisational units.
    pub units: Vec<String>,
}

/// A kind of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A subject alternative name that is a URI.
    Uri,
    /// One that is a host name.
    Host,
    /// One that is a mail address.
    Mail,
    /// The subject's common name.
    Common,
    /// The subject's organisation.
    Organization,
    /// The subject's organisational unit.
    Unit,
}

/// Which names count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What names the client: the first kind that the certificate has.
    pub client: Vec<Kind>,
    /// What names its tenant, if anything does.
    pub tenant: Option<Kind>,
}

impl Names {
    fn of(&self, kind: Kind) -> &[String] {
        match kind {
            Kind::Uri => &self.uris,
            Kind::Host => &self.hosts,
            Kind::Mail => &self.mails,
            Kind::Common => &self.common,
            Kind::Organization => &self.organizations,
            Kind::Unit => &self.units,
        }
    }

    /// The only name of a kind.
    ///
    /// # Errors
    /// Where there are several, or it cannot be a name.
    fn only(&self, kind: Kind) -> Result<Option<&str>, Denial> {
        match self.of(kind) {
            [] => Ok(None),
            [name] if is_name(name) => Ok(Some(name)),
            [_] | [_, _, ..] => Err(Denial::CertificateName),
        }
    }
}

impl Rules {
    /// Who the bearer of a certificate is that was verified.
    ///
    /// # Errors
    /// Where it names nobody, or more than one.
    pub fn identify(&self, names: &Names) -> Result<Identity, Denial> {
        let mut client = None;
        for kind in &self.client {
            client = names.only(*kind)?;
            if client.is_some() {
                break;
            }
        }
        let tenant = match self.tenant {
            // A bearer without a tenant has none: it must not fall into another's.
            Some(kind) => names.only(kind)?,
            None => None,
        };
        Ok(Identity::new(Principal {
            client: client.ok_or(Denial::CertificateName)?.into(),
            tenant: tenant.map(Arc::from),
            proof: Proof::Certificate,
            ..Principal::anonymous()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rules() -> Rules {
        Rules {
            client: vec![Kind::Uri, Kind::Host, Kind::Common],
            tenant: Some(Kind::Organization),
        }
    }

    #[test]
    fn several_names_of_one_kind_are_none() {
        for names in [
            Names {
                uris: texts(&["spiffe://a", "spiffe://b"]),
                common: texts(&["a"]),
                ..Names::default()
            },
            Names {
                common: texts(&["a"]),
                organizations: texts(&["x", "y"]),
                ..Names::default()
            },
        ] {
            assert_eq!(rules().identify(&names), Err(Denial::CertificateName));
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_not_passed_over_for_the_next_kind() {
        for uri in ["", "a\nb", &"a".repeat(300)] {
            let names = Names {
                uris: texts(&[uri]),
                common: texts(&["admin"]),
                ..Names::default()
            };
            assert_eq!(rules().identify(&names), Err(Denial::CertificateName));
        }
        assert_eq!(
            rules().identify(&Names::default()),
            Err(Denial::CertificateName)
        );
    }

    #[test]
    fn the_first_kind_that_there_is_names_the_client() {
        let mut names = Names {
            uris: texts(&["spiffe://acme/agent"]),
            hosts: texts(&["agent.acme.example"]),
            common: texts(&["agent"]),
            organizations: texts(&["acme"]),
            ..Names::default()
        };
        let client = |names: &Names| rules().identify(names).unwrap().principal;
        let first = client(&names);
        assert_eq!(&*first.client, "spiffe://acme/agent");
        assert_eq!(first.tenant.as_deref(), Some("acme"));
        names.uris.clear();
        assert_eq!(&*client(&names).client, "agent.acme.example");
        names.hosts.clear();
        names.organizations.clear();
        let last = client(&names);
        assert_eq!((&*last.client, last.tenant.as_deref()), ("agent", None));
    }
}
