//! `${VAR}` in configuration texts.
//!
//! `${VAR}` is the variable's value, `${VAR:-text}` that or the text when the variable is unset or
//! empty (the text may itself refer to variables), `$${` the two characters `${`. A `$` before
//! anything else is itself.
//!
//! **Invariant:** a reference that cannot be resolved is a fault, never an empty text and never
//! left in place: a key must not become the text `${API_KEY}`.

/// How deep defaults may refer to variables with defaults.
const NESTING_MAX: usize = 8;

/// A text with its references resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The result.
    pub text: String,
    /// The variables it was made from.
    pub variables: Vec<String>,
    /// Whether the text referred to variables, even if a default was used.
    pub has_references: bool,
}

/// Why a reference cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The variable has no value and the reference no default.
    #[error(
        "the environment variable {0} is not set; set it, put it into .env, or write ${{{0}:-default}}"
    )]
    Unset(String),
    /// The reference does not end.
    #[error("\"${{\" is never closed; write \"$${{\" if you mean the characters themselves")]
    Unclosed,
    /// The reference is not one of the forms.
    #[error(
        "${{{0}}} is not a variable reference; write ${{NAME}} or ${{NAME:-default}}, \
         or $${{ if you mean the characters themselves"
    )]
    Malformed(String),
    /// Defaults within defaults, too deep.
    #[error("variable references are nested deeper than {NESTING_MAX} levels")]
    TooDeep,
}

/// Resolves all references of a text, or says what is wrong with each that cannot be.
pub fn expand<'a>(
    text: &str,
    value_of: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Expanded, Vec<Fault>> {
    let mut expanded = Expanded::default();
    let mut faults = Vec::new();
    expand_into(text, value_of, 0, &mut expanded, &mut faults);
    if faults.is_empty() {
        Ok(expanded)
    } else {
        Err(faults)
    }
}

fn expand_into<'a>(
    text: &str,
    value_of: &impl Fn(&str) -> Option<&'a str>,
    depth: usize,
    expanded: &mut Expanded,
    faults: &mut Vec<Fault>,
) {
    if depth > NESTING_MAX {
        faults.push(Fault::TooDeep);
        return;
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.text.push_str(before);
        if let Some(literal) = after.strip_prefix("${") {
            expanded.text.push_str("${");
            rest = literal;
        } else if let Some(reference) = after.strip_prefix('{') {
            let Some((body, tail)) = split_reference(reference) else {
                faults.push(Fault::Unclosed);
                return;
            };
            expanded.has_references = true;
            resolve(body, value_of, depth, expanded, faults);
            rest = tail;
        } else {
            expanded.text.push('$');
            rest = after;
        }
    }
    expanded.text.push_str(rest);
}

fn resolve<'a>(
    body: &str,
    value_of: &impl Fn(&str) -> Option<&'a str>,
    depth: usize,
    expanded: &mut Expanded,
    faults: &mut Vec<Fault>,
) {
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    if !is_name(name) {
        faults.push(Fault::Malformed(body.chars().take(40).collect()));
        return;
    }
    let value = value_of(name);
    match (value, default) {
        (None | Some(""), Some(default)) => {
            expand_into(default, value_of, depth + 1, expanded, faults);
        }
        (Some(value), _) => {
            expanded.text.push_str(value);
            expanded.variables.push(name.to_owned());
        }
        (None, None) => faults.push(Fault::Unset(name.to_owned())),
    }
}

/// Splits what follows `${` at the brace that closes it.
fn split_reference(text: &str) -> Option<(&str, &str)> {
    let mut n_open = 0_usize;
    let mut before = '\0';
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if before == '$' => n_open += 1,
            '}' if n_open == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '}' => n_open -= 1,
            _ => {}
        }
        before = letter;
    }
    None
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, result: &str) {
        let value_of = |name: &str| match name {
            "A" => Some("alpha"),
            "EMPTY" => Some(""),
            "TRICK" => Some("${A}"),
            _ => None,
        };
        let found = match expand(text, &value_of) {
            Ok(expanded) => expanded.text,
            Err(faults) => faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" | "),
        };
        assert_eq!(found, result, "{text}");
    }

    #[test]
    fn references_defaults_and_escapes_resolve() {
        check("plain $5 and $", "plain $5 and $");
        check("${A}", "alpha");
        check("x-${A}-${A}", "x-alpha-alpha");
        check("${NONE:-fallback}", "fallback");
        check("${EMPTY:-fallback}", "fallback");
        check("${EMPTY}", "");
        check("${NONE:-}", "");
        check("${NONE:-${A}}", "alpha");
        check("${NONE:-${OTHER:-x}}y", "xy");
        check("${NONE:-http://h:1/p}", "http://h:1/p");
        check("$${A}", "${A}");
        check("a$${A} ${A}", "a${A} alpha");
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        check("${TRICK}", "${A}");
    }

    #[test]
    fn every_fault_of_a_text_is_told() {
        check(
            "${NONE} ${OTHER}",
            "the environment variable NONE is not set; set it, put it into .env, or write \
             ${NONE:-default} | the environment variable OTHER is not set; set it, put it into \
             .env, or write ${OTHER:-default}",
        );
        check(
            "${A",
            "\"${\" is never closed; write \"$${\" if you mean the characters themselves",
        );
        check(
            "${A-b}",
            "${A-b} is not a variable reference; write ${NAME} or ${NAME:-default}, or $${ if you \
             mean the characters themselves",
        );
        check(
            &"${N:-".repeat(20),
            "\"${\" is never closed; write \"$${\" if you mean the characters themselves",
        );
        let deep = format!("{}{}", "${N:-".repeat(20), "}".repeat(20));
        check(&deep, "variable references are nested deeper than 8 levels");
    }
}
