//! Signed tokens (RFC 7519 in the compact form of RFC 7515): what they say, and whether it counts.
//!
//! **Invariant:** only signatures that a public key verifies are known here: `none` and HMAC have no
//! [`Algorithm`]. What a header says of keys (`jwk`, `jku`, `x5u`) is never looked at.
//!
//! **Invariant:** a token says who it is for and how long it is good; whoever asks is told by
//! [`Grant::check`] for this place and this moment, each time.

mod claims;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::identity::denial::Denial;
use crate::identity::{Principal, Proof};
use crate::json::object::Object;

/// How far apart the clocks of a provider and the gateway may be, in seconds.
pub const SKEW_SECONDS: u64 = 60;

/// A way of signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// `EdDSA` with Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Its name (RFC 7518 §3.1, RFC 8037 §3.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name. Names are compared exactly.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A token, taken apart and not yet believed.
pub struct Token<'a> {
    /// How it says it is signed.
    pub algorithm: Algorithm,
    /// Which of the provider's keys it says it is signed with.
    pub key_id: Option<String>,
    /// What the signature is over.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    claims: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Denial::TokenMalformed`] or [`Denial::Algorithm`].
    pub fn parse(text: &'a str) -> Result<Self, Denial> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Denial::TokenMalformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Denial::TokenMalformed)?;
        if claims.contains('.') {
            return Err(Denial::TokenMalformed);
        }
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| Denial::TokenMalformed)?;
        // An extension that must be understood, and another kind of token: a proof, a log-out.
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(Denial::TokenMalformed);
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(Denial::Algorithm)?;
        let claims = String::from_utf8(decode(claims)?).map_err(|_| Denial::TokenMalformed)?;
        Ok(Self {
            algorithm,
            key_id: header.kid,
            signed,
            signature: decode(signature)?,
            claims,
        })
    }

    /// What the token grants, once its signature was verified.
    ///
    /// # Errors
    /// [`Denial::Issuer`] or [`Denial::Claims`].
    pub fn grant(&self, rules: &Rules) -> Result<Grant, Denial> {
        let held = Object::read(&self.claims).ok_or(Denial::Claims)?;
        if let Some(issuer) = &rules.issuer
            && held.text("iss").as_deref() != Some(issuer)
        {
            return Err(Denial::Issuer);
        }
        let client = claims::name(&held, &rules.client_claim)?.ok_or(Denial::Claims)?;
        let tenant = claims::name(&held, &rules.tenant_claim)?;
        let mut scopes = claims::names(claims::member(&held, "scope"))?;
        scopes.extend(claims::names(claims::member(&held, "scp"))?);
        let principal = Principal {
            client,
            tenant,
            roles: claims::names(claims::member(&held, &rules.roles_claim))?.into(),
            scopes: scopes.into(),
            proof: Proof::Jwt,
        };
        Ok(Grant {
            principal,
            expires: claims::date(held.get("exp"))?.ok_or(Denial::Claims)?,
            begins: claims::date(held.get("nbf"))?.unwrap_or_default(),
            audiences: claims::audiences(held.get("aud"))?,
        })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Denial::TokenMalformed)
}

fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    matches!(kind, "jwt" | "at+jwt")
}

/// What tokens must say, wherever they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The provider that must have issued them, if that is checked.
    pub issuer: Option<String>,
    /// The claim that names the client.
    pub client_claim: String,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that lists roles.
    pub roles_claim: String,
}

/// What a token grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub principal: Principal,
    expires: u64,
    begins: u64,
    audiences: Vec<String>,
}

impl Grant {
    /// Whether it holds at `now`, in seconds since 1970, for an audience that `is_own` accepts, in
    /// canonical form.
    ///
    /// # Errors
    /// [`Denial::Expired`], [`Denial::NotYetValid`] or [`Denial::Audience`].
    pub fn check(&self, now: u64, is_own: impl Fn(&str) -> bool) -> Result<(), Denial> {
        if now >= self.expires.saturating_add(SKEW_SECONDS) {
            return Err(Denial::Expired);
        }
        if now.saturating_add(SKEW_SECONDS) < self.begins {
            return Err(Denial::NotYetValid);
        }
        if !self.audiences.iter().any(|audience| is_own(audience)) {
            return Err(Denial::Audience);
        }
        Ok(())
    }

