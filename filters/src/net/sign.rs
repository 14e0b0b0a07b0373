//! The header that signs a webhook, with HMAC-SHA256 (RFC 2104).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `X-Conduit-Signature`: `t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">`. The time
/// is signed, so that a receiver can refuse what is sent again later.
#[must_use]
pub fn signature(key: &[u8], seconds: u64, body: &[u8]) -> String {
    let signed = [seconds.to_string().as_bytes(), b".", body].concat();
    let code = code(key, &signed);
    let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

fn code(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn codes_are_those_of_rfc_4231() {
        for (key, message, expected) in [
            (
                vec![0x0B; 20],
                b"Hi There".to_vec(),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xAA; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&code(&key, &message)), expected);
        }
    }

    #[test]
    fn a_signature_is_of_the_time_and_the_body() {
        let one = signature(b"key", 1, b"{}");
        assert!(one.starts_with("t=1,v1="), "{one}");
        let codes = [
            one,
            signature(b"key", 2, b"{}"),
            signature(b"key", 1, b"[]"),
            signature(b"yek", 1, b"{}"),
        ]
        .map(|signature| signature.split_once("v1=").unwrap().1.to_owned());
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
    }
}
