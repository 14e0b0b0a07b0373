//! Arguments that a tool wants mirrored into headers: `x-mcp-header` in its schema, `Mcp-Param-…` on
//! its calls (2026-07-28, "Custom Headers from Tool Parameters").
//!
//! **Invariant:** a header of a recognized name says what the arguments say, or the call is refused:
//! nobody before the gateway decided by one value while the server acts on another (E8).

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::bounds::MIRRORED_PARAMS_MAX;
use crate::json::object::{self, Object};
use crate::mcp::header::{self, PARAM_PREFIX, SENTINEL_END, SENTINEL_START};
use crate::refusal::Refusal;

/// The annotation of a property.
const ANNOTATION: &str = "x-mcp-header";

/// The mirrored arguments of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    /// The names of the properties that lead to the argument.
    path: Vec<String>,
    /// What follows `Mcp-Param-`, as the schema spells it.
    name: String,
}

/// Why a tool's annotations are not valid; such a tool must not be listed over HTTP (E64).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The schema is no JSON, or nests too deep to be looked through.
    Schema,
    /// An annotation is no string, or an empty one.
    Empty,
    /// The name cannot be part of a header's name (RFC 9110, 5.6.2).
    Name(String),
    /// Two annotations name the same header.
    Duplicate(String),
    /// The annotated property is no integer, string or boolean.
    Type(String),
    /// The annotated schema cannot be reached from the root through `properties` alone.
    Unreachable,
    /// More than [`MIRRORED_PARAMS_MAX`] annotations.
    TooMany,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema => f.write_str("the input schema cannot be read"),
            Self::Empty => write!(f, "{ANNOTATION} is empty or no string"),
            Self::Name(name) => write!(f, "{ANNOTATION} {name:?} cannot name a header"),
            Self::Duplicate(name) => write!(f, "{ANNOTATION} {name:?} stands twice"),
            Self::Type(name) => write!(
                f,
                "{ANNOTATION} {name:?} is on what is no integer, string or boolean"
            ),
            Self::Unreachable => write!(
                f,
                "{ANNOTATION} is on what is not reached through `properties` alone"
            ),
            Self::TooMany => write!(
                f,
                "{ANNOTATION} stands more than {MIRRORED_PARAMS_MAX} times"
            ),
        }
    }
}

impl std::error::Error for Invalid {}

// === impl Mirrors ===

impl Mirrors {
    /// Reads a tool's `inputSchema`.
    ///
    /// # Errors
    /// [`Invalid`] where an annotation breaks the rules.
    pub fn read(input_schema: &str) -> Result<Self, Invalid> {
        // Few tools have any. Only an escape could hide the name from this look.
        if !input_schema.contains(ANNOTATION) && !input_schema.contains("\\u") {
            return Ok(Self::default());
        }
        // The reader refuses what nests deeper than the walk should go.
        let schema: Value = serde_json::from_str(input_schema).map_err(|_| Invalid::Schema)?;
        let mut mirrors = Self::default();
        mirrors.walk(&schema, &mut Vec::new(), Reach::Root)?;
        Ok(mirrors)
    }

    /// Whether nothing is mirrored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers of a call with these arguments (JSON text): lower-case names and encoded values.
    /// What is absent, `null` or of no such type has none.
    #[must_use]
    pub fn emit(&self, arguments: Option<&str>) -> Vec<(String, String)> {
        let header = |mirror: &Mirror| {
            let argument = argument(arguments?, &mirror.path)?;
            let name = format!("{PARAM_PREFIX}{}", mirror.name.to_ascii_lowercase());
            Some((name, encode(argument.spelling()).into_owned()))
        };
        self.0.iter().filter_map(header).collect()
    }

