//! Reads one scalar as what its field wants.
//!
//! **Invariant:** a field marked `writeOnly` in the schema is a secret: what was written there is
//! never shown.

use filters::problem::{Place, Problem, Severity};
use serde_json::{Number, Value as Json};

use crate::config::interpolate::{self, Expanded};
use crate::config::schema::NAME_PATTERN;
use crate::config::source::Variables;
use crate::config::walk::kind::Kind;
use crate::config::walk::suggest;

/// How much of a value a finding shows, in characters.
const SHOWN_MAX: usize = 80;

/// A scalar as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Its text.
    pub text: &'a str,
    /// Whether it has no quotes.
    pub plain: bool,
    /// Where it is; a value from a variable is not expanded again.
    pub place: &'a Place,
}

/// What is wrong with a scalar.
struct Fault {
    message: String,
    allowed: Option<String>,
}

/// The scalar as JSON, or what is wrong with it; the findings still lack their path.
pub fn check(
    kind: &Kind<'_>,
    schema: &Json,
    written: Written<'_>,
    variables: &Variables,
) -> Result<Json, Vec<Problem>> {
    let expanded = resolve(written, variables)?;
    judge(kind, schema, &expanded, written)
}

/// The scalar as the first of several scalar schemas that takes it, or what is wrong with it.
pub fn check_either(
    choices: &[Json],
    written: Written<'_>,
    variables: &Variables,
) -> Result<Json, Vec<Problem>> {
    let expanded = resolve(written, variables)?;
    let mut refusals = Vec::new();
    for schema in choices {
        match judge(&Kind::of(schema), schema, &expanded, written) {
            Ok(json) => return Ok(json),
            Err(problems) => refusals.extend(problems),
        }
    }
    let allowed = refusals
        .iter_mut()
        .filter_map(|refusal| refusal.allowed.take());
    let allowed = allowed.collect::<Vec<_>>().join(", ");
    let told = refusals.pop().map(|refusal| Problem {
        message: format!("must be {}", Kind::Either(choices).describe()),
        allowed: Some(allowed),
        ..refusal
    });
    Err(told.into_iter().collect())
}

/// The text behind a scalar's references to variables.
fn resolve(written: Written<'_>, variables: &Variables) -> Result<Expanded, Vec<Problem>> {
    expand(written, variables).map_err(|faults| {
        let told = faults
            .iter()
            .map(|fault| finding(written, fault.to_string()));
        told.collect()
    })
}

fn judge(
    kind: &Kind<'_>,
    schema: &Json,
    expanded: &Expanded,
    written: Written<'_>,
) -> Result<Json, Vec<Problem>> {
    let is_plain = written.plain || expanded.has_references;
    convert(kind, schema, &expanded.text, is_plain).map_err(|fault| {
        let mut problem = finding(written, fault.message);
        problem.found(show(schema, expanded, is_plain));
        problem.allowed = fault.allowed;
        vec![problem]
    })
}

fn finding(written: Written<'_>, message: String) -> Problem {
    let mut problem = Problem::new(Severity::Error, "", message);
    problem.at(written.place.clone());
    problem
}

fn expand(
    written: Written<'_>,
    variables: &Variables,
) -> Result<Expanded, Vec<interpolate::Fault>> {
    match written.place {
        Place::Text { .. } => interpolate::expand(written.text, &|name| variables.value(name)),
        Place::Variable(name) => Ok(Expanded {
            text: written.text.to_owned(),
            variables: vec![name.clone()],
            has_references: true,
        }),
    }
}

fn convert(kind: &Kind<'_>, schema: &Json, text: &str, plain: bool) -> Result<Json, Fault> {
    match kind {
        Kind::Any => Ok(any(text, plain)),
        Kind::Text => bounded_text(schema, text),
        Kind::Choice(choices) => choice(choices, text),
        Kind::Integer | Kind::Number | Kind::Boolean if !plain => Err(Fault {
            message: format!("must be {}; remove the quotes", kind.describe()),
            allowed: range(schema),
        }),
        Kind::Integer => whole(schema, text),
        Kind::Number => number(schema, text),
        Kind::Boolean => boolean(text),
        Kind::Struct(_) | Kind::Map(_) | Kind::List { .. } | Kind::Either(_) => Err(Fault {
            message: format!("must be {}", kind.describe()),
            allowed: None,
        }),
    }
}

fn bounded_text(schema: &Json, text: &str) -> Result<Json, Fault> {
    let fault = |message: String| {
        Err(Fault {
            message,
            allowed: None,
        })
    };
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let bound = |keyword| schema.get(keyword).and_then(Json::as_u64);
    if text.is_empty() && (bound("minLength").is_some() || schema.get("pattern").is_some()) {
        return fault("must not be empty".to_owned());
    }
    if let Some(max) = bound("maxLength").filter(|max| length > *max) {
        return fault(format!("must have at most {max} characters"));
    }
    if schema
        .get("pattern")
        .is_some_and(|pattern| pattern == NAME_PATTERN)
        && !is_name(text)
    {
        return fault("must consist of letters (a-z, A-Z), digits and dashes".to_owned());
    }
    Ok(Json::String(text.to_owned()))
}

