//! Trace context: which trace a request belongs to (W3C Trace Context, 3.2).

/// The trace that a request belongs to, and the span that stands for its time in the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// What `X-Conduit-Trace-Id` says: the client's own text, or the trace id as a UUID.
    pub id: String,
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// Longest `X-Conduit-Trace-Id` that is taken over, in bytes.
pub const ID_BYTES_MAX: usize = 128;

impl Trace {
    /// Continues the client's trace, or starts one. A valid `traceparent` wins over
    /// `X-Conduit-Trace-Id`, as in mcp-conduit; what is invalid is ignored, never an error.
    /// `random` is where fresh ids come from.
    #[must_use]
    pub fn resume(traceparent: Option<&str>, named: Option<&str>, random: [u8; 24]) -> Self {
        let (fresh, span) = random.split_at(16);
        let mut resumed = Self::default();
        resumed.span.copy_from_slice(span);
        if let Some((trace, flags)) = traceparent.and_then(parse) {
            resumed.trace = trace;
            resumed.flags = flags;
            resumed.id = uuid(trace);
            return resumed;
        }
        match named.and_then(undashed) {
            Some(trace) => resumed.trace = trace,
            None => resumed.trace.copy_from_slice(fresh),
        }
        resumed.id = named
            .filter(|id| is_token(id))
            .map_or_else(|| uuid(resumed.trace), str::to_owned);
        resumed
    }

    /// The `traceparent` for upstream.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, self.trace);
        text.push('-');
        push_hex(&mut text, self.span);
        text.push('-');
        push_hex(&mut text, [self.flags]);
        text
    }
}

/// The trace id and flags of a valid version-00 (or later) `traceparent`.
fn parse(header: &str) -> Option<([u8; 16], u8)> {
    let mut parts = header.split('-');
    let [version] = digits::<1>(parts.next()?)?;
    let trace = digits::<16>(parts.next()?)?;
    let span = digits::<8>(parts.next()?)?;
    let [flags] = digits::<1>(parts.next()?)?;
    let is_valid = version != 0xff
        && trace != [0; 16]
        && span != [0; 8]
        && (version != 0 || parts.next().is_none());
    is_valid.then_some((trace, flags))
}

/// The bytes that lowercase hexadecimal digits stand for.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// The trace id that a UUID can be.
fn undashed(id: &str) -> Option<[u8; 16]> {
    let mut plain = [0_u8; 32];
    let mut n_digits = 0;
    for byte in id.bytes().filter(|&byte| byte != b'-') {
        *plain.get_mut(n_digits)? = byte.to_ascii_lowercase();
        n_digits += 1;
    }
    let trace = digits(str::from_utf8(plain.get(..n_digits)?).ok()?)?;
    (trace != [0; 16]).then_some(trace)
}

fn is_token(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn push_hex<const N: usize>(text: &mut String, bytes: [u8; N]) {
    let pairs = bytes.map(hex);
    // Digits are text.
    text.push_str(str::from_utf8(pairs.as_flattened()).unwrap_or_default());
}

/// A byte's two hexadecimal digits.
fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|nibble| {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        }
    })
}

fn uuid(trace: [u8; 16]) -> String {
    let pairs = trace.map(hex);
    let digits = pairs.as_flattened();
    let mut id = String::with_capacity(36);
    for group in [0..8, 8..12, 12..16, 16..20, 20..32] {
        if group.start > 0 {
            id.push('-');
        }
        // Digits are text.
        let group = digits.get(group).unwrap_or_default();
        id.push_str(str::from_utf8(group).unwrap_or_default());
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
            trace.traceparent(),
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
                .traceparent()
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
