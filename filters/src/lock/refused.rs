//! Why the tool lock refuses a call, and what is to be done about it.

use std::fmt;

use crate::lock::Verdict;
use crate::lock::book::Tools;
use crate::lock::definition::{Digest, Unclear};
use crate::lock::visible;

/// Longest name that is repeated, in characters.
const NAME_CHARS_MAX: usize = 128;

/// A call that the tool lock refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The server's id.
    pub server: Box<str>,
    /// The tool, as its server calls it.
    pub tool: Box<str>,
    /// Why.
    pub cause: Cause,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The tool is another than was approved.
    Changed,
    /// Nobody approved the tool.
    Added,
    /// The tool was approved, and its server has it no more.
    Removed,
    /// The tool's definition can be read in several ways.
    Unclear,
    /// What the server defines cannot be found out.
    Unread,
}

impl Cause {
    /// Why a tool is not to be called; nothing where it may be. `approved` is what was approved of its
    /// server, `listed` its definition in the server's list, where it stands in that.
    #[must_use]
    pub fn find(
        approved: Option<&Tools>,
        tool: &str,
        listed: Option<Result<Digest, Unclear>>,
    ) -> Option<Self> {
        let Some(digest) = listed else {
            let is_known = approved.is_some_and(|tools| tools.approved(tool).next().is_some());
            return Some(if is_known { Self::Removed } else { Self::Added });
        };
        match (approved.map(|tools| tools.judge(tool, digest)), digest) {
            (Some(Verdict::Approved), _) => None,
            (Some(Verdict::Changed), _) => Some(Self::Changed),
            (Some(Verdict::Unclear), _) | (None, Err(Unclear)) => Some(Self::Unclear),
            (Some(Verdict::Added) | None, _) => Some(Self::Added),
        }
    }

    /// The word for it in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Unclear => "unclear",
            Self::Unread => "unread",
        }
    }
}

impl Locked {
    /// A refusal.
    #[must_use]
    pub fn new(server: &str, tool: &str, cause: Cause) -> Self {
        let tool: String = tool.chars().take(NAME_CHARS_MAX).collect();
        Self {
            server: server.into(),
            tool: tool.into(),
            cause,
        }
    }
}

impl fmt::Display for Locked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            tool,
            cause,
        } = self;
        let tool = visible::line(tool);
        write!(
            out,
            "the tool lock refuses tool \"{tool}\" of server \"{server}\": "
        )?;
        match cause {
            Cause::Changed => write!(
                out,
                "it is not what was approved any more; an operator can look at it with `conduit \
                 lock diff --server {server}` and accept it with `conduit lock approve`"
            ),
            Cause::Added => write!(
                out,
                "nobody approved it; an operator can look at it with `conduit lock diff --server \
                 {server}` and accept it with `conduit lock approve`"
            ),
            Cause::Removed => write!(
                out,
                "the server does not list it any more; list the tools again, and if that is meant \
                 to be, an operator accepts it with `conduit lock approve`"
            ),
            Cause::Unclear => write!(
                out,
                "its definition can be read in several ways, which `conduit lock approve` never \
                 accepts; its server has to be repaired"
            ),
            Cause::Unread => write!(
                out,
                "the server's tools cannot be listed now, so that nobody knows whether they are \
                 what `conduit lock approve` accepted; try again later"
            ),
        }
    }
}
