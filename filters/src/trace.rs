//! Trace context: which trace a request belongs to (W3C Trace Context, 3.2).

/// The trace that a request belongs to, and the span that stands for its time in the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What `X-Conduit-Trace-Id` says: the client's own text, or the trace id as a UUID.
    pub id: String,
    /// The `traceparent` for upstream.
    pub traceparent: String,
}

/// Longest `X-Conduit-Trace-Id` that is taken over, in bytes.
pub const ID_BYTES_MAX: usize = 128;

impl Trace {
    /// Continues the client's trace, or starts one. A valid `traceparent` wins over
    /// `X-Conduit-Trace-Id`, as in mcp-conduit; what is invalid is ignored, never an error.
    /// `random` is where fresh ids come from.
    #[must_use]
    pub fn resume(traceparent: Option<&str>, named: Option<&str>, random: [u8; 24]) -> Self {
        let (trace_bytes, span_bytes) = random.split_at(16);
        let span = hex(span_bytes);
        if let Some((trace, flags)) = traceparent.and_then(parse) {
            return Self {
                id: uuid(trace),
                traceparent: format!("00-{trace}-{span}-{flags}"),
            };
        }
        let trace = match named.and_then(undashed) {
            Some(trace) => trace,
            None => hex(trace_bytes),
        };
        let id = named
            .filter(|id| is_token(id))
            .map_or_else(|| uuid(&trace), str::to_owned);
        Self {
            id,
            traceparent: format!("00-{trace}-{span}-00"),
        }
    }
}

/// The trace id and flags of a valid version-00 (or later) `traceparent`.
fn parse(header: &str) -> Option<(&str, &str)> {
    let mut parts = header.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && trace.bytes().any(|byte| byte != b'0')
        && span.bytes().any(|byte| byte != b'0')
        && (version != "00" || parts.next().is_none());
    is_valid.then_some((trace, flags))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A UUID's 32 digits, where `id` is one: such a name can be the trace id itself.
fn undashed(id: &str) -> Option<String> {
    let digits: String = id
        .chars()
        .filter(|&c| c != '-')
        .collect::<String>()
        .to_ascii_lowercase();
    (is_hex(&digits, 32) && digits.bytes().any(|byte| byte != b'0')).then_some(digits)
}

fn is_token(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

fn uuid(trace: &str) -> String {
    let mut id = String::with_capacity(36);
    for (at, digit) in trace.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; 24] = [0xab; 24];
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_traceparent_is_continued_with_a_span_of_ours() {
        let trace = Trace::resume(Some(PARENT), Some("mine"), RANDOM);
        assert_eq!(trace.id, "0af76519-16cd-43dd-8448-eb211c80319c");
        assert_eq!(
            trace.traceparent,
            "00-0af7651916cd43dd8448eb211c80319c-abababababababab-01"
        );
    }

    #[test]
    fn a_named_trace_is_echoed() {
        assert_eq!(
            Trace::resume(None, Some("conduit-7"), RANDOM).id,
            "conduit-7"
        );
        let uuid = "0AF76519-16cd-43dd-8448-eb211c80319c";
        let trace = Trace::resume(Some("garbage"), Some(uuid), RANDOM);
        assert_eq!(trace.id, uuid);
        assert!(
            trace
                .traceparent
                .contains("0af7651916cd43dd8448eb211c80319c")
        );
    }

    #[test]
    fn what_is_invalid_is_replaced() {
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in [
            "",
            "00-1-2-3",
            zeros,
            &format!("{PARENT}-x"),
            &PARENT.replace("00-0", "ff-0"),
        ] {
            let trace = Trace::resume(Some(bad), Some("with space"), RANDOM);
            assert_eq!(trace.id, "abababab-abab-abab-abab-abababababab", "{bad}");
        }
        assert_eq!(
            Trace::resume(None, Some(&"x".repeat(129)), RANDOM).id.len(),
            36
        );
    }
}