    /// Checks a call's headers against its arguments. `header` looks a header up by its lower-case
    /// name; its value is trimmed.
    ///
    /// # Errors
    /// The [`Refusal`] of the first header that is missing, malformed or says something else. One
    /// that is there while the argument is not says something else.
    pub fn check<'h>(
        &self,
        arguments: Option<&str>,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Result<(), Refusal> {
        for mirror in &self.0 {
            let name = format!("{PARAM_PREFIX}{}", mirror.name.to_ascii_lowercase());
            let argument = arguments.and_then(|it| argument(it, &mirror.path));
            let shown = || Cow::from(format!("Mcp-Param-{}", mirror.name));
            match (argument, header(&name)) {
                (None, None) => {}
                (Some(_), None) => return Err(Refusal::HeaderMissing { header: shown() }),
                (argument, Some(value)) => {
                    if !is_field_value(value) {
                        return Err(Refusal::HeaderMalformed { header: shown() });
                    }
                    let said = header::decode(value)
                        .map_err(|_| Refusal::HeaderMalformed { header: shown() })?;
                    if !argument.is_some_and(|it| it.is_said_by(&said)) {
                        return Err(Refusal::HeaderMismatch { header: shown() });
                    }
                }
            }
        }
        Ok(())
    }

    fn walk(
        &mut self,
        schema: &Value,
        path: &mut Vec<String>,
        reach: Reach,
    ) -> Result<(), Invalid> {
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        if let Some(annotation) = keywords.get(ANNOTATION) {
            match reach {
                Reach::Property => self.add(annotation, keywords, path)?,
                Reach::Root | Reach::Other => return Err(Invalid::Unreachable),
            }
        }
        let below = match reach {
            Reach::Root | Reach::Property => Reach::Property,
            Reach::Other => Reach::Other,
        };
        for (keyword, value) in keywords {
            match (holds(keyword), value) {
                (Holds::Properties, Value::Object(named)) => {
                    for (name, schema) in named {
                        path.push(name.clone());
                        self.walk(schema, path, below)?;
                        path.pop();
                    }
                }
                (Holds::Named, Value::Object(named)) => {
                    for schema in named.values() {
                        self.walk(schema, path, Reach::Other)?;
                    }
                }
                (Holds::Schemas, Value::Array(schemas)) => {
                    for schema in schemas {
                        self.walk(schema, path, Reach::Other)?;
                    }
                }
                (Holds::Schemas, schema) => self.walk(schema, path, Reach::Other)?,
                (Holds::Properties | Holds::Named | Holds::Nothing, _) => {}
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        annotation: &Value,
        keywords: &Map<String, Value>,
        path: &[String],
    ) -> Result<(), Invalid> {
        let name = annotation.as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(Invalid::Empty);
        }
        let name = name.to_owned();
        if !name.bytes().all(is_tchar) {
            return Err(Invalid::Name(name));
        }
        let kind = keywords.get("type").and_then(Value::as_str);
        if !matches!(kind, Some("integer" | "string" | "boolean")) {
            return Err(Invalid::Type(name));
        }
        if self
            .0
            .iter()
            .any(|other| other.name.eq_ignore_ascii_case(&name))
        {
            return Err(Invalid::Duplicate(name));
        }
        if self.0.len() >= MIRRORED_PARAMS_MAX {
            return Err(Invalid::TooMany);
        }
        let path = path.to_vec();
        self.0.push(Mirror { path, name });
        Ok(())
    }
}

/// A `ListToolsResult` without the tools whose annotations are not valid (E64), and what is wrong
/// with each; nothing where all are valid.
#[must_use]
pub fn keep_valid(result: &str) -> Option<(String, Vec<(String, Invalid)>)> {
    if !result.contains(ANNOTATION) && !result.contains("\\u") {
        return None;
    }
    let mut object = Object::read(result)?;
    let tools = object.get("tools").and_then(object::elements)?;
    let mut invalid = Vec::new();
    let mut kept = Vec::with_capacity(tools.len());
    for text in tools {
        let tool = Object::read(text).unwrap_or_default();
        match Mirrors::read(tool.get("inputSchema").unwrap_or("{}")) {
            Ok(_) => kept.push(text),
            Err(why) => invalid.push((tool.text("name").unwrap_or_default().into_owned(), why)),
        }
    }
    if invalid.is_empty() {
        return None;
    }
    let kept = object::array(kept);
    object.set("tools", kept);
    Some((object.write(), invalid))
}

/// How a schema was come to from the root.
#[derive(Clone, Copy)]
enum Reach {
    /// It is the root.
    Root,
    /// Through `properties` alone.
    Property,
    /// Any other way.
    Other,
}

/// What a keyword of JSON Schema holds, as far as schemas are in it.
enum Holds {
    Properties,
    /// Schemas by names that are no keywords.
    Named,
    /// A schema or an array of them.
    Schemas,
    /// Data, such as a default: an annotation in it is none.
    Nothing,
}

fn holds(keyword: &str) -> Holds {
    match keyword {
        "properties" => Holds::Properties,
        "patternProperties" | "dependentSchemas" | "dependencies" | "$defs" | "definitions" => {
            Holds::Named
        }
        "items"
        | "prefixItems"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "propertyNames"
        | "contentSchema"
        | "allOf"
        | "anyOf"
        | "oneOf"
        | "not"
        | "if"
        | "then"
        | "else" => Holds::Schemas,
        _ => Holds::Nothing,
    }
}

/// A character of a token (RFC 9110, 5.6.2).
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

// === arguments ===

/// An argument that a header can mirror.
enum Argument {
    /// A string or a boolean: it is said in one way.
    Text(String),
    /// A number, as JSON has it or as a decimal integer where it is one.
    Number(String),
}

impl Argument {
    fn spelling(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }

