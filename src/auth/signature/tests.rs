use filters::identity::token::Token;
use serde_json::{Value, json};

use super::*;

#[path = "../../../tests/it/support/signer.rs"]
pub(in crate::auth) mod signer;

use signer::Signer;

fn read(jwk: &Value) -> Option<PublicKey> {
    PublicKey::read(&jwk.to_string())
}

fn is_verified(key: &PublicKey, token: &str) -> bool {
    let token = Token::parse(token).unwrap();
    key.verifies(token.algorithm, token.signed.as_bytes(), &token.signature)
}

#[test]
fn each_kind_of_key_verifies_its_own_signatures_and_no_others() {
    let signers = [
        Signer::rsa("r"),
        Signer::p256("p"),
        Signer::p256("q"),
        Signer::ed25519("e"),
        Signer::ed25519("f"),
    ];
    let claims = json!({ "sub": "a" });
    for (one, signer) in signers.iter().enumerate() {
        let key = read(&signer.jwk()).unwrap();
        for (other, forger) in signers.iter().enumerate() {
            let token = forger.sign(&claims);
            assert_eq!(is_verified(&key, &token), one == other, "{one} {other}");
        }
    }
}

#[test]
fn an_rsa_key_verifies_every_rsa_algorithm_unless_it_names_one() {
    let signer = Signer::rsa("r");
    let mut jwk = signer.jwk();
    for alg in ["RS256", "RS512", "PS256"] {
        let token = signer.sign_with(&json!({ "alg": alg }), &json!({}));
        assert!(is_verified(&read(&jwk).unwrap(), &token), "{alg}");
    }
    jwk["alg"] = json!("RS256");
    let token = signer.sign_with(&json!({ "alg": "PS256" }), &json!({}));
    assert!(!is_verified(&read(&jwk).unwrap(), &token));
}

#[test]
fn a_signature_over_anything_else_is_none() {
    let signer = Signer::p256("p");
    let key = read(&signer.jwk()).unwrap();
    let token = signer.sign(&json!({ "sub": "a" }));
    let other = signer.sign(&json!({ "sub": "b" }));
    let (signed, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    assert!(!is_verified(&key, &format!("{signed}.{signature}")));
    assert!(!is_verified(&key, &format!("{signed}.")));
}

#[test]
fn keys_for_other_ends_are_no_keys_here() {
    let rsa = Signer::rsa("r").jwk();
    let ec = Signer::p256("p").jwk();
    let with = |jwk: &Value, member: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[member] = value;
        jwk
    };
    for jwk in [
        json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0" }),
        json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0", "alg": "HS256" }),
        with(&rsa, "use", json!("enc")),
        with(&rsa, "key_ops", json!(["encrypt"])),
        with(&rsa, "alg", json!("HS256")),
        with(&rsa, "alg", json!("ES256")),
        with(&rsa, "alg", json!("RSA-OAEP")),
        with(&ec, "alg", json!("RS256")),
        with(&ec, "crv", json!("secp256k1")),
        with(&ec, "crv", json!("P-521")),
        json!({ "kty": "RSA" }),
        json!([]),
        json!("RSA"),
    ] {
        assert!(read(&jwk).is_none(), "{jwk}");
    }
}
