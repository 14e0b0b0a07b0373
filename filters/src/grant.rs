//! The OAuth 2.1 client credentials grant: what is asked of a token endpoint, and what its answer means
//! (RFC 6749 §4.4, RFC 8707).
//!
//! **Invariant:** nothing of an answer but the token itself, and a name of this file's own, goes any
//! further: an endpoint may repeat the secret that it was sent.

pub mod metadata;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::identity::credential::CREDENTIAL_BYTES_MAX;
use crate::json::object::Object;
use crate::mask::percent_encoded;

/// For how long a token is used whose lifetime the endpoint does not say, until another one is fetched.
const UNSAID_SECONDS: u64 = 3600;
/// How long before its end a token is fetched anew, at most.
const AHEAD_SECONDS_MAX: u64 = 300;
/// No lifetime is believed to be longer.
const LIFETIME_SECONDS_MAX: u64 = 365 * 24 * 3600;
/// The errors that a token endpoint has names for (RFC 6749 §5.2, RFC 8707).
const ERRORS: [&str; 8] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "temporarily_unavailable",
];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Who asks.
    pub client_id: &'a str,
    /// How it is proved.
    pub authentication: Authentication,
    /// What the token is to be good for; nothing leaves it to the endpoint.
    pub scopes: &'a [String],
    /// Who is to accept it, in the words of endpoints that do not know `resource`.
    pub audience: Option<&'a str>,
    /// Who is to accept it: a resource indicator.
    pub resource: Option<&'a str>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// In the `Authorization` header.
    Basic,
    /// In the body.
    Post,
}

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What is sent.
    pub text: String,
    /// For how long it is good, as far as the endpoint said.
    pub lifetime_seconds: Option<u64>,
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The endpoint refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error that it named, if it is one that there is.
        error: Option<&'static str>,
    },
    /// The answer is no token response.
    NoToken,
    /// The token is of a kind that cannot be sent as a bearer token.
    Kind,
    /// The metadata is of another issuer, or names no token endpoint.
    Metadata,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                status,
                error: Some(error),
            } => write!(out, "token endpoint answered HTTP {status}: {error}"),
            Self::Refused {
                status,
                error: None,
            } => write!(out, "token endpoint answered HTTP {status}"),
            Self::NoToken => out.write_str("token endpoint answered with no access token"),
            Self::Kind => out.write_str("token endpoint answered with no bearer token"),
            Self::Metadata => {
                out.write_str("metadata is of another issuer, or names no token endpoint")
            }
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lifetime = self.lifetime_seconds;
        out.debug_struct("Token")
            .field("lifetime_seconds", &lifetime)
            .finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// The body, as a form.
    #[must_use]
    pub fn body(&self, secret: &str) -> String {
        let mut body = "grant_type=client_credentials".to_owned();
        let mut put = |name: &str, value: &str| {
            for part in ["&", name, "=", &percent_encoded(value)] {
                body.push_str(part);
            }
        };
        if self.authentication == Authentication::Post {
            put("client_id", self.client_id);
            put("client_secret", secret);
        }
        if !self.scopes.is_empty() {
            put("scope", &self.scopes.join(" "));
        }
        for (name, value) in [("audience", self.audience), ("resource", self.resource)] {
            if let Some(value) = value {
                put(name, value);
            }
        }
        body
    }

    /// The value of the `Authorization` header, where there is one.
    #[must_use]
    pub fn authorization(&self, secret: &str) -> Option<String> {
        (self.authentication == Authentication::Basic).then(|| {
            // Both are encoded as a form first (RFC 6749 §2.3.1).
            let (client, secret) = (percent_encoded(self.client_id), percent_encoded(secret));
            format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")))
        })
    }
}

impl Token {
    /// Reads what a token endpoint answered.
    ///
    /// # Errors
    /// Where that is no token that can be used.
    pub fn read(status: u16, document: &[u8]) -> Result<Self, Failure> {
        let text = std::str::from_utf8(document).unwrap_or_default();
        let answer = Object::read(text).unwrap_or_default();
        if status != 200 {
            let named = answer.text("error").unwrap_or_default();
            let error = ERRORS.into_iter().find(|known| *known == named);
            return Err(Failure::Refused { status, error });
        }
        let token = answer.text("access_token").ok_or(Failure::NoToken)?;
        if !is_token(&token) {
            return Err(Failure::NoToken);
        }
        let kind = answer.text("token_type").unwrap_or_default();
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(Failure::Kind);
        }
        let seconds = |value: &str| value.trim_matches('"').parse::<f64>().ok();
        let lifetime = answer.get("expires_in").and_then(seconds);
        Ok(Self {
            text: token.into_owned(),
            lifetime_seconds: lifetime.and_then(whole),
        })
    }

    /// In how many seconds another one is fetched, so that there is one when this one ends. `dice` is
    /// random, from 0 to 1: instances do not ask all at once.
    #[must_use]
    pub fn renewed_after(&self, dice: f64) -> f64 {
        let lifetime = self.lifetime_seconds.unwrap_or(UNSAID_SECONDS);
        let ahead = (lifetime / 5).min(AHEAD_SECONDS_MAX);
        let (lifetime, ahead) = (seconds(lifetime), seconds(ahead));
        // At half the margin at the latest.
        (lifetime - ahead * (0.5 + dice.clamp(0.0, 1.0) / 2.0)).max(1.0)
    }
}

