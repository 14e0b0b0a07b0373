//! The schema as editors see it.
//!
//! An editor checks the file before variables are resolved, so what is published also accepts a
//! `${VAR}` wherever a number, a boolean or a choice is asked for, and sections without content.

use serde_json::{Map, Value, json};

use crate::config::schema::NAME_PATTERN;

/// A text that refers to a variable.
const REFERENCE_PATTERN: &str = r"\$\{";

/// Loosens a tidied schema for texts that are not resolved yet.
pub fn loosen(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(keyword) {
            loosen(child);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(loosen);
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.iter_mut().for_each(loosen);
    }
    loosen_value(map);
}

fn loosen_value(map: &mut Map<String, Value>) {
    if map.contains_key("enum") {
        return loosen_choice(map);
    }
    match map.get("type").and_then(Value::as_str) {
        // Bounds only concern numbers, and the pattern only texts.
        Some(name @ ("integer" | "number" | "boolean")) => {
            let types = json!([name, "string"]);
            map.insert("type".to_owned(), types);
            map.insert("pattern".to_owned(), json!(REFERENCE_PATTERN));
        }
        Some(name @ ("object" | "array")) => {
            let types = json!([name, "null"]);
            map.insert("type".to_owned(), types);
        }
        Some("string") => {
            if let Some(pattern) = map.get_mut("pattern") {
                *pattern = json!(format!("{NAME_PATTERN}|{REFERENCE_PATTERN}"));
            }
        }
        Some(_) | None => {}
    }
}

fn loosen_choice(map: &mut Map<String, Value>) {
    map.shift_remove("type");
    if let Some(choices) = map.shift_remove("enum") {
        let reference = json!({ "type": "string", "pattern": REFERENCE_PATTERN });
        map.insert("anyOf".to_owned(), json!([{ "enum": choices }, reference]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_choices_and_names_also_accept_a_reference_and_sections_nothing() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "port": { "type": "integer", "maximum": 9 },
                "mode": { "type": "string", "enum": ["a", "b"], "default": "a" },
                "id": { "type": "string", "pattern": NAME_PATTERN },
                "text": { "type": "string", "minLength": 1 },
                "list": { "type": "array", "items": { "type": "boolean" } },
            }
        });
        loosen(&mut schema);
        let reference = r"\$\{";
        let expected = json!({
            "type": ["object", "null"],
            "properties": {
                "port": { "type": ["integer", "string"], "maximum": 9, "pattern": reference },
                "mode": {
                    "default": "a",
                    "anyOf": [{ "enum": ["a", "b"] }, { "type": "string", "pattern": reference }],
                },
                "id": { "type": "string", "pattern": r"^[a-zA-Z0-9-]+$|\$\{" },
                "text": { "type": "string", "minLength": 1 },
                "list": {
                    "type": ["array", "null"],
                    "items": { "type": ["boolean", "string"], "pattern": reference },
                },
            }
        });
        assert_eq!(schema, expected);
    }
}
