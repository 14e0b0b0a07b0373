//! What a caller, and the operator, are told of something that is denied.

use std::fmt;
use std::sync::Arc;

use crate::acl::explain::List;
use crate::acl::view::Item;

/// Longest name of a stranger's that is kept, in characters.
const KEPT_CHARS_MAX: usize = 256;
/// Longest one that is repeated to it.
const SAID_CHARS_MAX: usize = 64;

/// Something that is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The caller.
    pub client: Arc<str>,
    /// The server.
    pub server: Box<str>,
    /// What was to be done.
    pub act: Act,
    /// What it was to be done with, as the server spells it; as much of it as [`kept`] keeps.
    pub name: Box<str>,
    /// The policy that matched the caller.
    pub policy: Option<Box<str>>,
    /// What of it denied.
    pub cause: Cause,
}

/// What is done with what a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A tool is called.
    Call,
    /// A prompt is asked for.
    Get,
    /// A resource is read or followed.
    Read,
    /// A value for a resource template is asked for.
    Complete,
    /// A task is looked after.
    Task,
    /// A method is used of which nobody here knows what it does.
    Send,
    /// The server is addressed at all.
    Know,
}

impl Act {
    /// What is done with an item.
    #[must_use]
    pub fn of(item: Item<'_>) -> Self {
        match item {
            Item::Tool(_) => Self::Call,
            Item::Prompt(_) => Self::Get,
            Item::Resource(_) => Self::Read,
            Item::Template(_) => Self::Complete,
        }
    }
}

/// What denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A rule of the policy.
    Rule(List, usize),
    /// No rule allows it, and the default does not.
    Default,
}

impl Denial {
    /// Which rule denied, for the operator.
    #[must_use]
    pub fn rule(&self) -> String {
        match (&self.policy, self.cause) {
            (Some(policy), Cause::Rule(list, index)) => {
                format!("policy '{policy}', {}[{index}]", list.label())
            }
            (Some(policy), Cause::Default) => {
                format!("policy '{policy}' does not allow it, nor does acl.default_action")
            }
            (None, _) => "no policy is for this client, and acl.default_action is deny".to_owned(),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, server, name) = (
            &self.client,
            &self.server,
            excerpt(&self.name, SAID_CHARS_MAX),
        );
        write!(f, "Access denied: client '{client}' is not allowed to ")?;
        match self.act {
            Act::Call => write!(f, "call '{name}'"),
            Act::Get => write!(f, "get prompt '{name}'"),
            Act::Read => write!(f, "read resource '{name}'"),
            Act::Complete => write!(f, "complete '{name}'"),
            Act::Task => f.write_str("use tasks"),
            Act::Send => write!(f, "use method '{name}'"),
            Act::Know => f.write_str("use anything"),
        }?;
        write!(f, " on server '{server}' ({})", self.rule())
    }
}

/// As much of a stranger's text as a denial keeps.
#[must_use]
pub fn kept(text: &str) -> &str {
    excerpt(text, KEPT_CHARS_MAX)
}

fn excerpt(text: &str, n_chars_max: usize) -> &str {
    let end = text.char_indices().nth(n_chars_max);
    end.map_or(text, |(at, _)| text.split_at(at).0)
}
