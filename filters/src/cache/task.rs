//! Calls that are answered by a task: the call is not over before its task is.
//!
//! Both kinds are read: those of the extension of 2026-07-28 (`resultType: task`), and those of
//! 2025-11-25 (`CreateTaskResult`).

use core::time::Duration;

use memchr::memchr2_iter;

use crate::json::object::Object;
use crate::rpc::parse::{self, Answer, Body};

/// The statuses that a task does not leave any more.
const TERMINAL: [&str; 3] = ["completed", "failed", "cancelled"];

/// What a message says, as far as the end of a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'t> {
    /// A result, JSON text.
    Result(&'t str),
    /// Something else, or nothing that is known here.
    Other,
}

/// A task that answered a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// How long its server keeps it, where it says so.
    pub ttl: Option<Duration>,
}

impl<'t> Said<'t> {
    /// Reads a whole message.
    #[must_use]
    pub fn of(message: &'t [u8]) -> Self {
        let text = core::str::from_utf8(message).unwrap_or_default();
        match parse::message(text).map(|message| message.body) {
            Ok(Body::Response {
                answer: Answer::Result(result),
                ..
            }) => Self::Result(result.get()),
            Ok(Body::Response { .. } | Body::Request { .. } | Body::Notification { .. })
            | Err(_) => Self::Other,
        }
    }
}

/// Whether an answer can tell of a task at all: most do not have the word in them, in no spelling, and
/// need not be read for it.
#[must_use]
pub fn may_begin(answer: &[u8]) -> bool {
    // One pass for a letter of each.
    memchr2_iter(b'k', b'\\', answer).any(|at| {
        let (before, from) = answer.split_at_checked(at).unwrap_or((answer, &[]));
        (before.ends_with(b"tas") && from.starts_with(b"k")) || from.starts_with(b"\\u")
    })
}

/// The task that `result`, the answer to a call, says was begun.
#[must_use]
pub fn begun(result: &str) -> Option<Begun> {
    let result = Object::read(result)?;
    if result.text("resultType").as_deref() == Some("task") {
        return read(&result, "ttlMs");
    }
    read(&Object::read(result.get("task")?)?, "ttl")
}

fn read(task: &Object<'_>, ttl: &str) -> Option<Begun> {
    let ttl = task.get(ttl).and_then(|ms| ms.parse().ok());
    Some(Begun {
        id: task.text("taskId")?.into_owned(),
        ttl: ttl.map(Duration::from_millis),
    })
}

/// Whether `result`, the answer to this method of tasks, says that the task is over.
#[must_use]
pub fn is_over(method: &str, result: &str) -> bool {
    // Of 2025-11-25: it is answered once there is a result.
    method == "tasks/result" || Object::read(result).is_some_and(|task| is_terminal(&task))
}

/// The task that a notification with these params says is over.
#[must_use]
pub fn ended(params: &str) -> Option<String> {
    let task = Object::read(params).filter(is_terminal)?;
    task.text("taskId").map(Into::into)
}

fn is_terminal(task: &Object<'_>) -> bool {
    let status = task.text("status");
    status.is_some_and(|status| TERMINAL.contains(&&*status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, ttl_ms: Option<u64>) -> Option<Begun> {
        Some(Begun {
            id: id.to_owned(),
            ttl: ttl_ms.map(Duration::from_millis),
        })
    }

    #[test]
    fn a_task_is_told_from_a_result_in_both_eras() {
        let rows = [
            (
                r#"{"resultType":"task","taskId":"a","ttlMs":5}"#,
                task("a", Some(5)),
            ),
            (
                r#"{"resultType":"task","taskId":"a","ttlMs":null}"#,
                task("a", None),
            ),
            (
                r#"{"task":{"taskId":"\u0061","ttl":7}}"#,
                task("a", Some(7)),
            ),
            (r#"{"task":{"taskId":"a","ttl":1.5}}"#, task("a", None)),
            (r#"{"resultType":"complete","taskId":"a"}"#, None),
            (r#"{"resultType":"task"}"#, None),
            (r#"{"task":"a"}"#, None),
            (r#"{"content":[{"task":{"taskId":"a"}}]}"#, None),
            ("[]", None),
            ("", None),
        ];
        for (result, expected) in rows {
            assert_eq!(begun(result), expected, "{result}");
            assert!(
                expected.is_none() || may_begin(result.as_bytes()),
                "{result}"
            );
        }
    }

    #[test]
    fn a_task_is_over_when_its_status_is_one_that_does_not_change() {
        for (status, is) in [
            ("working", false),
            ("input_required", false),
            ("completed", true),
            ("failed", true),
            ("cancelled", true),
            ("COMPLETED", false),
        ] {
            let text = format!(r#"{{"taskId":"a","status":"{status}"}}"#);
            assert_eq!(is_over("tasks/get", &text), is, "{status}");
            assert_eq!(ended(&text), is.then(|| "a".to_owned()), "{status}");
        }
        assert!(is_over("tasks/result", r#"{"content":[]}"#));
        assert!(!is_over("tasks/cancel", r#"{"resultType":"complete"}"#));
        assert_eq!(ended(r#"{"status":"failed"}"#), None);
    }

    #[test]
    fn a_message_says_what_its_result_is() {
        let message = br#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#;
        assert_eq!(Said::of(message), Said::Result(r#"{"a":1}"#));
        for other in [
            &br#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#[..],
            br#"{"jsonrpc":"2.0","method":"ping","id":1}"#,
            b"\xff",
            b"",
        ] {
            assert_eq!(Said::of(other), Said::Other);
        }
    }
}
