//! Why a caller is not believed.
//!
//! **Invariant:** a closed set. No variant carries anything of the credential.

/// Why a credential is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// There is none.
    Missing,
    /// A header that carries one stands twice.
    Duplicate,
    /// Two headers carry different ones.
    Conflict,
    /// `Authorization` is of another scheme than Bearer.
    Scheme,
    /// It is empty, too long, or not plain text.
    Malformed,
    /// It is none of the configured keys.
    KeyUnknown,
    /// The key's time is over.
    KeyExpired,
    /// It is no signed token.
    TokenMalformed,
    /// The token is signed in a way that is not accepted.
    Algorithm,
    /// The identity provider has no such signing key.
    KeyIdUnknown,
    /// The signature is not the key's.
    Signature,
    /// Another provider issued it.
    Issuer,
    /// It was issued for something else.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It lacks a claim, or one is not what it must be.
    Claims,
    /// The connection came without a client certificate.
    CertificateMissing,
    /// The time of the connection's client certificate is over.
    CertificateExpired,
    /// The client certificate names nobody, or more than one.
    CertificateName,
}

/// How `WWW-Authenticate` names an error (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerError {
    /// The request carries credentials in a way that it must not.
    InvalidRequest,
    /// The token is not accepted.
    InvalidToken,
    /// The token was not issued for this.
    InsufficientScope,
}

impl BearerError {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

impl Denial {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Missing,
        Self::Duplicate,
        Self::Conflict,
        Self::Scheme,
        Self::Malformed,
        Self::KeyUnknown,
        Self::KeyExpired,
        Self::TokenMalformed,
        Self::Algorithm,
        Self::KeyIdUnknown,
        Self::Signature,
        Self::Issuer,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::Claims,
        Self::CertificateMissing,
        Self::CertificateExpired,
        Self::CertificateName,
    ];

    /// The metric label and log reason.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "auth_missing",
            Self::Duplicate => "auth_duplicate",
            Self::Conflict => "auth_conflict",
            Self::Scheme => "auth_scheme",
            Self::Malformed => "auth_malformed",
            Self::KeyUnknown => "auth_key_unknown",
            Self::KeyExpired => "auth_key_expired",
            Self::TokenMalformed => "auth_token_malformed",
            Self::Algorithm => "auth_algorithm",
            Self::KeyIdUnknown => "auth_kid_unknown",
            Self::Signature => "auth_signature",
            Self::Issuer => "auth_issuer",
            Self::Audience => "auth_audience",
            Self::Expired => "auth_token_expired",
            Self::NotYetValid => "auth_token_not_yet_valid",
            Self::Claims => "auth_claims",
            Self::CertificateMissing => "auth_certificate_missing",
            Self::CertificateExpired => "auth_certificate_expired",
            Self::CertificateName => "auth_certificate_name",
        }
    }

    /// For a human: what is wrong, and what to do.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Missing => {
                "no credential: send `Authorization: Bearer <credential>` or `X-API-Key`"
            }
            Self::Duplicate => "a header with a credential stands twice; send it once",
            Self::Conflict => "Authorization and X-API-Key carry different credentials; send one",
            Self::Scheme => "Authorization must be `Bearer <credential>`",
            Self::Malformed => {
                "the credential is empty, too long or not plain text; send it as it was issued"
            }
            Self::KeyUnknown => "the credential is not known; send one that the gateway was given",
            Self::KeyExpired => "the API key has expired; get a new one",
            Self::TokenMalformed => {
                "the token is not a signed JWT; send the access token as it was issued"
            }
            Self::Algorithm => {
                "the token's signature algorithm is not accepted; have it signed with RS, PS, ES or EdDSA"
            }
            Self::KeyIdUnknown => "the token's signing key is not known; get a new token",
            Self::Signature => {
                "the token's signature is not valid; send the token as it was issued"
            }
            Self::Issuer => {
                "the token's issuer is not accepted; get a token of the issuer that the gateway trusts"
            }
            Self::Audience => {
                "the token was issued for another audience; get one for this endpoint"
            }
            Self::Expired => "the token has expired; get a new one",
            Self::NotYetValid => "the token is not valid yet; wait, or check the clocks",
            Self::Claims => {
                "the token lacks a claim that is required, or one is not valid; ask the gateway's operator which"
            }
            Self::CertificateMissing => {
                "no client certificate: connect with one that the gateway's authority issued"
            }
            Self::CertificateExpired => {
                "the client certificate has expired; connect again with a new one"
            }
            Self::CertificateName => {
                "the client certificate does not name exactly one client that is accepted; connect with one that does"
            }
        }
    }

    /// Whether it looks like a guess or a forgery: those are counted against their source. What
    /// clients do in good order is not: to ask without a token first, with one that just expired, or with
    /// one whose key was not fetched yet.
    #[must_use]
    pub fn is_suspect(self) -> bool {
        match self {
            Self::Missing
            | Self::KeyExpired
            | Self::KeyIdUnknown
            | Self::Expired
            | Self::NotYetValid
            // Nobody guesses a certificate: the handshake has verified it.
            | Self::CertificateMissing
            | Self::CertificateExpired
            | Self::CertificateName => false,
            Self::Duplicate
            | Self::Conflict
            | Self::Scheme
            | Self::Malformed
            | Self::KeyUnknown
            | Self::TokenMalformed
            | Self::Algorithm
            | Self::Signature
            | Self::Issuer
            | Self::Audience
            | Self::Claims => true,
        }
    }

    /// How `WWW-Authenticate` names it; nothing where no token was sent.
    #[must_use]
    pub fn bearer_error(self) -> Option<BearerError> {
        match self {
            Self::Missing
            | Self::Scheme
            | Self::CertificateMissing
            | Self::CertificateExpired
            | Self::CertificateName => None,
            Self::Duplicate | Self::Conflict => Some(BearerError::InvalidRequest),
            Self::Malformed
            | Self::KeyUnknown
            | Self::KeyExpired
            | Self::TokenMalformed
            | Self::Algorithm
            | Self::KeyIdUnknown
            | Self::Signature
            | Self::Issuer
            | Self::Audience
            | Self::Expired
            | Self::NotYetValid
            | Self::Claims => Some(BearerError::InvalidToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denial_has_a_label_of_its_own() {
        let labels: std::collections::HashSet<_> =
            Denial::ALL.iter().map(|denial| denial.label()).collect();
        assert_eq!(labels.len(), Denial::ALL.len());
    }
}
