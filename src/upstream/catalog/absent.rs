//! Tools that a list was found not to have: their calls do not have it read again each time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long it is taken for granted that a tool is not there, if no change is told of.
const ABSENT_FOR: Duration = Duration::from_secs(10);
/// Most tools that are remembered; of any more the list is read again.
const TOOLS_MAX: usize = 256;
/// Longest name that is remembered, in bytes: clients think them up.
const NAME_BYTES_MAX: usize = 256;

/// The tools, and when each was looked for.
#[derive(Default)]
pub(super) struct Absent(HashMap<String, Instant>);

impl Absent {
    /// Whether a tool was looked for lately.
    pub(super) fn has(&self, tool: &str, now: Instant) -> bool {
        self.0.get(tool).is_some_and(|&at| is_recent(at, now))
    }

    /// Notes that the list does not have a tool.
    pub(super) fn note(&mut self, tool: &str, now: Instant) {
        if tool.len() > NAME_BYTES_MAX {
            return;
        }
        self.0.retain(|_, at| is_recent(*at, now));
        if self.0.len() < TOOLS_MAX {
            self.0.insert(tool.to_owned(), now);
        }
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < ABSENT_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_remembered_for_a_while_only() {
        let now = Instant::now();
        let mut absent = Absent::default();
        absent.note("gone", now);
        assert!(absent.has("gone", now + ABSENT_FOR - Duration::from_millis(1)));
        assert!(!absent.has("gone", now + ABSENT_FOR));
        assert!(!absent.has("other", now));
    }

    #[test]
    fn names_that_clients_think_up_fill_no_memory() {
        let now = Instant::now();
        let mut absent = Absent::default();
        absent.note(&"n".repeat(NAME_BYTES_MAX + 1), now);
        assert!(absent.0.is_empty());
        absent.note(&"n".repeat(NAME_BYTES_MAX), now);
        for n in 1..=TOOLS_MAX {
            absent.note(&n.to_string(), now);
        }
        assert_eq!(absent.0.len(), TOOLS_MAX);
        assert!(!absent.has(&TOOLS_MAX.to_string(), now));
        // What is forgotten makes room.
        absent.note("next", now + ABSENT_FOR);
        assert_eq!(absent.0.len(), 1);
    }
}
