//! Client certificates: what one that a handshake has verified says of its bearer.
//!
//! **Invariant:** only certificates that a handshake verified come here; nothing here verifies one.

use filters::identity::Identity;
use filters::identity::certificate::{Names, Rules};
use filters::identity::denial::Denial;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::AttributeTypeAndValue;

/// The client at the other end of a connection, by its certificate.
#[derive(Clone, Debug)]
pub struct Peer {
    names: Names,
    /// When the certificate ends, in seconds since 1970.
    ends: i64,
}

impl Peer {
    /// The peer whose verified certificate this is (DER); nothing where it cannot be read.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = parse(der)?;
        Some(Self {
            names: names(&certificate),
            ends: certificate.validity().not_after.timestamp(),
        })
    }

    /// Who it is. A connection may last longer than the certificate that it was opened with.
    ///
    /// # Errors
    /// Where the certificate's time is over, or it names nobody.
    pub fn identify(&self, rules: &Rules, now: u64) -> Result<Identity, Denial> {
        if i64::try_from(now).unwrap_or(i64::MAX) > self.ends {
            return Err(Denial::CertificateExpired);
        }
        rules.identify(&self.names)
    }
}

/// When a certificate ends (DER), in seconds since 1970; nothing where it cannot be read.
#[must_use]
pub fn ends(der: &[u8]) -> Option<i64> {
    Some(parse(der)?.validity().not_after.timestamp())
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, read)| read)
}

fn names(certificate: &X509Certificate<'_>) -> Names {
    let subject = certificate.subject();
    let mut names = Names {
        common: texts(subject.iter_common_name()),
        organizations: texts(subject.iter_organization()),
        units: texts(subject.iter_organizational_unit()),
        ..Names::default()
    };
    // A list of names that stands twice is no list of names.
    let listed = certificate.subject_alternative_name().ok().flatten();
    for name in listed
        .iter()
        .flat_map(|extension| &extension.value.general_names)
    {
        match name {
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::DNSName(host) => names.hosts.push(host.to_ascii_lowercase()),
            GeneralName::RFC822Name(mail) => names.mails.push((*mail).to_owned()),
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    names
}

/// The texts of attributes; what is no text is empty, which is no name.
fn texts<'c>(attributes: impl Iterator<Item = &'c AttributeTypeAndValue<'c>>) -> Vec<String> {
    attributes
        .map(|one| one.as_str().unwrap_or_default().to_owned())
        .collect()
}
