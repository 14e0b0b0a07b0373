//! Signs tokens as an identity provider does, and as a forger does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use serde_json::{Value, json};

/// An RSA key that nothing but tests use.
const RSA: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/rsa-2048.pk8"
));

/// A signing key of a provider.
pub(crate) struct Signer {
    id: String,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// The one RSA key there is.
    pub(crate) fn rsa(id: &str) -> Self {
        Self::new(id, Key::Rsa(RsaKeyPair::from_pkcs8(RSA).unwrap()))
    }

    /// A new key on P-256.
    pub(crate) fn p256(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self::new(id, Key::P256(key))
    }

    /// A new Ed25519 key.
    pub(crate) fn ed25519(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        Self::new(id, Key::Ed25519(key))
    }

    fn new(id: &str, key: Key) -> Self {
        let id = id.to_owned();
        Self { id, key }
    }

    /// Its public half, as a set of keys has it.
    pub(crate) fn jwk(&self) -> Value {
        let id = &self.id;
        match &self.key {
            Key::Rsa(key) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "kid": id, "use": "sig", "n": encode(&public.n),
                        "e": encode(&public.e) })
            }
            Key::P256(key) => {
                let point = &key.public_key().as_ref()[1..];
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256",
                        "x": encode(&point[..32]), "y": encode(&point[32..]) })
            }
            Key::Ed25519(key) => {
                let public = key.public_key().as_ref();
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": encode(public) })
            }
        }
    }

    /// The algorithm that it signs with where nobody says another.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    /// A token with an ordinary header.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "typ": "JWT", "kid": self.id });
        self.sign_with(&header, claims)
    }

    /// A token with a header as it is said, signed by what that says.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = signed(header, claims);
        let message = signed.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Rsa(key) => {
                let encoding: &dyn signature::RsaEncoding = match header["alg"].as_str() {
                    Some("PS256") => &signature::RSA_PSS_SHA256,
                    Some("RS512") => &signature::RSA_PKCS1_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Key::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(&signature))
    }
}

/// A token that is signed with a secret, such as everybody has who knows a public key.
pub(crate) fn hmac(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let signed = signed(header, claims);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(tag.as_ref()))
}

/// A token without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", signed(header, claims))
}

/// A document with the public halves of these.
pub(crate) fn set(signers: &[&Signer]) -> Value {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys })
}

fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
