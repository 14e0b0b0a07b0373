//! Reads YAML text into a small tree in which every key and value knows its line and column.
//!
//! Scalars keep their text: what type a scalar has is decided by the field it stands in
//! ([`crate::config::walk`]), with YAML 1.2 core rules, so `yes`, `no`, `on` and `off` are texts.
//!
//! **Invariant:** the size of the text, the depth and the number of nodes (aliases counted as
//! often as they are used) are bounded; no input makes this panic or grow without limit.
//! **Invariant:** the keys `__proto__`, `constructor` and `prototype` are dropped, as mcp-conduit
//! drops them.

use std::collections::HashMap;

use filters::problem::{Place, Problems};
use serde::de::DeserializeOwned;
use serde_yaml::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag, options};

use crate::config::path::Path;

/// The largest configuration file, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How deep a configuration may nest.
pub const DEPTH_MAX: usize = 64;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// How many values and keys a configuration may hold once its aliases are expanded.
pub const NODES_MAX: usize = 200_000;

const DROPPED_KEYS: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Reads a text that is no configuration, in bounds that are the library's.
///
/// # Errors
/// What is wrong with it, and where.
pub fn plain<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its first character.
    pub place: Place,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: a key without a value, `~` or `null`.
    Null,
    /// A scalar.
    Scalar {
        /// Its text, after YAML's own escapes.
        text: String,
        /// Whether it was written without quotes, so that it may be a number or a boolean.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub key_place: Place,
    /// The value.
    pub node: Node,
}

/// Reads a document; `None` if it is not YAML, in which case the problem says why.
pub fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        problems.error(
            "",
            format!("the file is larger than {TEXT_BYTES_MAX} bytes"),
        );
        return None;
    }
    let mut reader = Reader::new(text, problems);
    match reader.document() {
        Ok(node) => Some(node),
        Err(Stop { message, place }) => {
            problems.error("", message).place = place;
            None
        }
    }
}

/// Why reading cannot go on.
struct Stop {
    message: String,
    place: Option<Place>,
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    problems: &'a mut Problems,
    /// Finished anchored nodes and how many nodes each holds.
    anchors: HashMap<usize, (Node, usize)>,
    n_nodes: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, problems: &'a mut Problems) -> Self {
        let options = options! { emit_comments: false, flow_nesting_limit: 2 * DEPTH_MAX,
        block_nesting_limit: 2 * DEPTH_MAX };
        let events = Parser::new_from_str_with_options(text, options);
        Self {
            events,
            problems,
            anchors: HashMap::new(),
            n_nodes: 0,
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Place), Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => {
                let marker = error.marker();
                Err(Stop {
                    message: format!("not valid YAML: {}", error.info()),
                    place: Some(Place::Text {
                        line: marker.line(),
                        column: marker.col() + 1,
                    }),
                })
            }
            None => Err(Stop {
                message: "the file ends too early".to_owned(),
                place: None,
            }),
        }
    }

    /// The one document of the stream; nothing at all is an empty one.
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::StreamEnd) {
                let start = Place::Text { line: 1, column: 1 };
                return Ok(root.unwrap_or(Node {
                    value: Value::Null,
                    place: start,
                }));
            }
            if !event.is_node() {
                continue;
            }
            if root.is_some() {
                return Err(stop("the file holds more than one YAML document", place));
            }
            root = Some(self.node(event, place, &Path::root(), 0)?);
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        place: Place,
        path: &Path,
        depth: usize,
    ) -> Result<Node, Stop> {
        if depth > DEPTH_MAX {
            return Err(stop(
                &format!("nested deeper than {DEPTH_MAX} levels"),
                place,
            ));
        }
        self.count(1, &place)?;
        let first = self.n_nodes;
        let anchor = event.anchor_id();
        if let Some(tag) = event.tag() {
            check_tag(tag, &place)?;
        }
        let node = if let Some(id) = event.alias_id() {
            return self.alias(id, place);
        } else if let Some((text, style)) = event.scalar() {
            let is_text = event
                .tag()
                .is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
            Node {
                value: scalar(text, style == ScalarStyle::Plain && !is_text),
                place,
            }
        } else if matches!(event, Event::SequenceStart(..)) {
            self.list(place, path, depth)?
        } else {
            self.map(place, path, depth)?
        };
        if let Some(id) = anchor {
            let n_inside = self.n_nodes.saturating_sub(first).saturating_add(1);
            self.anchors.insert(id, (node.clone(), n_inside));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<Node, Stop> {
        let Some((node, n_inside)) = self.anchors.get(&id).cloned() else {
            return Err(stop("an alias refers to the value that contains it", place));
        };
        self.count(n_inside, &place)?;
        Ok(Node {
            value: node.value,
            place,
        })
    }

    fn list(&mut self, place: Place, path: &Path, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, item_place) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Node {
                    value: Value::List(items),
                    place,
                });
            }
            let item_path = path.index(items.len());
            items.push(self.node(event, item_place, &item_path, depth + 1)?);
        }
    }

    fn map(&mut self, place: Place, path: &Path, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, key_place) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Node {
                    value: Value::Map(entries),
                    place,
                });
            }
            let key_node = self.node(event, key_place.clone(), path, depth + 1)?;
            let Some(key) = key_text(key_node.value) else {
                return Err(stop("a key must be a simple text", key_place));
            };
            if key.len() > KEY_BYTES_MAX {
                let message = format!("a key is longer than {KEY_BYTES_MAX} bytes");
                return Err(stop(&message, key_place));
            }
            let (event, value_place) = self.next()?;
            let key_path = path.key(&key);
            let node = self.node(event, value_place, &key_path, depth + 1)?;
            if DROPPED_KEYS.contains(&key.as_str()) {
                continue;
            }
            if let Some(first) = seen.get(&key) {
                let message = format!("the key is written twice, first at {first}");
                self.problems.error(key_path, message).at(key_place);
                continue;
            }
            seen.insert(key.clone(), key_place.clone());
            entries.push(Entry {
                key,
                key_place,
                node,
            });
        }
    }

    fn count(&mut self, n: usize, place: &Place) -> Result<(), Stop> {
        self.n_nodes = self.n_nodes.saturating_add(n);
        if self.n_nodes > NODES_MAX {
            let message = format!("holds more than {NODES_MAX} values, aliases expanded");
            return Err(stop(&message, place.clone()));
        }
        Ok(())
    }
}

fn stop(message: &str, place: Place) -> Stop {
    Stop {
        message: message.to_owned(),
        place: Some(place),
    }
}

fn place(span: &Span) -> Place {
    Place::Text {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn check_tag(tag: &Tag, place: &Place) -> Result<(), Stop> {
    // `!` alone is YAML's "not resolved by content" and harmless.
    if tag.is_yaml_core_schema() || (tag.suffix().is_empty() && tag.handle() == "!") {
        return Ok(());
    }
    let message = format!(
        "the YAML tag {} is not supported; remove it",
        tag.original()
    );
    Err(stop(&message, place.clone()))
}

fn scalar(text: &str, plain: bool) -> Value {
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar {
        text: text.to_owned(),
        plain,
    }
}

fn key_text(value: Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Scalar { text, .. } => Some(text),
        Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests;