    fn is_said_by(&self, header: &str) -> bool {
        match self {
            Self::Text(text) => text == header,
            Self::Number(number) => {
                number == header || integer(header).is_some_and(|it| it == *number)
            }
        }
    }
}

/// The argument at the end of a path of properties.
fn argument(arguments: &str, path: &[String]) -> Option<Argument> {
    let (name, rest) = path.split_first()?;
    let object = Object::read(arguments)?;
    let value = object.get(name)?;
    if !rest.is_empty() {
        return argument(value, rest);
    }
    match value.as_bytes().first()? {
        b'"' => object::string(value).map(|text| Argument::Text(text.into_owned())),
        b't' | b'f' => Some(Argument::Text(value.to_owned())),
        b'-' | b'0'..=b'9' => {
            let number = integer(value).unwrap_or_else(|| value.to_owned());
            Some(Argument::Number(number))
        }
        _ => None,
    }
}

/// The decimal spelling of a number that is an integer, however it is written (`42.0`, `4.2e1`).
fn integer(text: &str) -> Option<String> {
    /// Past it a float does not tell one integer from the next.
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    if text.starts_with('+') {
        return None;
    }
    if let Ok(exact) = text.parse::<i64>() {
        return Some(exact.to_string());
    }
    // Infinities and NaN, which have names here, are none of JSON's.
    let number: f64 = text.parse().ok().filter(|_| !text.contains(['n', 'N']))?;
    let is_integer = number.fract() == 0.0 && number.abs() <= SAFE_MAX;
    // Adding zero takes the sign off -0.
    is_integer.then(|| format!("{:.0}", number + 0.0))
}

// === values ===

/// A value as a mirrored header carries it: itself, or base64 between sentinels where it could not
/// be a header's value or would not be read as itself. That is so, too, for an empty value, which
/// some stacks drop with its header, and for one with a tab in it. Also for `Mcp-Name`.
#[must_use]
pub fn encode(value: &str) -> Cow<'_, str> {
    let is_text = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_trimmed = !value.is_empty() && value.trim_matches(' ').len() == value.len();
    let is_sentinel = value.starts_with(SENTINEL_START) && value.ends_with(SENTINEL_END);
    if is_text && is_trimmed && !is_sentinel {
        Cow::Borrowed(value)
    } else {
        let encoded = STANDARD.encode(value);
        Cow::Owned(format!("{SENTINEL_START}{encoded}{SENTINEL_END}"))
    }
}

/// Whether a header may have this value at all.
fn is_field_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

#[cfg(test)]
mod tests;
