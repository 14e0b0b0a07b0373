//! What somebody wants to hear of: `params.notifications` of `subscriptions/listen`.

use std::collections::BTreeSet;

use filters::json::object::{Object, array, elements, quoted};
use filters::mcp::list::Kind;

/// A server's word that a resource has changed.
#[must_use]
pub fn updated(uri: &str) -> String {
    let uri = quoted(uri);
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":{uri}}}}}"#
    )
}

/// What somebody wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `toolsListChanged`
    pub tools: bool,
    /// `promptsListChanged`
    pub prompts: bool,
    /// `resourcesListChanged`
    pub resources: bool,
    /// `resourceSubscriptions`
    pub uris: BTreeSet<String>,
    /// `taskIds`, of the tasks extension
    pub tasks: BTreeSet<String>,
}

impl Filter {
    /// Every list and nothing else.
    #[must_use]
    pub fn lists() -> Self {
        Self {
            tools: true,
            prompts: true,
            resources: true,
            ..Self::default()
        }
    }

    /// Reads `params.notifications`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let object = Object::read(text).unwrap_or_default();
        let is_set = |name: &str| object.get(name) == Some("true");
        let texts = |name: &str| {
            let texts = object.get(name).and_then(elements).unwrap_or_default();
            let texts = texts.into_iter().filter_map(filters::json::object::string);
            texts.map(std::borrow::Cow::into_owned).collect()
        };
        Self {
            tools: is_set("toolsListChanged"),
            prompts: is_set("promptsListChanged"),
            resources: is_set("resourcesListChanged"),
            uris: texts("resourceSubscriptions"),
            tasks: texts("taskIds"),
        }
    }

    /// As `params.notifications`.
    #[must_use]
    pub fn write(&self) -> String {
        let mut object = Object::default();
        for (name, is_set) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if is_set {
                object.set(name, "true");
            }
        }
        for (name, texts) in [
            ("resourceSubscriptions", &self.uris),
            ("taskIds", &self.tasks),
        ] {
            if !texts.is_empty() {
                object.set(name, array(texts.iter().map(|text| quoted(text))));
            }
        }
        object.write()
    }

    /// Whether it wants nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what `other` wants.
    pub fn add(&mut self, other: &Self) {
        self.tools |= other.tools;
        self.prompts |= other.prompts;
        self.resources |= other.resources;
        self.uris.extend(other.uris.iter().cloned());
        self.tasks.extend(other.tasks.iter().cloned());
    }

    /// What both want.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        Self {
            tools: self.tools && other.tools,
            prompts: self.prompts && other.prompts,
            resources: self.resources && other.resources,
            uris: self.uris.intersection(&other.uris).cloned().collect(),
            tasks: self.tasks.intersection(&other.tasks).cloned().collect(),
        }
    }

    /// Whether it wants to hear of changes of a list.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tools => self.tools,
            Kind::Prompts => self.prompts,
            Kind::Resources | Kind::Templates => self.resources,
        }
    }

    /// The notifications that all it wants to hear of has changed: for who may have missed some.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let lists = [Kind::Tools, Kind::Prompts, Kind::Resources].into_iter();
        let lists = lists.filter(|kind| self.has(*kind)).map(|kind| {
            let method = quoted(kind.changed());
            format!(r#"{{"jsonrpc":"2.0","method":{method}}}"#)
        });
        lists
            .chain(self.uris.iter().map(|uri| updated(uri)))
            .collect()
    }

    /// Whether it wants this notification.
    #[must_use]
    pub fn wants(&self, method: &str, params: &Object<'_>) -> bool {
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            "notifications/resources/updated" => params
                .text("uri")
                .is_some_and(|uri| self.uris.contains(uri.as_ref())),
            "notifications/tasks" => params
                .text("taskId")
                .is_some_and(|id| self.tasks.contains(id.as_ref())),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_missed_something_is_told_of_all_it_wants_and_of_nothing_else() {
        let filter = Filter {
            prompts: true,
            uris: ["file:///a".to_owned()].into(),
            tasks: ["t".to_owned()].into(),
            ..Filter::default()
        };
        let changes = filter.changes();
        assert_eq!(
            changes,
            [
                r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#.to_owned(),
                updated("file:///a"),
            ]
        );
        for change in changes {
            let change = Object::read(&change).unwrap();
            let params = change.get("params").and_then(Object::read);
            let method = change.text("method").unwrap();
            assert!(filter.wants(&method, &params.unwrap_or_default()));
        }
    }
}