    /// Whether it holds at `now`, whoever it is for.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_time(&self, now: u64) -> Result<(), Denial> {
        match self.check(now, |_| true) {
            Err(Denial::Audience) => Ok(()),
            checked => checked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn rules() -> Rules {
        Rules {
            issuer: Some("https://idp".to_owned()),
            client_claim: "sub".to_owned(),
            tenant_claim: "org_id".to_owned(),
            roles_claim: "realm_access.roles".to_owned(),
        }
    }

    fn text(header: &str, claims: &str) -> String {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.AAAA", encode(header), encode(claims))
    }

    fn grant(claims: &str) -> Result<Grant, Denial> {
        let text = text(r#"{"alg":"RS256"}"#, claims);
        Token::parse(&text).unwrap().grant(&rules())
    }

    fn denial(header: &str) -> Option<Denial> {
        Token::parse(&text(header, "{}")).err()
    }

    #[test]
    fn only_public_key_signatures_are_signatures() {
        for alg in [
            "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "rs256", "RS1",
            "ES256K", "ES512", "dir", "RSA-OAEP",
        ] {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            assert_eq!(denial(&header), Some(Denial::Algorithm), "{alg}");
        }
        for algorithm in Algorithm::ALL {
            let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
            assert_eq!(denial(&header), None);
        }
    }

    #[test]
    fn a_header_that_two_readers_could_read_in_two_ways_is_no_header() {
        for header in [
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","kid":"a","kid":"b"}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"RS256","typ":"dpop+jwt"}"#,
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            r#"{"kid":"a"}"#,
            "[]",
            "",
            "{",
        ] {
            assert_eq!(denial(header), Some(Denial::TokenMalformed), "{header}");
        }
        for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            assert_eq!(denial(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#)), None);
        }
    }

    #[test]
    fn what_is_not_three_parts_of_base64url_is_no_token() {
        let good = text(r#"{"alg":"RS256"}"#, "{}");
        for bad in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "a.b".to_owned(),
            format!("{good}.x"),
            format!("{good}="),
            good.replace(".AAAA", ".A"),
            good.replace(".AAAA", ".AA+A"),
            good.replace(".AAAA", ". AAA"),
        ] {
            let parsed = Token::parse(&bad).err();
            assert_eq!(parsed, Some(Denial::TokenMalformed), "{bad}");
        }
    }

    #[test]
    fn a_grant_names_its_client_tenant_roles_and_scopes() {
        let grant = grant(
            r#"{"iss":"https://idp","sub":"alice","org_id":"acme","exp":2000000,"scope":"a b",
                "scp":["c"],"realm_access":{"roles":["admin","dev"]},"aud":["x","y"]}"#,
        )
        .unwrap();
        let principal = &grant.principal;
        assert_eq!((&*principal.client, principal.proof), ("alice", Proof::Jwt));
        assert_eq!(principal.tenant.as_deref(), Some("acme"));
        assert_eq!(principal.scopes.join(","), "a,b,c");
        assert_eq!(principal.roles.join(","), "admin,dev");
        assert!(grant.check(NOW, |audience| audience == "y").is_ok());
    }

    #[test]
    fn claims_that_are_missing_or_of_the_wrong_kind_grant_nothing() {
        let of = |rest: &str| grant(&format!(r#"{{"iss":"https://idp",{rest}}}"#)).err();
        let rows = [
            r#""sub":"a""#,
            r#""exp":2000000"#,
            r#""sub":"","exp":2000000"#,
            r#""sub":7,"exp":2000000"#,
            r#""sub":"a\nb","exp":2000000"#,
            r#""sub":"a","exp":"2000000""#,
            r#""sub":"a","exp":-1"#,
            r#""sub":"a","exp":1e300"#,
            r#""sub":"a","exp":2000000,"nbf":"x""#,
            r#""sub":"a","exp":2000000,"org_id":["t"]"#,
            r#""sub":"a","exp":2000000,"aud":{"x":1}"#,
            r#""sub":"a","exp":2000000,"aud":["x",1]"#,
            r#""sub":"a","exp":2000000,"scp":[1]"#,
        ];
        for row in rows {
            assert_eq!(of(row), Some(Denial::Claims), "{row}");
        }
        let many = vec!["r"; claims::NAMES_MAX + 1].join(" ");
        let many = format!(r#""sub":"a","exp":2000000,"scope":"{many}""#);
        assert_eq!(of(&many), Some(Denial::Claims));
    }

    #[test]
    fn another_issuer_is_refused_also_where_it_looks_alike() {
        for iss in [
            r#""https://idp/""#,
            r#""https://IDP""#,
            "null",
            r#"["https://idp"]"#,
        ] {
            let claims = format!(r#"{{"iss":{iss},"sub":"a","exp":2000000}}"#);
            assert_eq!(grant(&claims).err(), Some(Denial::Issuer), "{iss}");
        }
    }

    #[test]
    fn time_counts_up_to_the_skew_and_no_further() {
        let claims = r#"{"iss":"https://idp","sub":"a","exp":1000000.5,"nbf":999000,"aud":"x"}"#;
        let grant = grant(claims).unwrap();
        let at = |now| grant.check(now, |_| true).err();
        assert_eq!(at(NOW + SKEW_SECONDS - 1), None);
        assert_eq!(at(NOW + SKEW_SECONDS), Some(Denial::Expired));
        assert_eq!(at(999_000 - SKEW_SECONDS), None);
        assert_eq!(at(999_000 - SKEW_SECONDS - 1), Some(Denial::NotYetValid));
        assert_eq!(grant.check(NOW, |_| false), Err(Denial::Audience));
        assert_eq!(grant.check_time(NOW), Ok(()));
    }
}
