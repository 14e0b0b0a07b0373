//! What differs between two definitions of a tool, for whoever has to approve the newer one.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::json::object::Object;

/// Most differences that are told one by one.
pub const CHANGES_MAX: usize = 200;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where: `inputSchema.properties.path.description`; empty where nothing could be compared.
    pub field: String,
    /// What stood there, JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What stands there, JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// All differences, and whether there are more than [`CHANGES_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// In the order of their places.
    pub changes: Vec<Change>,
    /// There are others.
    pub is_cut: bool,
}

/// Compares two definitions in canonical JSON; against nothing, everything is new.
#[must_use]
pub fn diff(before: Option<&str>, after: &str) -> Diff {
    let mut diff = Diff::default();
    match before {
        Some(before) => diff.compare("", Some(before), Some(after)),
        None => diff.descend(
            "",
            &Object::default(),
            &Object::read(after).unwrap_or_default(),
        ),
    }
    diff
}

impl Diff {
    fn compare(&mut self, field: &str, before: Option<&str>, after: Option<&str>) {
        if before == after {
            return;
        }
        let objects = before
            .and_then(Object::read)
            .zip(after.and_then(Object::read));
        if let Some((before, after)) = objects {
            return self.descend(field, &before, &after);
        }
        if self.changes.len() >= CHANGES_MAX {
            self.is_cut = true;
            return;
        }
        self.changes.push(Change {
            field: field.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        });
    }

    fn descend(&mut self, field: &str, before: &Object<'_>, after: &Object<'_>) {
        let members = before.members().chain(after.members());
        let names: BTreeSet<&str> = members.map(|(name, _)| name).collect();
        for name in names {
            let dot = if field.is_empty() { "" } else { "." };
            let inside = format!("{field}{dot}{name}");
            self.compare(&inside, before.get(name), after.get(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: Option<&str>, after: &str) -> Vec<String> {
        let changes = diff(before, after).changes.into_iter();
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        changes
            .map(|one| format!("{} {} {}", one.field, text(one.before), text(one.after)))
            .collect()
    }

    #[test]
    fn each_difference_is_told_at_its_place() {
        let before = r#"{"a":1,"s":{"p":{"x":"old","y":[1,2]},"q":true}}"#;
        let after = r#"{"b":2,"s":{"p":{"x":"new","y":[2,1]},"q":true}}"#;
        let expected = [
            "a 1 -",
            "b - 2",
            r#"s.p.x "old" "new""#,
            "s.p.y [1,2] [2,1]",
        ];
        assert_eq!(told(Some(before), after), expected);
        assert_eq!(told(Some(before), before), [""; 0]);
        assert_eq!(told(None, r#"{"name":"t"}"#), [r#"name - "t""#]);
    }

    #[test]
    fn so_many_differences_are_told_and_that_there_are_more() {
        let object = |n: usize| {
            let members: Vec<String> = (0..n).map(|at| format!(r#""{at:04}":1"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let at_bound = diff(Some("{}"), &object(CHANGES_MAX));
        assert_eq!(
            (at_bound.changes.len(), at_bound.is_cut),
            (CHANGES_MAX, false)
        );
        let past = diff(Some("{}"), &object(CHANGES_MAX + 1));
        assert_eq!((past.changes.len(), past.is_cut), (CHANGES_MAX, true));
    }
}
