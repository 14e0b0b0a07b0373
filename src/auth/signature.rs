//! Verifies signatures with the keys of a JWK set.
//!
//! **Invariant:** a key verifies the algorithms of its own kind only, and where it names one, only that:
//! no key of one kind is ever taken for one of another. Symmetric keys are no keys here.

use filters::identity::token::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

/// A key that verifies.
pub struct PublicKey {
    /// Its name in the set.
    pub id: Option<String>,
    algorithm: Option<Algorithm>,
    kind: Kind,
    material: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn read(parameters: &AlgorithmParameters) -> Option<Self> {
        // The crate may come to know more of them: whatever is not named is of no use here.
        if let AlgorithmParameters::RSA(_) = parameters {
            return Some(Self::Rsa);
        }
        if let AlgorithmParameters::EllipticCurve(key) = parameters {
            let known = [
                (EllipticCurve::P256, Self::P256),
                (EllipticCurve::P384, Self::P384),
            ];
            let found = known.into_iter().find(|(curve, _)| *curve == key.curve);
            return found.map(|(_, kind)| kind);
        }
        if let AlgorithmParameters::OctetKeyPair(key) = parameters {
            return (key.curve == EllipticCurve::Ed25519).then_some(Self::Ed25519);
        }
        None
    }

    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Self::Rsa,
            Algorithm::Es256 => Self::P256,
            Algorithm::Es384 => Self::P384,
            Algorithm::EdDsa => Self::Ed25519,
        }
    }
}

impl PublicKey {
    /// Reads one member of a JWK set; nothing where it is of no use here.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(text).ok()?;
        let kind = Kind::read(&jwk.algorithm)?;
        let common = &jwk.common;
        let is_for_signatures = common
            .public_key_use
            .as_ref()
            .is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && common
                .key_operations
                .as_ref()
                .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithm = match common.key_algorithm {
            None => None,
            // One that names an algorithm that is not known here verifies nothing.
            Some(named) => Some(Algorithm::parse(&named.to_string())?),
        };
        let is_of_its_kind = algorithm.is_none_or(|algorithm| Kind::of(algorithm) == kind);
        if !is_for_signatures || !is_of_its_kind {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            algorithm,
            kind,
            material: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }

    /// Whether it can verify signatures of an algorithm.
    #[must_use]
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.kind == Kind::of(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.serves(algorithm) {
            return false;
        }
        let verified = match (self.material.kind(), verification(algorithm)) {
            (DecodingKeyKind::RsaModulusExponent { n, e }, Verification::Rsa(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (DecodingKeyKind::SecretOrDer(key), Verification::Curve(parameters)) => {
                UnparsedPublicKey::new(parameters, key).verify(message, signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }
}

enum Verification {
    Rsa(&'static signature::RsaParameters),
    Curve(&'static dyn signature::VerificationAlgorithm),
}

/// RSA keys have at least 2048 bits.
fn verification(algorithm: Algorithm) -> Verification {
    match algorithm {
        Algorithm::Rs256 => Verification::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Verification::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Verification::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Verification::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Verification::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Verification::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 => Verification::Curve(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Verification::Curve(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDsa => Verification::Curve(&signature::ED25519),
    }
}

#[cfg(test)]
pub(in crate::auth) mod tests;
