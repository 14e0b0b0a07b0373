//! MCP's HTTP headers: their names, and the values that mirror the body (2026-07-28, "Request
//! Metadata").

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::bounds::MIRRORED_HEADER_BYTES_MAX;

/// `MCP-Protocol-Version`, in the spelling HTTP/2 needs.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// `Mcp-Session-Id`
pub const SESSION_ID: &str = "mcp-session-id";
/// `Mcp-Method`
pub const METHOD: &str = "mcp-method";
/// `Mcp-Name`
pub const NAME: &str = "mcp-name";
/// How the names of all of MCP's headers begin.
pub const MCP_PREFIX: &str = "mcp-";
/// `Mcp-Param-…`
pub const PARAM_PREFIX: &str = "mcp-param-";
/// `Last-Event-ID`
pub const LAST_EVENT_ID: &str = "last-event-id";

/// Begins a value that is base64 of UTF-8.
pub(crate) const SENTINEL_START: &str = "=?base64?";
/// Ends it.
pub(crate) const SENTINEL_END: &str = "?=";

/// The MCP headers of one request. Values are trimmed of optional white space (RFC 9110, 5.5).
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `MCP-Protocol-Version`
    pub protocol_version: Option<&'a str>,
    /// `Mcp-Method`
    pub method: Option<&'a str>,
    /// `Mcp-Name`
    pub name: Option<&'a str>,
}

/// Why a mirrored header's value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Between the sentinels is no base64 of UTF-8 text.
    Base64,
    /// Longer than [`MIRRORED_HEADER_BYTES_MAX`].
    Length,
}

/// Decodes a mirrored value: `=?base64?…?=` is base64 of UTF-8, anything else means itself.
///
/// # Errors
/// [`Malformed`] where the sentinels stand but what is between them does not decode.
pub fn decode(value: &str) -> Result<Cow<'_, str>, Malformed> {
    if value.len() > MIRRORED_HEADER_BYTES_MAX {
        return Err(Malformed::Length);
    }
    let Some(encoded) = value
        .strip_prefix(SENTINEL_START)
        .and_then(|rest| rest.strip_suffix(SENTINEL_END))
    else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| Malformed::Base64)?;
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| Malformed::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_value_is_decoded_and_any_other_is_literal() {
        let rows = [
            ("echo", Ok("echo")),
            ("", Ok("")),
            ("=?base64?w7xuw69j?=", Ok("ünïc")),
            ("=?base64??=", Ok("")),
            ("=?BASE64?w7xuw69j?=", Ok("=?BASE64?w7xuw69j?=")),
            ("=?base64?w7xuw69j", Ok("=?base64?w7xuw69j")),
            ("=?base64?!!!?=", Err(Malformed::Base64)),
            ("=?base64?YQ?=", Err(Malformed::Base64)),
            ("=?base64?/w==?=", Err(Malformed::Base64)),
        ];
        for (value, expected) in rows {
            assert_eq!(decode(value), expected.map(Cow::Borrowed), "{value}");
        }
    }

    #[test]
    fn an_oversize_value_is_refused_before_it_is_decoded() {
        assert!(decode(&"a".repeat(MIRRORED_HEADER_BYTES_MAX)).is_ok());
        assert_eq!(
            decode(&"a".repeat(MIRRORED_HEADER_BYTES_MAX + 1)),
            Err(Malformed::Length)
        );
    }
}
