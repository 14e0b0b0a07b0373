//! Values as people and other programs are shown them: without what is secret.

use std::borrow::Cow;

use memchr::memchr3;
use serde_json::{Map, Value};

use crate::guard::detect::{self, Detector, Detectors};
use crate::secret;

/// Longest value that is shown at all, in bytes of JSON text.
pub const BYTES_MAX: usize = 64 * 1024;
/// What stands in the place of a value that is not shown.
const HIDDEN: &str = "[REDACTED]";
/// Parts of names whose values are not shown, in small letters without `_` and `-`.
const NAMES: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "bearer",
    "privatekey",
    "credential",
    "ssn",
];

/// A text as it may be shown: what is secret by its name in a URI, and what detectors find, is hidden.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    let without = secret::hide_in_uris(text, HIDDEN);
    match detect::redact(detectors(), &without) {
        Some(redacted) => Cow::Owned(redacted),
        None => without,
    }
}

/// The name of what was asked for, as a log that is written for every request has it: as [`text`], but
/// what detectors find is looked for in URIs with a query, a fragment or a user alone.
#[must_use]
pub fn target(name: &str) -> Cow<'_, str> {
    match memchr3(b'?', b'#', b'@', name.as_bytes()) {
        Some(_) => text(name),
        None => Cow::Borrowed(name),
    }
}

/// All but the one that finds no secrets.
fn detectors() -> Detectors {
    let all = Detector::ALL.into_iter();
    all.filter(|one| *one != Detector::PromptInjection)
        .collect()
}

/// A value, JSON text, as it may be shown: members with names such as `password` and what detectors
/// find in texts are hidden. Nothing where it is no JSON, or too long.
#[must_use]
pub fn shown(text: &str) -> Option<String> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut value: Value = serde_json::from_str(text).ok()?;
    hide(&mut value, detectors());
    Some(value.to_string())
}

fn hide(value: &mut Value, detectors: Detectors) {
    match value {
        Value::Object(members) => {
            for (name, mut member) in std::mem::take(members) {
                if is_secret(&name) {
                    member = HIDDEN.into();
                } else {
                    hide(&mut member, detectors);
                }
                members.insert(hidden_name(name, members, detectors), member);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                hide(element, detectors);
            }
        }
        Value::String(string) => {
            if let Cow::Owned(redacted) = text(string) {
                *string = redacted;
            }
        }
        Value::Number(number) => {
            if let Some(redacted) = detect::redact(detectors, &number.to_string()) {
                *value = redacted.into();
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A name as it may be shown. One that others are shown as, too, is told apart by a number.
fn hidden_name(name: String, shown: &Map<String, Value>, detectors: Detectors) -> String {
    let shape = match detect::redact(detectors, &name) {
        Some(redacted) => redacted,
        None if !shown.contains_key(&name) => return name,
        None => name,
    };
    if !shown.contains_key(&shape) {
        return shape;
    }
    // No more names are taken than there are.
    let numbered = (shown.len()..).map(|number| format!("{shape} ({number})"));
    let mut free = numbered.filter(|name| !shown.contains_key(name));
    free.next().unwrap_or(shape)
}

fn is_secret(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    NAMES.iter().any(|secret| folded.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_what_was_asked_for_tells_no_secret_of_its_uri() {
        assert_eq!(
            target("db://x/?password=hunter2 of a@b.org"),
            "db://x/?password=[REDACTED] of [REDACTED:email]"
        );
        assert!(matches!(target("echo"), Cow::Borrowed("echo")));
    }

    #[test]
    fn what_is_secret_by_name_or_shape_is_not_shown() {
        for (text, expected) in [
            (
                r#"{"a":1,"API-Key":{"b":2},"n":{"access_token":"x"}}"#,
                r#"{"a":1,"API-Key":"[REDACTED]","n":{"access_token":"[REDACTED]"}}"#,
            ),
            (
                r#"["to a@b.org",4111111111111111,null]"#,
                r#"["to [REDACTED:email]","[REDACTED:card]",null]"#,
            ),
            (
                r#"{"a@b.org":{"4111 1111 1111 1111":1},"x":2}"#,
                r#"{"[REDACTED:email]":{"[REDACTED:card]":1},"x":2}"#,
            ),
            (
                r#"{"[REDACTED:email]":0,"a@b.org":1,"c@d.org":2}"#,
                r#"{"[REDACTED:email]":0,"[REDACTED:email] (1)":1,"[REDACTED:email] (2)":2}"#,
            ),
            (r#""plain""#, r#""plain""#),
            (
                r#"{"uri":"db://u:p@x/?password=hunter2&page=1"}"#,
                r#"{"uri":"db://[REDACTED]@x/?password=[REDACTED]&page=1"}"#,
            ),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(shown("{"), None);
        assert_eq!(shown(&format!("\"{}\"", "a".repeat(BYTES_MAX))), None);
    }
}
