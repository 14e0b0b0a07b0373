//! A JSON object read as its members and written again, with some of them changed.
//!
//! **Invariant:** a member that is not named is written as it was read: its value byte for byte, its
//! place unchanged. Big integers, number spelling and the order inside values survive.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::rpc::write::push_string;

/// The members of one object, in order.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Object<'a> {
    /// Reads an object; nothing where `text` is none.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The JSON text of a member. Where it stands twice the last one counts, as in most readers.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.members.iter().rev();
        found
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
    }

    /// The text of a member that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        string(self.get(name)?)
    }

    /// Whether all readers find the same under a name: it stands once or not at all, and no other
    /// member is taken for it by a reader to whom case does not matter.
    #[must_use]
    pub fn is_clear(&self, name: &str) -> bool {
        let mut found = self.members.iter().filter(|(key, _)| is_alike(key, name));
        found.next().is_none_or(|(key, _)| key == name) && found.next().is_none()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members, name and JSON text, in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Gives a member a new value, JSON text, in its place; a new member goes to the end. A member
    /// that stood twice stands once then: no reader sees the old value.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let name = name.into();
        let place = self.members.iter().rposition(|(key, _)| *key == name);
        match place.and_then(|at| self.members.get_mut(at)) {
            Some(member) => member.1 = value.into(),
            None => {
                self.members.push((name, value.into()));
                return;
            }
        }
        let mut at = 0..;
        self.members
            .retain(|(key, _)| at.next() == place || *key != name);
    }

    /// Gives a member a string as its value.
    pub fn set_text(&mut self, name: impl Into<Cow<'a, str>>, value: &str) {
        let mut text = String::with_capacity(value.len() + 2);
        push_string(&mut text, value);
        self.set(name, text);
    }

    /// Takes a member out; `true` where there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|(key, _)| key != name);
        self.members.len() < before
    }

    /// Keeps the members whose name is wanted.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        self.members.retain(|(key, _)| is_wanted(key));
    }

    /// Takes a member's value out, with the lifetime of the text it was read from.
    pub fn take(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.members.iter().rposition(|(key, _)| key == name)?;
        let (_, value) = self.members.remove(at);
        self.remove(name);
        Some(value)
    }

    /// The members themselves, name and JSON text, in order.
    pub fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.members.into_iter()
    }

    /// The object as JSON text.
    #[must_use]
    pub fn write(&self) -> String {
        let bytes = self.members.iter().map(|(k, v)| k.len() + v.len() + 4);
        let mut text = String::with_capacity(2 + bytes.sum::<usize>());
        text.push('{');
        for (index, (name, value)) in self.members.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_string(&mut text, name);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(KeyText(name)) = map.next_key::<KeyText<'de>>()? {
            let value: &'de RawValue = map.next_value()?;
            members.push((name, Cow::Borrowed(value.get())));
        }
        Ok(Object { members })
    }
}

#[derive(Deserialize)]
struct KeyText<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a reader to whom case does not matter takes one name for the other.
#[must_use]
pub fn is_alike(name: &str, other: &str) -> bool {
    let fold = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
    let (name, other) = (name.chars().flat_map(fold), other.chars().flat_map(fold));
    name.eq(other)
}

/// The elements of an array, each as JSON text; nothing where `text` is no array.
#[must_use]
pub fn elements(text: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}

/// The string that JSON text is, unescaped; nothing where it is no string.
#[must_use]
pub fn string(text: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<KeyText<'_>>(text)
        .ok()
        .map(|text| text.0)
}

/// `value` as a JSON string.
#[must_use]
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    push_string(&mut text, value);
    text
}

/// JSON texts as one array.
#[must_use]
pub fn array<T: AsRef<str>>(elements: impl IntoIterator<Item = T>) -> String {
    let mut text = String::from("[");
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(element.as_ref());
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_written_as_it_was_read() {
        let text = r#"{"a":12345678901234567890,"b": 1.50e1 ,"\u0063":{"z":1,"a":2}}"#;
        let mut object = Object::read(text).unwrap();
        object.set("d", "true");
        object.set_text("a", "q\"");
        assert_eq!(
            object.write(),
            r#"{"a":"q\"","b":1.50e1,"c":{"z":1,"a":2},"d":true}"#
        );
        assert!(object.remove("b"));
        assert!(!object.remove("b"));
        assert_eq!(object.get("c"), Some(r#"{"z":1,"a":2}"#));
        assert_eq!(object.text("a").as_deref(), Some("q\""));
    }

    #[test]
    fn the_last_of_two_members_counts_and_setting_it_leaves_one() {
        let mut object = Object::read(r#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(object.get("a"), Some("2"));
        object.set("a", "3");
        assert_eq!(object.write(), r#"{"a":3}"#);
    }

    #[test]
    fn what_is_no_object_is_not_read_as_one() {
        for text in ["[]", "1", "", "{", r#""a""#, "[1,2]"] {
            assert!(Object::read(text).is_none(), "{text}");
        }
        assert_eq!(elements("[1, \"a\"]"), Some(vec!["1", "\"a\""]));
        assert_eq!(elements("{}"), None);
        assert_eq!(array(["1", "{}"]), "[1,{}]");
    }
}