/// Whether a text can stand in a header as a bearer token: visible ASCII, without what divides headers.
#[must_use]
pub fn is_token(text: &str) -> bool {
    (1..=CREDENTIAL_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b'\\'))
}

fn whole(seconds: f64) -> Option<u64> {
    if !seconds.is_finite() || seconds < 1.0 {
        return None;
    }
    let bounded = seconds.min(self::seconds(LIFETIME_SECONDS_MAX)).floor();
    // Bounded above, so that it is written without an exponent.
    format!("{bounded:.0}").parse().ok()
}

fn seconds(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPES: [&str; 2] = ["read", "a:b"];

    fn asked(authentication: Authentication, check: impl Fn(&Request<'_>)) {
        let scopes = SCOPES.map(str::to_owned);
        check(&Request {
            client_id: "gate way",
            authentication,
            scopes: &scopes,
            audience: Some("api"),
            resource: Some("https://s/mcp"),
        });
    }

    #[test]
    fn a_request_says_who_asks_in_one_place_only() {
        asked(Authentication::Basic, |request| {
            assert_eq!(
                request.body("p:s"),
                "grant_type=client_credentials&scope=read%20a%3Ab&audience=api&resource=https%3A%2F%2Fs%2Fmcp"
            );
            let wanted = format!("Basic {}", STANDARD.encode("gate%20way:p%3As"));
            assert_eq!(request.authorization("p:s"), Some(wanted));
        });
        asked(Authentication::Post, |request| {
            let body = request.body("p:s");
            assert!(
                body.contains("&client_id=gate%20way&client_secret=p%3As&"),
                "{body}"
            );
            assert_eq!(request.authorization("p:s"), None);
        });
    }

    fn read(status: u16, document: &str) -> Result<(String, Option<u64>), Failure> {
        let token = Token::read(status, document.as_bytes())?;
        Ok((token.text, token.lifetime_seconds))
    }

    #[test]
    fn a_token_is_read_with_its_lifetime() {
        for (said, lifetime) in [
            ("", None),
            (r#","expires_in":60"#, Some(60)),
            (r#","expires_in":"60""#, Some(60)),
            (r#","expires_in":60.9"#, Some(60)),
            (r#","expires_in":1e300"#, Some(LIFETIME_SECONDS_MAX)),
            (r#","expires_in":0"#, None),
            (r#","expires_in":-5"#, None),
            (r#","expires_in":"soon""#, None),
            (r#","expires_in":null"#, None),
        ] {
            let text = format!(r#"{{"access_token":"t-1","token_type":"bEaReR"{said}}}"#);
            assert_eq!(read(200, &text), Ok(("t-1".to_owned(), lifetime)), "{said}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused() {
        for (document, failure) in [
            ("", Failure::NoToken),
            ("<html>", Failure::NoToken),
            ("{}", Failure::NoToken),
            (r#"{"access_token":""}"#, Failure::NoToken),
            (
                r#"{"access_token":"a b","token_type":"Bearer"}"#,
                Failure::NoToken,
            ),
            (
                r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#,
                Failure::NoToken,
            ),
            (r#"{"access_token":"t"}"#, Failure::Kind),
            (r#"{"access_token":"t","token_type":"DPoP"}"#, Failure::Kind),
        ] {
            assert_eq!(read(200, document), Err(failure), "{document}");
        }
    }

    #[test]
    fn a_refusal_is_repeated_only_where_its_words_are_known() {
        let refused = |error| Err(Failure::Refused { status: 401, error });
        let said = r#"{"error":"invalid_client","error_description":"s3cret is wrong"}"#;
        assert_eq!(read(401, said), refused(Some("invalid_client")));
        assert_eq!(read(401, r#"{"error":"s3cret"}"#), refused(None));
        assert_eq!(read(401, "s3cret"), refused(None));
        let shown = Failure::Refused {
            status: 401,
            error: Some("invalid_client"),
        };
        let wanted = "token endpoint answered HTTP 401: invalid_client";
        assert_eq!(shown.to_string(), wanted);
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_and_not_by_all_at_once() {
        let after = |lifetime, dice| {
            let token = Token {
                text: "t".to_owned(),
                lifetime_seconds: lifetime,
            };
            token.renewed_after(dice)
        };
        for (lifetime, dice, wanted) in [
            (Some(3600), 0.0, 3450.0),
            (Some(3600), 1.0, 3300.0),
            (Some(100), 0.0, 90.0),
            (Some(100), 1.0, 80.0),
            (Some(1), 1.0, 1.0),
            (None, 1.0, 3300.0),
        ] {
            assert!(
                (after(lifetime, dice) - wanted).abs() < 0.01,
                "{lifetime:?} {dice}"
            );
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let token = Token::read(200, br#"{"access_token":"s3cret","token_type":"Bearer"}"#);
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