/// Whether a text follows [`NAME_PATTERN`].
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

fn choice(choices: &[Json], text: &str) -> Result<Json, Fault> {
    let names = || choices.iter().filter_map(Json::as_str);
    if names().any(|name| name == text) {
        return Ok(Json::String(text.to_owned()));
    }
    let message = match suggest::nearest(text, names()) {
        Some(name) => format!("is not one of the choices; did you mean \"{name}\"?"),
        None => "is not one of the choices".to_owned(),
    };
    Err(Fault {
        message,
        allowed: Some(names().collect::<Vec<_>>().join(", ")),
    })
}

fn whole(schema: &Json, text: &str) -> Result<Json, Fault> {
    let fault = |message: &str| Fault {
        message: message.to_owned(),
        allowed: range(schema),
    };
    let Some(number) = parse_whole(text) else {
        return Err(fault("must be a whole number"));
    };
    let bound = |keyword| schema.get(keyword).and_then(Json::as_i64).map(i128::from);
    if bound("minimum").is_some_and(|min| number < min)
        || bound("maximum").is_some_and(|max| number > max)
    {
        return Err(fault("is out of range"));
    }
    let json = u64::try_from(number).map(Number::from);
    let json = json.or_else(|_| i64::try_from(number).map(Number::from));
    json.map(Json::Number).map_err(|_| fault("is out of range"))
}

/// YAML 1.2 core integers; a float without fraction counts as one, as it does in JavaScript.
fn parse_whole(text: &str) -> Option<i128> {
    let (digits, radix) = if let Some(hex) = text.strip_prefix("0x") {
        (hex, 16)
    } else if let Some(octal) = text.strip_prefix("0o") {
        (octal, 8)
    } else {
        (text, 10)
    };
    if radix != 10 && digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().or_else(|| {
        let float = parse_number(text)?;
        let is_exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
        // The text form of an exact float is an integer.
        if is_exact {
            format!("{float}").parse().ok()
        } else {
            None
        }
    })
}

fn number(schema: &Json, text: &str) -> Result<Json, Fault> {
    let fault = |message: &str| Fault {
        message: message.to_owned(),
        allowed: range(schema),
    };
    let number = parse_number(text).ok_or_else(|| fault("must be a number"))?;
    let bound = |keyword| schema.get(keyword).and_then(Json::as_f64);
    if bound("minimum").is_some_and(|min| number < min)
        || bound("maximum").is_some_and(|max| number > max)
    {
        return Err(fault("is out of range"));
    }
    Number::from_f64(number)
        .map(Json::Number)
        .ok_or_else(|| fault("must be a number"))
}

/// A finite number in YAML 1.2 core notation; Rust's own parser also knows words for infinity.
fn parse_number(text: &str) -> Option<f64> {
    let is_numeric = text
        .starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text
            .chars()
            .all(|letter| letter.is_ascii_digit() || "+-.eE".contains(letter));
    if is_numeric {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    } else {
        None
    }
}

fn boolean(text: &str) -> Result<Json, Fault> {
    match text {
        "true" | "True" | "TRUE" => Ok(Json::Bool(true)),
        "false" | "False" | "FALSE" => Ok(Json::Bool(false)),
        _ => Err(Fault {
            message: "must be true or false".to_owned(),
            allowed: None,
        }),
    }
}

/// A scalar of free type.
fn any(text: &str, plain: bool) -> Json {
    if !plain {
        return Json::String(text.to_owned());
    }
    if let Ok(json) = boolean(text) {
        return json;
    }
    let whole = text.parse::<i64>().map(Number::from).ok();
    let whole = whole.or_else(|| text.parse::<u64>().map(Number::from).ok());
    match whole.or_else(|| parse_number(text).and_then(Number::from_f64)) {
        Some(number) => Json::Number(number),
        None => Json::String(text.to_owned()),
    }
}

fn range(schema: &Json) -> Option<String> {
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(min), Some(max)) => Some(format!("{min} to {max}")),
        (Some(min), None) => Some(format!("{min} or more")),
        (None, Some(max)) => Some(format!("up to {max}")),
        (None, None) => None,
    }
}

/// What a finding may show of a value.
fn show(schema: &Json, expanded: &Expanded, plain: bool) -> String {
    let is_secret = schema.get("writeOnly").is_some_and(|flag| flag == true)
        || expanded.variables.iter().any(|name| names_a_secret(name));
    if is_secret {
        return "a value that is not shown".to_owned();
    }
    let text = excerpt(&expanded.text);
    if plain && matches!(any(&expanded.text, true), Json::Number(_) | Json::Bool(_)) {
        text
    } else {
        format!("{text:?}")
    }
}

/// The beginning of a text, as much as a finding shows.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn names_a_secret(variable: &str) -> bool {
    let name = variable.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASS", "CRED", "AUTH"]
        .iter()
        .any(|word| name.contains(word))
}
