//! What asking a server on behalf of several callers can bring.

use filters::mcp::revision::Era;
use pingora::http::ResponseHeader;

use crate::cache::Page;
use crate::upstream::error::Error;

/// What a fetch brought.
pub(super) enum Fetched {
    /// A result, JSON text.
    Result(Era, String),
    /// An error object, JSON text, and the head that it came with, where that refuses, too.
    Error(Era, u16, String, Option<Box<ResponseHeader>>),
    /// A refusal that says nothing of MCP.
    Refused(Page),
    /// Nothing: the server does not know the session.
    Lost,
    /// Nothing: the server refused what is the first caller's own, or does not speak the era.
    Again,
    /// Nothing: the server cannot be asked.
    Failed(Error),
    /// A question back, which is for one caller to answer.
    Asks,
    /// More than is held in memory: it must pass as it comes.
    Large,
    /// Nothing that several could share.
    Alone,
}
