//! Values as people and other programs are shown them: without what is secret.

use serde_json::Value;

use crate::guard::detect::{self, Detector, Detectors};

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

/// A value, JSON text, as it may be shown: members with names such as `password` and what detectors
/// find in texts are hidden. Nothing where it is no JSON, or too long.
#[must_use]
pub fn shown(text: &str) -> Option<String> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let mut value: Value = serde_json::from_str(text).ok()?;
    let detectors = Detector::ALL.into_iter();
    hide(
        &mut value,
        detectors
            .filter(|one| *one != Detector::PromptInjection)
            .collect(),
    );
    Some(value.to_string())
}

fn hide(value: &mut Value, detectors: Detectors) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if is_secret(name) {
                    *member = HIDDEN.into();
                } else {
                    hide(member, detectors);
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                hide(element, detectors);
            }
        }
        Value::String(text) => {
            if let Some(redacted) = detect::redact(detectors, text) {
                *text = redacted;
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
            (r#""plain""#, r#""plain""#),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(shown("{"), None);
        assert_eq!(shown(&format!("\"{}\"", "a".repeat(BYTES_MAX))), None);
    }
}
