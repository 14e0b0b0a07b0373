//! Header fields: what is read from a client's request, and what goes on to its server.
//!
//! **Invariant:** an allow-list. A client's header reaches an upstream because this file names it,
//! never because nobody thought of it (E14, E15).

use std::borrow::Cow;

use bytes::Bytes;
use filters::bounds::SESSION_ID_BYTES_MAX;
use filters::mcp::header::{self, Headers};
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use http::header::{ACCEPT as ACCEPT_FIELD, AsHeaderName};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use crate::gateway::exchange::Exchange;
use crate::gateway::inbound::Bare;
use crate::state::snapshot::Server;
use crate::upstream::catalog::View;
use crate::upstream::fields::{ACCEPT, Caller, push};

// Names that are checked once, not on each request.
pub(super) static SESSION_ID: HeaderName = HeaderName::from_static(header::SESSION_ID);
pub(super) static PROTOCOL_VERSION: HeaderName = HeaderName::from_static(header::PROTOCOL_VERSION);
static GROUP_FIELD: HeaderName = HeaderName::from_static(GROUP);

/// The header by which clients share what is stored with others of their group only.
pub(super) const GROUP: &str = "x-conduit-group";

/// The group that a client says it shares with, as far as keys go: what is no plain text, or stands
/// more than once, is a group of its own.
pub(super) fn group(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut values = headers.get_all(&GROUP_FIELD).iter();
    let first = values.next()?;
    match (first.to_str(), values.next()) {
        (Ok(text), None) => Some(Cow::Borrowed(text)),
        _ => {
            let all = headers.get_all(GROUP).iter();
            let spelled = all.map(|value| format!("\0{:02x?}", value.as_bytes()));
            Some(Cow::Owned(spelled.collect()))
        }
    }
}

/// What is read from a client's request head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client<'a> {
    headers: &'a HeaderMap,
    /// The mirrored MCP headers.
    pub(super) mcp: Headers<'a>,
    /// `Mcp-Session-Id`
    pub(super) session: Option<&'a str>,
    /// Whether it has `Mcp-*` headers besides.
    has_further: bool,
    /// Whether it names a group.
    has_group: bool,
}

impl<'a> Client<'a> {
    /// Reads the MCP headers.
    ///
    /// # Errors
    /// Where any of MCP's stands twice, so that two readers could pick different ones, or the session id
    /// is none.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut read = Self {
            headers,
            mcp: Headers::default(),
            session: None,
            has_further: false,
            has_group: false,
        };
        let mut previous = None;
        // One walk: four look-ups would hash as many names. The values of a name come one after another.
        for (name, value) in headers {
            let before = previous.replace(name);
            let spelled = name.as_str();
            if !spelled.starts_with(header::MCP_PREFIX) {
                read.has_group |= spelled == GROUP;
                continue;
            }
            if before == Some(name) {
                let header = spelled.to_owned().into();
                return Err(Refusal::HeaderMalformed { header });
            }
            let (slot, shown) = match spelled {
                header::PROTOCOL_VERSION => {
                    (&mut read.mcp.protocol_version, "MCP-Protocol-Version")
                }
                header::METHOD => (&mut read.mcp.method, "Mcp-Method"),
                header::NAME => (&mut read.mcp.name, "Mcp-Name"),
                header::SESSION_ID => (&mut read.session, "Mcp-Session-Id"),
                _ => {
                    read.has_further = true;
                    continue;
                }
            };
            // What is not visible ASCII matches no body: only the sentinel form can carry it.
            let malformed = || Refusal::HeaderMalformed {
                header: shown.into(),
            };
            let text = value.to_str().map_err(|_| malformed())?;
            *slot = Some(text.trim());
        }
        if read.session.is_some_and(|id| !is_session_id(id)) {
            return Err(Refusal::SessionMalformed);
        }
        Ok(read)
    }

    /// A header that is text.
    pub(super) fn text(&self, name: impl AsHeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What [`group()`] says of it.
    pub(super) fn group(&self) -> Option<Cow<'a, str>> {
        self.has_group.then(|| group(self.headers)).flatten()
    }

    /// What [`mirrored()`] says of it.
    pub(super) fn mirrored(&self, era: Era) -> Vec<(String, String)> {
        match self.has_further {
            true => mirrored(self.headers, era),
            false => Vec::new(),
        }
    }
}

/// Visible ASCII (2025-11-25, "Session Management"), bounded.
fn is_session_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= SESSION_ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic())
}

