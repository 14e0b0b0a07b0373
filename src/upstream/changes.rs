//! What servers say of their own changes, and who is told before anybody else.

use std::sync::Arc;

use filters::cache::task;
use filters::json::object::Object;
use filters::mcp::list::Kind;
use memchr::memmem;

/// A change that a server told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A list is not what it was.
    List(Kind),
    /// A resource is not what it was: its URI.
    Resource(String),
    /// A task is over: its id.
    Task(String),
}

/// Is told of changes, with the server's id, before any client is.
pub type Ear = Arc<dyn Fn(&Arc<str>, &Change) + Send + Sync>;

impl Change {
    /// The changes that a notification tells of; mostly none.
    #[must_use]
    pub fn read(notification: &str) -> Vec<Self> {
        if !may_tell(notification.as_bytes()) {
            return Vec::new();
        }
        let Some(message) = Object::read(notification) else {
            return Vec::new();
        };
        let Some(method) = message.text("method") else {
            return Vec::new();
        };
        if method == "notifications/resources/updated" {
            let params = message.get("params").and_then(Object::read);
            let uri = params.as_ref().and_then(|params| params.text("uri"));
            return uri
                .map(|uri| Self::Resource(uri.into_owned()))
                .into_iter()
                .collect();
        }
        if matches!(
            &*method,
            "notifications/tasks" | "notifications/tasks/status"
        ) {
            let ended = message.get("params").and_then(task::ended);
            return ended.map(Self::Task).into_iter().collect();
        }
        let changed = Kind::ALL
            .into_iter()
            .filter(|kind| kind.changed() == method);
        changed.map(Self::List).collect()
    }
}

/// Whether a text may tell of a change.
#[must_use]
pub fn may_tell(text: &[u8]) -> bool {
    memmem::find(text, b"list_changed").is_some()
        || memmem::find(text, b"resources/updated").is_some()
        || memmem::find(text, b"notifications/tasks").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_tells_of_what_it_names() {
        let read = |method: &str, params: &str| {
            Change::read(&format!(
                r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#
            ))
        };
        assert_eq!(
            read("notifications/resources/updated", r#"{"uri":"a\u003ab"}"#),
            [Change::Resource("a:b".to_owned())]
        );
        assert_eq!(
            read("notifications/tools/list_changed", "{}"),
            [Change::List(Kind::Tools)]
        );
        assert_eq!(
            read("notifications/resources/list_changed", "{}"),
            [Change::List(Kind::Resources), Change::List(Kind::Templates)]
        );
        assert_eq!(read("notifications/resources/updated", "{}"), []);
        for method in ["notifications/tasks", "notifications/tasks/status"] {
            assert_eq!(
                read(method, r#"{"taskId":"t","status":"failed"}"#),
                [Change::Task("t".to_owned())]
            );
            assert_eq!(read(method, r#"{"taskId":"t","status":"working"}"#), []);
        }
        assert_eq!(
            read("notifications/message", r#"{"data":"list_changed"}"#),
            []
        );
    }
}
