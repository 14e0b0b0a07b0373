//! Checks the tree of a configuration file against the schema and turns it into typed JSON.
//!
//! The walk reports every mistake it meets and goes on: a value it refuses is left out, so that
//! its default takes its place and the rest of the file is still judged. Keys the schema does not
//! know are warned about at any depth, with the known key they may have meant.
//!
//! **Invariant:** what comes out deserialises into [`crate::config::raw::Raw`]; lists keep their
//! length, so that the paths of later findings are those of the file.

use std::collections::HashMap;

use filters::problem::{Place, Problem, Problems};
use serde_json::{Map, Value as Json};

use crate::config::path::{Path, parent};
use crate::config::source::Variables;
use crate::config::walk::kind::{Fields, Kind};
use crate::config::yaml::{Entry, Node, Value};

pub mod kind;
pub mod scalar;
pub mod suggest;

/// Where every value of a file was written, by its path.
#[derive(Debug, Clone, Default)]
pub struct Places(HashMap<String, Place>);

impl Places {
    /// Where a value was written; for one that was not, where what should contain it was.
    #[must_use]
    pub fn nearest(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(place.clone());
            }
            path = parent(path)?;
        }
    }

    /// Whether the file, or a variable, says anything at this path.
    #[must_use]
    pub fn is_written(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

/// Checks a file's tree; gives the values that are right, and where everything was written.
pub fn check(
    schema: &Json,
    root: &Node,
    variables: &Variables,
    problems: &mut Problems,
) -> (Json, Places) {
    let mut walk = Walk {
        variables,
        problems,
        places: Places::default(),
    };
    let value = walk.value(schema, root, &Path::root());
    (
        value.unwrap_or_else(|| Json::Object(Map::new())),
        walk.places,
    )
}

struct Walk<'a> {
    variables: &'a Variables,
    problems: &'a mut Problems,
    places: Places,
}

