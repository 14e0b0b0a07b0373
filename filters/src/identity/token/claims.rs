//! The claims of a token: names, lists of them, and moments.
//!
//! **Invariant:** a claim of the wrong kind is refused, never taken for one that is missing.

use std::borrow::Cow;
use std::sync::Arc;

use crate::identity::denial::Denial;
use crate::identity::{is_name, resource};
use crate::json::object::{self, Object};

/// Most roles, scopes or audiences that one token may bring along.
pub(super) const NAMES_MAX: usize = 128;

/// A claim: the member of that very name, else what the dots in it lead to.
pub(super) fn member<'c>(claims: &'c Object<'_>, path: &str) -> Option<Cow<'c, str>> {
    if let Some(found) = claims.get(path) {
        return Some(Cow::Borrowed(found));
    }
    let (first, rest) = path.split_once('.')?;
    let inner = Object::read(claims.get(first)?)?;
    member(&inner, rest).map(|found| Cow::Owned(found.into_owned()))
}

/// A name that a claim holds; nothing where there is none.
pub(super) fn name(claims: &Object<'_>, path: &str) -> Result<Option<Arc<str>>, Denial> {
    let Some(value) = member(claims, path).filter(|value| *value != "null") else {
        return Ok(None);
    };
    let name = object::string(&value).filter(|name| is_name(name));
    name.map(|name| Some(Arc::from(name))).ok_or(Denial::Claims)
}

/// The names in a claim: a list, or one text in which spaces divide them.
pub(super) fn names(value: Option<Cow<'_, str>>) -> Result<Vec<Arc<str>>, Denial> {
    let Some(value) = value.filter(|value| *value != "null") else {
        return Ok(Vec::new());
    };
    let names: Vec<Arc<str>> = match object::string(&value) {
        Some(text) => text.split_ascii_whitespace().map(Arc::from).collect(),
        None => texts(&value)?
            .iter()
            .map(|name| Arc::from(&**name))
            .collect(),
    };
    if names.len() > NAMES_MAX || !names.iter().all(|name| is_name(name)) {
        return Err(Denial::Claims);
    }
    Ok(names)
}

pub(super) fn audiences(value: Option<&str>) -> Result<Vec<String>, Denial> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let audiences = match object::string(value) {
        Some(one) => vec![one.into_owned()],
        None => texts(value)?,
    };
    let audiences = audiences.into_iter();
    Ok(audiences.map(|one| resource::canonical(&one)).collect())
}

fn texts(value: &str) -> Result<Vec<String>, Denial> {
    let list: Vec<String> = serde_json::from_str(value).map_err(|_| Denial::Claims)?;
    if list.len() > NAMES_MAX {
        return Err(Denial::Claims);
    }
    Ok(list)
}

/// A moment in seconds since 1970 (RFC 7519, `NumericDate`: it may have a fraction).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value was checked to be in range"
)]
pub(super) fn date(value: Option<&str>) -> Result<Option<u64>, Denial> {
    /// The year 9999.
    const SECONDS_MAX: f64 = 253_402_300_799.0;
    let Some(value) = value else { return Ok(None) };
    let seconds: f64 = serde_json::from_str(value).map_err(|_| Denial::Claims)?;
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(Denial::Claims);
    }
    Ok(Some(seconds as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_whose_name_has_dots_is_found_by_its_name() {
        let claims = r#"{"https://a.b/c":"x","https://a":{"b/c":"y"}}"#;
        let claims = Object::read(claims).unwrap();
        let found = member(&claims, "https://a.b/c");
        assert_eq!(found.as_deref(), Some(r#""x""#));
        assert!(member(&claims, "https://a.b").is_none());
    }
}
