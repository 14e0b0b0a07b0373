//! What a JSON text means, found slowly and in another way than `json::canonical` does: by serde and
//! long decimals.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::object;
use crate::json::object::Object;

/// The value that a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `true`, `false` or `null`, or a number whose exponent does not fit 64 bits.
    Word(String),
    /// A number: whether it is negative, its digits without zeros at either end, and the power of ten
    /// that they are multiplied by.
    Number(bool, String, i128),
    /// A string, without escapes.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(BTreeMap<String, Self>),
}

/// What a text means; nothing where it is no JSON, or JSON that readers disagree about. Its nesting is
/// the caller's to bound.
#[must_use]
pub fn meaning(text: &str) -> Option<Meaning> {
    // Serde's own view of what is JSON.
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let mut found = BTreeMap::new();
            for (name, value) in Object::read(text)?.members() {
                if found.insert(name.to_owned(), meaning(value)?).is_some() {
                    return None;
                }
            }
            Some(Meaning::Object(found))
        }
        Some(b'[') => {
            let elements = object::elements(text)?.into_iter();
            elements
                .map(meaning)
                .collect::<Option<_>>()
                .map(Meaning::List)
        }
        Some(b'"') => object::string(text).map(|text| Meaning::Text(text.into_owned())),
        Some(b't' | b'f' | b'n') => Some(Meaning::Word(text.to_owned())),
        Some(_) | None => Some(number(text).unwrap_or_else(|| Meaning::Word(text.to_owned()))),
    }
}

/// What a number means; nothing where its exponent is out of range, so that only its text is known.
fn number(text: &str) -> Option<Meaning> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let unsigned = mantissa.trim_start_matches('-');
    let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = format!("{integer}{fraction}");
    let digits = all.trim_start_matches('0');
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return Some(Meaning::Number(false, String::new(), 0));
    }
    let length = |text: &str| i128::try_from(text.len()).ok();
    let written = i128::from(exponent.parse::<i64>().ok()?);
    let last = written - length(fraction)? + length(digits)? - length(short)?;
    let first = last + length(short)?;
    i64::try_from(first)
        .and_then(|_| i64::try_from(first - 1))
        .ok()?;
    Some(Meaning::Number(
        mantissa.starts_with('-'),
        short.to_owned(),
        last,
    ))
}

/// Whether all of `text` is what a pattern says, by the definition: `*` is any run of characters, `?` any
/// one.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // Which beginnings of the text the pattern read so far matches.
    let mut reached = vec![false; text.len().saturating_add(1)];
    if let Some(empty) = reached.first_mut() {
        *empty = true;
    }
    for part in pattern.chars() {
        let mut next = vec![false; reached.len()];
        let mut is_open = false;
        for (at, cell) in next.iter_mut().enumerate() {
            let was = reached.get(at).copied().unwrap_or_default();
            let before = at.checked_sub(1);
            let before = before.and_then(|at| Some((*reached.get(at)?, *text.get(at)?)));
            is_open |= was;
            *cell = match (part, before) {
                ('*', _) => is_open,
                ('?', Some((was_reached, _))) => was_reached,
                (_, Some((was_reached, read))) => was_reached && read == part,
                (_, None) => false,
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}
