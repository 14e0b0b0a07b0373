//! What a piece of the schema asks for.

use serde_json::{Map, Value as Json, json};

/// The shape a value must have.
#[derive(Debug)]
pub enum Kind<'s> {
    /// Anything.
    Any,
    /// A mapping with known keys.
    Struct(Fields<'s>),
    /// A mapping with free keys, and the schema of its values.
    Map(&'s Json),
    /// A list: the schema of its items and how many there may be.
    List {
        /// The items.
        items: &'s Json,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
    /// One of these texts.
    Choice(&'s [Json]),
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// One of several schemas.
    Either(&'s [Json]),
}

/// The keys of a mapping.
#[derive(Debug)]
pub struct Fields<'s> {
    /// The schema of each.
    pub properties: &'s Map<String, Json>,
    required: Option<&'s Vec<Json>>,
}

static ANYTHING: Json = Json::Bool(true);

impl<'s> Fields<'s> {
    /// The keys that must be there.
    pub fn required(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        self.required.into_iter().flatten().filter_map(Json::as_str)
    }
}

impl<'s> Kind<'s> {
    /// Reads a tidied schema; see [`crate::config::schema`] for the keywords.
    #[must_use]
    pub fn of(schema: &'s Json) -> Self {
        if let Some(Json::Array(choices)) = schema.get("anyOf") {
            return Self::Either(choices);
        }
        if let Some(Json::Array(choices)) = schema.get("enum") {
            return Self::Choice(choices);
        }
        match schema.get("type").and_then(Json::as_str) {
            Some("object") => Self::object(schema),
            Some("array") => {
                let bound = |keyword| schema.get(keyword).and_then(Json::as_u64);
                let bound = |keyword| bound(keyword).and_then(|n| usize::try_from(n).ok());
                Self::List {
                    items: schema.get("items").unwrap_or(&ANYTHING),
                    min: bound("minItems").unwrap_or(0),
                    max: bound("maxItems").unwrap_or(usize::MAX),
                }
            }
            Some("string") => Self::Text,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Boolean,
            Some(_) | None => Self::Any,
        }
    }

    fn object(schema: &'s Json) -> Self {
        match (schema.get("properties"), schema.get("required")) {
            (Some(Json::Object(properties)), required) => Self::Struct(Fields {
                properties,
                required: required.and_then(Json::as_array),
            }),
            (_, _) => Self::Map(schema.get("additionalProperties").unwrap_or(&ANYTHING)),
        }
    }

    /// Whether a value of this kind is written as a scalar.
    #[must_use]
    pub fn is_scalar(&self) -> bool {
        match self {
            Self::Choice(_) | Self::Text | Self::Integer | Self::Number | Self::Boolean => true,
            Self::Any | Self::Struct(_) | Self::Map(_) | Self::List { .. } | Self::Either(_) => {
                false
            }
        }
    }

    /// What a value of this kind is called.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Struct(_) | Self::Map(_) => "a mapping (key: value)".to_owned(),
            Self::List { .. } => "a list".to_owned(),
            Self::Choice([only]) => only.as_str().unwrap_or("the only choice").to_owned(),
            Self::Choice(_) => "one of the choices".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Either(choices) => choices
                .iter()
                .map(|choice| Self::of(choice).describe())
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }

    /// What stands in a list for an item that was refused.
    #[must_use]
    pub fn placeholder(&self) -> Json {
        match self {
            Self::Any => Json::Null,
            Self::Struct(_) | Self::Map(_) => json!({}),
            Self::List { .. } => json!([]),
            Self::Choice(choices) => choices.first().cloned().unwrap_or_default(),
            Self::Text => json!(""),
            Self::Integer | Self::Number => json!(0),
            Self::Boolean => json!(false),
            Self::Either(choices) => choices
                .first()
                .map(|choice| Self::of(choice).placeholder())
                .unwrap_or_default(),
        }
    }
}
