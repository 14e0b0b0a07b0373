//! What must hold for any bytes at all: the bodies of the fuzz targets in `filters/fuzz`, which
//! `cargo test` runs on generated input, too. They panic where it does not hold.

mod guard;
mod isolation;
mod message;
pub mod oracle;
mod screen;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::bounds::DEPTH_MAX;
use crate::glob::Glob;
use crate::guard::detect::{self, Detector};
use crate::identity::credential::{self, CREDENTIAL_BYTES_MAX};
use crate::identity::is_name;
use crate::identity::token::{Rules, Token};
use crate::json::canonical;
use crate::json::canonical::BYTES_MAX;
use crate::json::canonical::ignored::Ignored;
use crate::json::redact;
use crate::json::scan;

/// What stands between the texts that [`canonical()`] compares. JSON never has it.
pub const SEPARATOR: char = '\u{1e}';

/// Largest product of a pattern's and a text's lengths that [`glob()`] compares: its second view is slow.
const GLOB_WORK_MAX: usize = 1 << 16;

/// How many requests were answered from the model cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// With an answer to the same caller.
    pub own: usize,
    /// With an answer to another caller of its tenant.
    pub tenant: usize,
    /// With an answer to anyone.
    pub public: usize,
}

/// No caller is given what is kept for another one and is not theirs to share, and none is given the
/// answer to another question. The bytes choose requests, callers and results.
pub fn isolation(data: &[u8]) -> Served {
    isolation::run(data)
}

/// Paths find in a value what they say and nothing else; changes change that and nothing else; what is
/// no JSON is refused. The text is a path, a value, and a text that detectors look through.
pub fn guard(data: &[u8]) {
    guard::run(data);
}

/// What is JSON to `serde_json` is JSON to [`crate::json::reader::Reader`], and nothing else is; a message
/// that is taken says to `serde_json` what it says here, and one that is not is refused by an answer that
/// is one.
pub fn message(data: &[u8]) {
    message::run(data);
}

/// Whatever the text, no reader finds in what is shown of it a name that the rules deny: neither the one
/// that takes the first of two members, nor the one that takes the last, nor one to whom case does not
/// matter. Gives in how many ways anything of it was shown.
pub fn screen(data: &[u8]) -> usize {
    screen::run(data)
}

/// A glob matches what the definition of its wildcards says. The first line is the pattern, the rest the
/// text.
pub fn glob(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, text) = text.split_once('\n').unwrap_or((text, ""));
    if pattern.len().saturating_mul(text.len()) > GLOB_WORK_MAX {
        return;
    }
    let is_match = Glob::new(pattern).matches(text);
    assert_eq!(
        is_match,
        oracle::matches(pattern, text),
        "{pattern:?} {text:?}"
    );
}

/// What is shown of a value is JSON, and has nothing left that detectors find.
pub fn redaction(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if !scan::nests_within(data, DEPTH_MAX) {
        return;
    }
    let Some(shown) = redact::shown(text) else {
        return;
    };
    let value: Option<Value> = serde_json::from_str(&shown).ok();
    assert!(value.is_some_and(|value| is_clean(&value)), "{shown}");
}

fn is_clean(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .all(|(name, value)| is_clean_text(name) && is_clean(value)),
        Value::Array(elements) => elements.iter().all(is_clean),
        Value::String(text) => is_clean_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn is_clean_text(text: &str) -> bool {
    let detectors = Detector::ALL.into_iter();
    let detectors = detectors.filter(|one| *one != Detector::PromptInjection);
    detect::redact(detectors.collect(), text).is_none()
}

/// Two texts have the same canonical form if and only if they mean the same, and what has no clear
/// meaning has none. A third text is a path to ignore.
pub fn canonical(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut texts = text.split(SEPARATOR);
    let (first, second) = (texts.next().unwrap_or(text), texts.next().unwrap_or(text));
    let (ours, theirs) = (written(first), written(second));
    if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
        let means_same = oracle::meaning(first) == oracle::meaning(second);
        assert_eq!(ours == theirs, means_same, "{first} and {second}");
    }
    let ignored = Ignored::compile(texts.next());
    let mut once = Vec::new();
    if canonical::write(first, &ignored, &mut once).is_ok() {
        let once = String::from_utf8(once).unwrap_or_default();
        let mut again = Vec::new();
        let outcome = canonical::write(&once, &ignored, &mut again);
        assert!(outcome.is_ok() && again == once.as_bytes(), "{once}");
    }
}

/// Whatever a request carries as its credential, it is one or it is refused; a token is what it was read
/// from, signed by a public-key algorithm, and good for bounded time. The first line is `Authorization`,
/// the second one `X-API-Key`, the third one the claims of a token.
pub fn credential(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (first, second) = (lines.next(), lines.next());
    if let Ok(Some(found)) = credential::read(first, second) {
        let text = found.text();
        assert!(
            !text.is_empty() && text.len() <= CREDENTIAL_BYTES_MAX,
            "{text}"
        );
        token(text);
    }
    let encoded = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let (header, claims) = (first.unwrap_or_default(), lines.next().unwrap_or_default());
    token(&format!("{}.{}.AAAA", encoded(header), encoded(claims)));
    token(&format!(
        "{}.{}.",
        encoded(br#"{"alg":"ES256"}"#),
        encoded(claims)
    ));
}

fn token(text: &str) {
    let Ok(token) = Token::parse(text) else {
        return;
    };
    let rest = text.strip_prefix(token.signed);
    let signature = rest.and_then(|rest| rest.strip_prefix('.'));
    let signature = signature.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    assert_eq!(signature, Some(token.signature.clone()), "{text}");
    let rules = Rules {
        issuer: None,
        client_claim: "sub".to_owned(),
        tenant_claim: "org.id".to_owned(),
        roles_claim: "roles".to_owned(),
    };
    let Ok(grant) = token.grant(&rules) else {
        return;
    };
    let principal = &grant.principal;
    let names = principal.roles.iter().chain(principal.scopes.iter());
    let mut names = names
        .chain(principal.tenant.iter())
        .chain([&principal.client]);
    assert!(names.all(|name| is_name(name)), "{text}");
    assert!(grant.check_time(u64::MAX).is_err(), "{text} lasts for ever");
}

/// The canonical form of a text, checked by itself.
fn written(text: &str) -> Option<String> {
    let mut out = b"before".to_vec();
    let outcome = canonical::write(text, Ignored::NONE, &mut out);
    let own = out.strip_prefix(b"before").unwrap_or_default();
    let is_bounded = text.len() <= BYTES_MAX && scan::nests_within(text.as_bytes(), DEPTH_MAX);
    let meaning = is_bounded.then(|| oracle::meaning(text)).flatten();
    assert_eq!(outcome.is_ok(), meaning.is_some(), "{text}");
    if outcome.is_err() {
        assert!(own.is_empty(), "{text} left something");
        return None;
    }
    let own = std::str::from_utf8(own).unwrap_or_default();
    assert_eq!(oracle::meaning(own), meaning, "{own}");
    let mut again = Vec::new();
    let outcome = canonical::write(own, Ignored::NONE, &mut again);
    assert!(outcome.is_ok() && again == own.as_bytes(), "{own}");
    Some(own.to_owned())
}
