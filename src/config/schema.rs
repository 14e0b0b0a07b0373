//! The JSON Schema of the configuration file, generated from the raw types.
//!
//! It is used three times: printed by `conduit schema` for editors (see [`publish`]), walked by
//! [`crate::config::walk`] to check a file, and rendered by [`crate::config::docs`].
//!
//! **Invariant:** the schema is inlined and tidied into the few keywords the walk knows: `type` as
//! one name, `properties`, `required`, `additionalProperties`, `items`, `enum`, `anyOf`, `minimum`,
//! `maximum`, `minLength`, `maxLength`, `minItems`, `maxItems`, `pattern`, `writeOnly`.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::config::raw::Raw;

pub mod publish;

/// The only pattern that names in the configuration follow.
pub const NAME_PATTERN: &str = "^[a-zA-Z0-9-]+$";

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The JSON Schema (draft 2020-12) of the configuration file, variables resolved.
#[must_use]
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// The schema as `conduit schema` prints it and `conf/schema.json` holds it.
#[must_use]
pub fn to_text() -> String {
    let mut published = schema().clone();
    publish::loosen(&mut published);
    format!("{published:#}\n")
}

fn generate() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Raw>()
        .to_value();
    tidy(&mut schema);
    schema
}

/// Rewrites a generated schema into the keywords the walk knows.
fn tidy(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    unwrap_optional(map);
    fold_choices(map);
    bound_integer(map);
    drop_empty_default(map);
    drop_default_of_required(map);
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(keyword) {
            tidy(child);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(tidy);
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.iter_mut().for_each(tidy);
    }
}

/// `T or null` becomes `T`: a key without a value means the same as no key.
fn unwrap_optional(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [name] = types.as_slice() {
            let name = name.clone();
            map.insert("type".to_owned(), name);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    let Some(Value::Array(choices)) = map.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type") != Some(&json!("null")));
    if let [Value::Object(only)] = choices.as_mut_slice() {
        let only = std::mem::take(only);
        map.shift_remove("anyOf");
        for (keyword, value) in only {
            map.entry(keyword).or_insert(value);
        }
    }
}

/// `oneOf` constants, as documented variants come out, becomes `enum`.
fn fold_choices(map: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = map.get("oneOf") else {
        return;
    };
    let mut choices = Vec::new();
    for variant in variants {
        match (variant.get("const"), variant.get("enum")) {
            (Some(one), _) => choices.push(one.clone()),
            (None, Some(Value::Array(several))) => choices.extend(several.iter().cloned()),
            (None, _) => return,
        }
    }
    map.shift_remove("oneOf");
    map.entry("type").or_insert_with(|| json!("string"));
    map.entry("enum").or_insert(Value::Array(choices));
}

/// Integer formats become plain bounds.
fn bound_integer(map: &mut Map<String, Value>) {
    let numeric = matches!(
        map.get("type").and_then(Value::as_str),
        Some("integer" | "number")
    );
    if !numeric {
        return;
    }
    if let Some(format) = map.shift_remove("format")
        && format == "uint32"
    {
        map.entry("maximum").or_insert_with(|| json!(u32::MAX));
    }
}

/// A default that says nothing (no value, or a section whose fields have their own) is noise.
fn drop_empty_default(map: &mut Map<String, Value>) {
    let is_section = map.contains_key("properties") || map.get("type") == Some(&json!("object"));
    let says_nothing = map.get("default").is_some_and(Value::is_null);
    if is_section || says_nothing {
        map.shift_remove("default");
    }
}

/// A key that must be there has no default.
fn drop_default_of_required(map: &mut Map<String, Value>) {
    let Some(Value::Array(required)) = map.get("required").cloned() else {
        return;
    };
    let Some(Value::Object(properties)) = map.get_mut("properties") else {
        return;
    };
    for name in required.iter().filter_map(Value::as_str) {
        if let Some(Value::Object(property)) = properties.get_mut(name) {
            property.shift_remove("default");
        }
    }
}
