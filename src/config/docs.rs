//! `docs/CONFIGURATION.md`, made from the schema.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::config::schema::schema;
use crate::config::walk::kind::{Fields, Kind};

const HEAD: &str = include_str!("docs/head.md");

/// The configuration reference.
#[must_use]
pub fn to_markdown() -> String {
    let mut text = HEAD.to_owned();
    let Kind::Struct(sections) = Kind::of(schema()) else {
        return text;
    };
    for (name, section) in sections.properties {
        text.push_str(&render_section(name, section));
    }
    text
}

fn render_section(name: &str, section: &Json) -> String {
    let description = describe(section);
    let mut rows = Vec::new();
    collect(name, section, &mut rows);
    let mut text = format!("\n## `{name}`\n\n{description}\n\n");
    text.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for row in rows {
        text.push_str(&row);
    }
    text
}

/// One row for every field below a value.
fn collect(path: &str, schema: &Json, rows: &mut Vec<String>) {
    match Kind::of(schema) {
        Kind::Struct(fields) => collect_fields(path, &fields, rows),
        Kind::List { items, .. } => collect_inner(&format!("{path}[]"), items, rows),
        Kind::Map(values) => collect_inner(&format!("{path}.<name>"), values, rows),
        Kind::Either(choices) => choices
            .iter()
            .for_each(|choice| collect_inner(path, choice, rows)),
        Kind::Any | Kind::Choice(_) | Kind::Text | Kind::Integer | Kind::Number | Kind::Boolean => {
        }
    }
}

fn collect_inner(path: &str, schema: &Json, rows: &mut Vec<String>) {
    match Kind::of(schema) {
        Kind::Struct(_) | Kind::Either(_) => collect(path, schema, rows),
        Kind::Any
        | Kind::Map(_)
        | Kind::List { .. }
        | Kind::Choice(_)
        | Kind::Text
        | Kind::Integer
        | Kind::Number
        | Kind::Boolean => {}
    }
}

fn collect_fields(path: &str, fields: &Fields<'_>, rows: &mut Vec<String>) {
    let required: Vec<&str> = fields.required().collect();
    for (name, schema) in fields.properties {
        let path = format!("{path}.{name}");
        let default = if required.contains(&name.as_str()) {
            "*required*".to_owned()
        } else {
            schema
                .get("default")
                .map_or_else(String::new, |default| format!("`{default}`"))
        };
        rows.push(format!(
            "| `{path}` | {} | {default} | {} |\n",
            name_type(schema),
            describe(schema).replace('|', "\\|")
        ));
        collect(&path, schema, rows);
    }
}

/// The type and bounds of a field in a few words.
fn name_type(schema: &Json) -> String {
    let bound = |keyword: &str| schema.get(keyword);
    match Kind::of(schema) {
        Kind::Any => "anything".to_owned(),
        Kind::Struct(_) => "section".to_owned(),
        Kind::Map(values) => format!("map of {}", name_type(values)),
        Kind::List { items, .. } => format!("list of {}", name_type(items)),
        Kind::Choice(choices) => {
            let names = choices.iter().filter_map(Json::as_str);
            names
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Kind::Text => "text".to_owned(),
        Kind::Boolean => "`true`, `false`".to_owned(),
        Kind::Either(choices) => choices
            .iter()
            .map(name_type)
            .collect::<Vec<_>>()
            .join(" or "),
        Kind::Integer | Kind::Number => {
            let mut text = if bound("type").is_some_and(|name| name == "integer") {
                "whole number".to_owned()
            } else {
                "number".to_owned()
            };
            if let (Some(min), Some(max)) = (bound("minimum"), bound("maximum")) {
                // Writing to a String cannot fail.
                let _infallible = write!(text, ", {min} to {max}");
            }
            text
        }
    }
}

/// The description on one line.
fn describe(schema: &Json) -> String {
    let text = schema
        .get("description")
        .and_then(Json::as_str)
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