impl Walk<'_> {
    /// The value as JSON, or `None` if there is nothing or it was refused.
    fn value(&mut self, schema: &Json, node: &Node, path: &Path) -> Option<Json> {
        let kind = Kind::of(schema);
        if matches!(kind, Kind::Any) {
            self.places.0.insert(path.to_string(), node.place.clone());
            return self.any(node, path);
        }
        if node.value == Value::Null {
            self.without_value(&kind, schema, node, path);
            return None;
        }
        self.places.0.insert(path.to_string(), node.place.clone());
        match (&kind, &node.value) {
            (Kind::Either(choices), _) => self.either(choices, node, path),
            (Kind::Struct(fields), Value::Map(entries)) => {
                Some(self.fields(fields, entries, node, path))
            }
            (Kind::Map(values), Value::Map(entries)) => Some(self.map(values, entries, path)),
            (Kind::List { items, min, max }, Value::List(nodes)) => self
                .bound_length(nodes.len(), *min, *max, node, path)
                .then(|| self.list(items, nodes, path)),
            (_, Value::Scalar { text, plain }) => {
                let written = scalar::Written {
                    text,
                    plain: *plain,
                    place: &node.place,
                };
                scalar::check(&kind, schema, written, self.variables)
                    .map_err(|faults| self.refuse(faults, path))
                    .ok()
            }
            (_, Value::Null | Value::List(_) | Value::Map(_)) => {
                self.mismatch(&kind, node, path);
                None
            }
        }
    }

    /// A section without content is an absent section, and a list without items an empty one. But
    /// where an absent list means everything, an empty one must not.
    fn without_value(&mut self, kind: &Kind<'_>, schema: &Json, node: &Node, path: &Path) {
        if matches!(kind, Kind::List { .. }) && schema.get("default").is_none() {
            self.problems
                .error(
                    path.as_str(),
                    "the list has no items; write some, or remove the key",
                )
                .at(node.place.clone());
        } else if kind.is_scalar() && !path.as_str().is_empty() {
            self.problems
                .warning(
                    path.as_str(),
                    "the key has no value, so the default applies",
                )
                .at(node.place.clone());
        }
    }

    fn mismatch(&mut self, kind: &Kind<'_>, node: &Node, path: &Path) {
        self.problems
            .error(path.as_str(), format!("must be {}", kind.describe()))
            .found(describe(node))
            .at(node.place.clone());
    }

    fn refuse(&mut self, faults: Vec<Problem>, path: &Path) {
        for mut fault in faults {
            fault.path = path.to_string();
            self.problems.add(fault);
        }
    }

    fn bound_length(
        &mut self,
        length: usize,
        min: usize,
        max: usize,
        node: &Node,
        path: &Path,
    ) -> bool {
        let fits = (min..=max).contains(&length);
        if !fits {
            let message = if length < min {
                "must not be empty".to_owned()
            } else {
                format!("must hold at most {max} items")
            };
            self.problems
                .error(path.as_str(), message)
                .found(format!("{length} items"))
                .at(node.place.clone());
        }
        fits
    }

    fn fields(&mut self, fields: &Fields<'_>, entries: &[Entry], node: &Node, path: &Path) -> Json {
        let mut object = Map::new();
        let required: Vec<&str> = fields.required().collect();
        for entry in entries {
            let field_path = path.key(&entry.key);
            match fields.properties.get(&entry.key) {
                Some(_) if entry.node.value == Value::Null && required.contains(&&*entry.key) => {}
                Some(schema) => {
                    if let Some(value) = self.value(schema, &entry.node, &field_path) {
                        object.insert(entry.key.clone(), value);
                    }
                }
                None => self.unknown(fields, entry, path),
            }
        }
        for name in required {
            let is_there = |entry: &&Entry| entry.key == name && entry.node.value != Value::Null;
            if !entries.iter().any(|entry| is_there(&entry)) {
                let place = node.place.clone();
                self.problems.error(path.key(name), "is required").at(place);
            }
        }
        Json::Object(object)
    }

    fn unknown(&mut self, fields: &Fields<'_>, entry: &Entry, path: &Path) {
        // Top-level `x-…` keys are the usual place for YAML anchors.
        if path.as_str().is_empty() && entry.key.starts_with("x-") {
            return;
        }
        let known = fields.properties.keys().map(String::as_str);
        let message = match suggest::nearest(&entry.key, known) {
            Some(name) => format!("unknown key, it is ignored; did you mean \"{name}\"?"),
            None => "unknown key, it is ignored".to_owned(),
        };
        self.problems
            .warning(path.key(&entry.key), message)
            .at(entry.key_place.clone());
    }

    fn map(&mut self, values: &Json, entries: &[Entry], path: &Path) -> Json {
        let mut object = Map::new();
        for entry in entries {
            if let Some(value) = self.value(values, &entry.node, &path.key(&entry.key)) {
                object.insert(entry.key.clone(), value);
            }
        }
        Json::Object(object)
    }

    fn list(&mut self, items: &Json, nodes: &[Node], path: &Path) -> Json {
        let kind = Kind::of(items);
        let checked = nodes.iter().enumerate().map(|(index, node)| {
            let path = path.index(index);
            if node.value == Value::Null && !matches!(kind, Kind::Any) {
                self.problems
                    .error(path, "the item has no value")
                    .at(node.place.clone());
                return kind.placeholder();
            }
            self.value(items, node, &path)
                .unwrap_or_else(|| kind.placeholder())
        });
        Json::Array(checked.collect())
    }

    /// The alternative that has the shape of what was written.
    fn either(&mut self, choices: &[Json], node: &Node, path: &Path) -> Option<Json> {
        if let Value::Scalar { text, plain } = &node.value
            && choices.iter().all(|choice| Kind::of(choice).is_scalar())
        {
            let written = scalar::Written {
                text,
                plain: *plain,
                place: &node.place,
            };
            return scalar::check_either(choices, written, self.variables)
                .map_err(|faults| self.refuse(faults, path))
                .ok();
        }
        let fitting = choices
            .iter()
            .find(|choice| match (&node.value, Kind::of(choice)) {
                (Value::Map(_), Kind::Struct(_) | Kind::Map(_)) => true,
                (Value::List(_), Kind::List { .. }) => true,
                (Value::Scalar { .. }, kind) => kind.is_scalar(),
                (Value::Null | Value::List(_) | Value::Map(_), _) => false,
            });
        match fitting {
            Some(schema) => self.value(schema, node, path),
            None => {
                self.mismatch(&Kind::Either(choices), node, path);
                None
            }
        }
    }

    /// A value whose shape is not ours to know, by YAML's own rules.
    fn any(&mut self, node: &Node, path: &Path) -> Option<Json> {
        match &node.value {
            Value::Null => Some(Json::Null),
            Value::Scalar { text, plain } => {
                let written = scalar::Written {
                    text,
                    plain: *plain,
                    place: &node.place,
                };
                scalar::check(&Kind::Any, &Json::Bool(true), written, self.variables)
                    .map_err(|faults| self.refuse(faults, path))
                    .ok()
            }
            Value::List(nodes) => Some(self.list(&Json::Bool(true), nodes, path)),
            Value::Map(entries) => Some(self.map(&Json::Bool(true), entries, path)),
        }
    }
}

fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar { .. } => "a single value".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}