/// Writes the header lines of the upstream request.
pub(super) fn write(
    headers: &HeaderMap,
    exchange: &Exchange,
    server: &Server,
    era: Era,
    session: Option<&str>,
    has_body: bool,
) -> Vec<u8> {
    let mut lines = Vec::with_capacity(512 + server.fields.lines.len());
    for (name, value) in headers {
        let name = name.as_str();
        if !is_forwarded(name, server, era) || server.fields.sets(name) {
            continue;
        }
        push(&mut lines, name, value.as_bytes());
    }
    if !server.fields.sets("accept") {
        let chosen = accept(headers).map_or(ACCEPT.as_bytes(), HeaderValue::as_bytes);
        push(&mut lines, "accept", chosen);
    }
    if let Some(session) = session {
        push(&mut lines, header::SESSION_ID, session.as_bytes());
    }
    if has_body {
        // MCP bodies are JSON whatever a client calls them.
        push(&mut lines, "content-type", b"application/json");
    }
    if !server.fields.sets("traceparent") {
        push(
            &mut lines,
            "traceparent",
            exchange.trace.traceparent().as_bytes(),
        );
    }
    push(
        &mut lines,
        "x-conduit-trace-id",
        exchange.trace.id.as_bytes(),
    );
    lines.extend_from_slice(&server.fields.lines);
    lines
}

/// What a client chose to accept. One that takes anything takes both forms of an answer.
fn accept(headers: &HeaderMap) -> Option<&HeaderValue> {
    let takes_anything = |value: &HeaderValue| {
        let text = value.as_bytes();
        memchr(b'*', text).is_some() && text.windows(3).any(|part| part == b"*/*")
    };
    let mut given = headers.get_all(ACCEPT_FIELD).iter();
    given.find(|value| !takes_anything(value))
}

fn is_forwarded(name: &str, server: &Server, era: Era) -> bool {
    match name {
        "tracestate" | "baggage" | GROUP => true,
        "authorization" => server.forwards_authorization,
        // A client's session is with the gateway; the server's own stands for it.
        header::SESSION_ID => false,
        // Resumption ended with 2025-11-25 (E72).
        header::LAST_EVENT_ID => era == Era::Legacy,
        header::PROTOCOL_VERSION => true,
        // Unknown ones must go on (E7).
        _ => name.starts_with(header::MCP_PREFIX) && !is_unproven(name, era),
    }
}

/// Whether a header says what a message does, and nothing holds it against the body: before 2026-07-28
/// whoever routes by it would be told by the client alone what it calls.
fn is_unproven(name: &str, era: Era) -> bool {
    let tells = matches!(name, header::METHOD | header::NAME);
    era == Era::Legacy && (tells || name.starts_with(header::PARAM_PREFIX))
}

/// What of a client's head goes along with requests that the gateway makes for it.
pub(super) fn caller(headers: &HeaderMap, exchange: &Exchange) -> Caller {
    let mut lines = Vec::with_capacity(256);
    for name in ["tracestate", "baggage", GROUP] {
        for value in headers.get_all(name) {
            push(&mut lines, name, value.as_bytes());
        }
    }
    let trace = &exchange.trace;
    push(&mut lines, "traceparent", trace.traceparent().as_bytes());
    push(&mut lines, "x-conduit-trace-id", trace.id.as_bytes());
    let authorization = headers.get(http::header::AUTHORIZATION);
    Caller {
        authorization: authorization
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        lines,
    }
}

/// What a legacy client says of itself in headers, where no session stands for it.
pub(super) fn bare(headers: &HeaderMap) -> Bare {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    Bare {
        version: headers.get(&PROTOCOL_VERSION).and_then(text),
        accept: accept(headers).and_then(text),
    }
}

/// The `Mcp-*` headers that nothing here is known of: they must go on (E7), but for those that say what
/// a message does in an era that does not prove it.
pub(super) fn mirrored(headers: &HeaderMap, era: Era) -> Vec<(String, String)> {
    let is_known = |name: &str| {
        matches!(
            name,
            header::METHOD | header::NAME | header::SESSION_ID | header::PROTOCOL_VERSION
        )
    };
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            name.starts_with(header::MCP_PREFIX) && !is_known(name) && !is_unproven(name, era)
        })
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// Makes sure that the headers of a call say what its arguments say, for a server that does not see
/// them or does not know what they are (E8): others do it themselves.
///
/// # Errors
/// The refusal of the first header that does not.
pub(super) async fn compare<'h>(
    server: &Server,
    tool: &str,
    arguments: Option<&str>,
    header: impl Fn(&str) -> Option<&'h str>,
) -> Result<(), Refusal> {
    // What stands in headers does not depend on who calls.
    let catalog = server.catalogs.find(&View::plain(), &Caller::default());
    match catalog.mirrors(tool).await {
        Some(mirrors) => mirrors.check(arguments, header),
        None => Ok(()),
    }
}

/// Copies a request into the form the control plane takes.
pub(super) fn to_http(header: &pingora::http::RequestHeader, body: Bytes) -> http::Request<Bytes> {
    let mut request = http::Request::new(body);
    *request.method_mut() = header.method.clone();
    *request.uri_mut() = header.uri.clone();
    *request.headers_mut() = header.headers.clone();
    request
}
