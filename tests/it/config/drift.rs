//! The files that are made from the types, or must follow them.

use std::collections::BTreeSet;

use conduit::config::source::{Source, Variables};
use conduit::config::walk::kind::Kind;
use conduit::config::walk::{self, Places};
use conduit::config::{Config, docs, schema, yaml};
use filters::problem::Problems;
use serde_json::Value as Json;

use super::loaded;

const REFERENCE: &str = include_str!("../../../conf/conduit.yaml");

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let committed = include_str!("../../../conf/schema.json");
    assert!(
        committed == schema::to_text(),
        "conf/schema.json is out of date; run: cargo run -- schema > conf/schema.json"
    );
}

#[test]
fn the_committed_reference_is_the_one_of_the_types() {
    let committed = include_str!("../../../docs/CONFIGURATION.md");
    assert!(
        committed == docs::to_markdown(),
        "docs/CONFIGURATION.md is out of date; run: \
         cargo run -- schema --markdown > docs/CONFIGURATION.md"
    );
}

#[test]
fn the_schema_uses_only_keywords_the_walk_knows() {
    let mut unknown = BTreeSet::new();
    visit(schema::schema(), &mut |schema| {
        let known = [
            "$schema",
            "title",
            "description",
            "type",
            "properties",
            "required",
            "items",
            "enum",
            "additionalProperties",
            "patternProperties",
            "anyOf",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "pattern",
            "writeOnly",
            "default",
        ];
        let Json::Object(map) = schema else { return };
        unknown.extend(
            map.keys()
                .filter(|key| !known.contains(&key.as_str()))
                .cloned(),
        );
        assert!(map.get("type").is_none_or(Json::is_string), "{schema}");
        let pattern = map.get("pattern");
        assert!(
            pattern.is_none_or(|pattern| pattern == schema::NAME_PATTERN),
            "{schema}"
        );
        let is_number = matches!(Kind::of(schema), Kind::Integer | Kind::Number);
        assert!(
            !is_number || map.contains_key("maximum"),
            "a number needs a bound: {schema}"
        );
    });
    assert_eq!(unknown, BTreeSet::new());
}

#[test]
fn every_field_of_the_schema_is_described() {
    visit(schema::schema(), &mut |schema| {
        let Kind::Struct(fields) = Kind::of(schema) else {
            return;
        };
        for (name, field) in fields.properties {
            assert!(
                field.get("description").is_some(),
                "{name} has no description"
            );
        }
    });
}

