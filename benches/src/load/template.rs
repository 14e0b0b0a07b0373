//! A request, complete but for its id, which is written in place.

use anyhow::{Result, ensure};
use memchr::memmem;

use crate::guard::Credential;
use crate::load::Load;
use crate::mcp::{ID_DIGITS, ID_MARK, KEY_MARK};
use crate::workload::{Era, Shape};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// The bytes of a request, the places of its id and those of its key.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    slots: Vec<usize>,
    keys: Vec<usize>,
}

impl Template {
    /// The `tools/call` of `load`, in the legacy session `session` if there is one.
    pub(crate) fn call(load: &Load, session: Option<&str>) -> Self {
        let tool = load.workload.called();
        let token = match load.workload.shape() {
            Shape::Events => format!(r#""progressToken":{ID_MARK}"#),
            Shape::Json => String::new(),
        };
        let meta = match load.era {
            Era::Modern => format!(
                r#"{}"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientInfo":{{"name":"conduit-bench","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}"#,
                if token.is_empty() {
                    token
                } else {
                    format!("{token},")
                }
            ),
            Era::Legacy => token,
        };
        let key = if load.workload.is_keyed() {
            format!(r#","key":"{KEY_MARK}""#)
        } else {
            String::new()
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{ID_MARK},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"query":"where is the nearest exit"{key}}},"_meta":{{{meta}}}}}}}"#
        );
        let headers = match load.era {
            Era::Modern => format!("Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"),
            Era::Legacy => String::new(),
        };
        Self::post(load, session, &headers, &body)
    }

    /// The legacy `initialize`.
    pub(crate) fn initialize(load: &Load) -> Self {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{ID_MARK},"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"conduit-bench","version":"1"}}}}}}"#
        );
        Self::post(load, None, "", &body)
    }

    /// The legacy `notifications/initialized`.
    pub(crate) fn initialized(load: &Load, session: Option<&str>) -> Self {
        let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        Self::post(load, session, "", body)
    }

    fn post(load: &Load, session: Option<&str>, headers: &str, body: &str) -> Self {
        let version = match load.era {
            Era::Modern => MODERN,
            Era::Legacy => LEGACY,
        };
        let session = session.map_or_else(String::new, |id| format!("Mcp-Session-Id: {id}\r\n"));
        let credential = load.workload.credential();
        let credential = credential.map_or_else(String::new, Credential::line);
        let text = format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: conduit-bench\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: {version}\r\n{session}{headers}{credential}Content-Length: {}\r\n\r\n{body}",
            load.path,
            load.port,
            body.len(),
        );
        Self {
            slots: memmem::find_iter(text.as_bytes(), ID_MARK).collect(),
            keys: memmem::find_iter(text.as_bytes(), KEY_MARK).collect(),
            bytes: text.into_bytes(),
        }
    }

    /// Makes it the call of `key`, until it is told another.
    ///
    /// # Errors
    /// When `key` does not have [`ID_DIGITS`] digits.
    pub(crate) fn set_key(&mut self, key: &str) -> Result<()> {
        ensure!(
            key.len() == ID_DIGITS,
            "key {key} does not have {ID_DIGITS} digits"
        );
        write_at(&mut self.bytes, &self.keys, key);
        Ok(())
    }

    /// The request with `id` in it.
    ///
    /// # Errors
    /// When `id` does not have [`ID_DIGITS`] digits.
    pub(crate) fn stamp(&mut self, id: &str) -> Result<&[u8]> {
        ensure!(
            id.len() == ID_DIGITS,
            "id {id} does not have {ID_DIGITS} digits"
        );
        write_at(&mut self.bytes, &self.slots, id);
        Ok(&self.bytes)
    }
}

fn write_at(bytes: &mut [u8], slots: &[usize], digits: &str) {
    for slot in slots {
        if let Some(place) = bytes.get_mut(*slot..slot + ID_DIGITS) {
            place.copy_from_slice(digits.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Voice;
    use crate::mcp;
    use crate::workload::Workload;

    fn body(era: Era, workload: Workload) -> serde_json::Value {
        let time = Duration::ZERO;
        let load = Load {
            workload,
            era,
            port: 1,
            path: "/mcp".to_owned(),
            connections: 1,
            time,
            voice: Voice::Live,
        };
        let mut template = Template::call(&load, Some("s"));
        let text = std::str::from_utf8(template.stamp("1234567890").unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert_eq!(mcp::find_id(body.as_bytes()), Some(&b"1234567890"[..]));
        // What reaches the stub has the stub's own name.
        let reached = body.replace(&workload.called(), workload.tool());
        assert_eq!(
            mcp::find_workload(reached.as_bytes()).unwrap().tool(),
            workload.tool()
        );
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn a_call_is_json_with_its_id_in_every_place() {
        for era in [Era::Modern, Era::Legacy] {
            for workload in Workload::ALL {
                let call = body(era, workload);
                assert_eq!(call["id"], 1_234_567_890);
                let token = &call["params"]["_meta"]["progressToken"];
                let expected = workload.shape() == Shape::Events;
                assert_eq!(token == &call["id"], expected, "{}", workload.name());
            }
        }
    }

    #[test]
    fn a_keyed_call_is_another_with_another_key() {
        let load = Load {
            workload: Workload::Resident200,
            era: Era::Legacy,
            port: 1,
            path: "/mcp".to_owned(),
            connections: 1,
            time: Duration::ZERO,
            voice: Voice::Live,
        };
        let mut template = Template::call(&load, None);
        let mut call = |key| {
            template.set_key(key).unwrap();
            template.stamp("1234567890").unwrap().to_vec()
        };
        let (one, other) = (call("0000000001"), call("0000000002"));
        assert_ne!(one, other);
        assert_eq!(one, call("0000000001"));
        assert!(template.set_key("1").is_err());
    }

    #[test]
    fn a_short_id_is_refused() {
        let time = Duration::ZERO;
        let load = Load {
            workload: Workload::Json200,
            era: Era::Modern,
            port: 1,
            path: "/mcp".to_owned(),
            connections: 1,
            time,
            voice: Voice::Live,
        };
        assert!(Template::initialize(&load).stamp("12").is_err());
    }
}
