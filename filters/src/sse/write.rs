//! Writes server-sent events.

/// A comment event: keeps an idle stream alive, and clients ignore it.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

use crate::sse::blocks;

/// One `message` event around a JSON text. Line breaks, which in JSON stand between tokens only,
/// become spaces: they would end the event. What some readers take for a line break stands in strings
/// only, and is escaped.
#[must_use]
pub fn message(json: &str) -> String {
    if blocks::has_separator(json.as_bytes()) {
        let json = json
            .replace('\u{85}', r"\u0085")
            .replace('\u{2028}', r"\u2028")
            .replace('\u{2029}', r"\u2029");
        return message_of_lines(&json);
    }
    message_of_lines(json)
}

fn message_of_lines(json: &str) -> String {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        let json = json.replace(['\n', '\r'], " ");
        return format!("event: message\ndata: {json}\n\n");
    }
    format!("event: message\ndata: {json}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_data_to_every_reader() {
        let told = message("{\"a\":\n\"\u{2028}\u{85}\u{2029}\u{2027}\"}");
        let data = "{\"a\": \"\\u2028\\u0085\\u2029\u{2027}\"}";
        assert_eq!(told, format!("event: message\ndata: {data}\n\n"));
    }
}