#[test]
fn the_reference_file_as_it_is_says_nothing_but_the_defaults() {
    let loaded = loaded(REFERENCE);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn the_reference_file_shows_every_field_and_its_true_default() {
    let mut problems = Problems::default();
    let root = yaml::parse(&uncommented(REFERENCE), &mut problems).unwrap();
    let mut source = Source::default();
    for name in ["API_TOKEN", "CONDUIT_AGENT_KEY", "CONDUIT_SESSION_SECRET"] {
        source.environment.insert(name.to_owned(), "x".to_owned());
    }
    let variables = Variables::gather(&source, &mut problems);
    let (value, places) = walk::check(schema::schema(), &root, &variables, &mut problems);
    assert_eq!(problems.to_string(), "");
    compare("", schema::schema(), &value, &places);
}

#[test]
fn the_reference_file_describes_every_field_as_the_types_do() {
    let prose = |line: &str| line.trim_start().strip_prefix("# ").map(str::to_owned);
    let prose = REFERENCE
        .lines()
        .filter_map(prose)
        .collect::<Vec<_>>()
        .join(" ");
    visit(schema::schema(), &mut |schema| {
        let Kind::Struct(fields) = Kind::of(schema) else {
            return;
        };
        for (name, field) in fields.properties {
            let words = field["description"].as_str().unwrap().split_whitespace();
            let description = words.collect::<Vec<_>>().join(" ");
            assert!(
                prose.contains(&description),
                "conf/conduit.yaml tells {name} otherwise: {description}"
            );
        }
    });
}

/// Removes the `#` of every setting: one that is followed by no space.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.split_once('#') {
        Some((indent, setting))
            if indent.trim().is_empty() && !setting.is_empty() && !setting.starts_with(' ') =>
        {
            format!("{indent}{setting}\n")
        }
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Every field is there, and has its default if the schema names one.
fn compare(path: &str, schema: &Json, value: &Json, places: &Places) {
    match Kind::of(schema) {
        Kind::Struct(fields) => {
            for (name, field) in fields.properties {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                assert!(
                    places.is_written(&path),
                    "conf/conduit.yaml does not show {path}"
                );
                compare(&path, field, &value[name], places);
            }
        }
        Kind::List { items, .. } if is_section(items) => {
            compare(&format!("{path}[0]"), items, &value[0], places);
        }
        Kind::Map(values) if is_section(values) => {
            compare(
                &format!("{path}.some_tool"),
                values,
                &value["some_tool"],
                places,
            );
        }
        Kind::Either(choices) => {
            if let Some(section) = choices.iter().find(|choice| is_section(choice)) {
                compare(path, section, value, places);
            }
        }
        Kind::List { .. } | Kind::Map(_) => {}
        Kind::Any | Kind::Choice(_) | Kind::Text | Kind::Integer | Kind::Number | Kind::Boolean => {
            if let Some(default) = schema.get("default") {
                assert_eq!(
                    value, default,
                    "conf/conduit.yaml shows another default for {path}"
                );
            }
        }
    }
}

fn is_section(schema: &Json) -> bool {
    match Kind::of(schema) {
        Kind::Struct(_) => true,
        Kind::Either(choices) => choices.iter().any(is_section),
        Kind::Any
        | Kind::Map(_)
        | Kind::List { .. }
        | Kind::Choice(_)
        | Kind::Text
        | Kind::Integer
        | Kind::Number
        | Kind::Boolean => false,
    }
}

#[test]
fn the_files_to_start_from_load_without_a_warning() {
    for (text, n_servers) in [
        (include_str!("../../../conf/quickstart.yaml"), 1),
        (include_str!("../../../conf/minimal.yaml"), 1),
        (include_str!("../../../conf/examples/stdio.yaml"), 2),
        (include_str!("../../../conf/examples/replicas.yaml"), 1),
        (include_str!("../../../conf/examples/public.yaml"), 2),
        (include_str!("../../../conf/examples/cache.yaml"), 2),
        (include_str!("../../../conf/examples/auth.yaml"), 1),
        (include_str!("../../../conf/examples/upstream_auth.yaml"), 3),
        (include_str!("../../../conf/examples/acl.yaml"), 2),
    ] {
        let environment = [
            ("HOME", "/h"),
            ("SEARCH_TOKEN", "t"),
            ("CONDUIT_ADMIN_KEY", "k"),
            ("REDIS_URL", "redis://r"),
        ];
        let loaded = conduit::config::load(&super::source(text, &environment)).unwrap();
        assert_eq!(loaded.warnings, [], "{text}");
        assert_eq!(loaded.config.servers.len(), n_servers, "{text}");
        assert_eq!(
            conduit::config::inactive::inactive(&loaded.config),
            [""; 0],
            "{text}"
        );
    }
}

#[test]
fn a_field_of_the_schema_is_in_the_reference_and_overrides_name_real_fields() {
    for (variable, path) in conduit::config::overrides::DIRECT {
        let field = path.iter().try_fold(schema::schema(), |schema, key| {
            schema
                .get("properties")
                .and_then(|properties| properties.get(key))
        });
        assert!(
            field.is_some(),
            "{variable} overrides {path:?}, which does not exist"
        );
        assert!(
            docs::to_markdown().contains(&format!("`{variable}`")),
            "{variable} is not in the docs"
        );
    }
}

fn visit(schema: &Json, look: &mut impl FnMut(&Json)) {
    look(schema);
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = schema.get(keyword) {
            visit(child, look);
        }
    }
    if let Some(Json::Object(properties)) = schema.get("properties") {
        properties.values().for_each(|child| visit(child, look));
    }
    if let Some(Json::Array(choices)) = schema.get("anyOf") {
        choices.iter().for_each(|child| visit(child, look));
    }
}
