//! What must hold for any bytes at all: the bodies of the fuzz targets in `filters/fuzz`, which
//! `cargo test` runs on generated input, too. They panic where it does not hold.

mod isolation;
pub mod oracle;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

use crate::bounds::DEPTH_MAX;
use crate::identity::credential::{self, CREDENTIAL_BYTES_MAX};
use crate::identity::is_name;
use crate::identity::token::{Rules, Token};
use crate::json::canonical;
use crate::json::canonical::BYTES_MAX;
use crate::json::canonical::ignored::Ignored;
use crate::json::object::{Object, string};
use crate::json::reader::{Malformed, Raw, Reader};
use crate::json::scan;
use crate::rpc::parse::{self, Invalid, Message};

/// What stands between the texts that [`canonical()`] compares. JSON never has it.
pub const SEPARATOR: char = '\u{1e}';

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

/// What is JSON to `serde_json` is JSON to [`Reader`], and nothing else is; and a message that is taken
/// says to `serde_json` what it says here.
pub fn message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(parse::payload(data).is_err());
        return;
    };
    let mut reader = Reader::new(text);
    let ours = reader
        .value()
        .and_then(|value| reader.end().map(|()| value));
    let theirs: Option<&RawValue> = serde_json::from_str(text).ok();
    assert_eq!(ours.map(Raw::get).ok(), theirs.map(RawValue::get), "{text}");
    match parse::message(text) {
        Ok(message) => told(&message, text),
        Err(Invalid::Syntax) => {}
        Err(Invalid::Depth | Invalid::Shape(_)) => assert_ne!(ours, Err(Malformed), "{text}"),
    }
}

fn told(message: &Message<'_>, text: &str) {
    let whole = Object::read(text).unwrap_or_default();
    let once = |object: &Object<'_>, name| {
        let stands = object.members().filter(|(known, _)| *known == name).count();
        assert!(stands <= 1, "{name} stands {stands} times in {text}");
        object.get(name).map(str::to_owned)
    };
    let answer = ["result", "error"].map(|name| once(&whole, name));
    assert_eq!(
        message.method().is_none(),
        answer.iter().any(Option::is_some)
    );
    let id = once(&whole, "id");
    assert_eq!(
        once(&whole, "jsonrpc").as_deref().and_then(string),
        Some("2.0".into())
    );
    let method = once(&whole, "method");
    let method = method.as_deref().and_then(string);
    assert_eq!(message.method(), method.as_deref(), "{text}");
    if let Some(ours) = message.request_id() {
        assert_eq!(Some(ours.as_json()), id.as_deref());
    }
    let params = once(&whole, "params").filter(|params| params != "null");
    assert_eq!(message.params_text, params.as_deref());
    let object = Object::read(params.as_deref().unwrap_or("{}")).unwrap_or_default();
    let Some(read) = message.params() else {
        return;
    };
    for (name, value) in [
        ("_meta", read.meta),
        ("name", read.name),
        ("uri", read.uri),
        ("taskId", read.task_id),
        ("requestId", read.request_id),
        ("arguments", read.arguments),
        ("cursor", read.cursor),
    ] {
        let theirs = once(&object, name);
        assert_eq!(value.map(Raw::get), theirs.as_deref(), "{name} in {text}");
        let string = |text: &str| serde_json::from_str::<String>(text).ok();
        let unescaped = value.and_then(Raw::string).map(Cow::into_owned);
        assert_eq!(unescaped, theirs.as_deref().and_then(string));
    }
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
