//! Texts that a stranger may carry but neither read nor change: states, cursors, stored sessions.
//!
//! XChaCha20-Poly1305 under a key of the gateway's. What a seal was made for, and for whom, is its
//! context: it opens only in the same one.
//!
//! **Invariant:** a seal opens to exactly what was sealed under the same key and context, or not at
//! all.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// Bytes of a nonce: long enough to be random without counting.
pub const NONCE_BYTES: usize = 24;

/// What texts are sealed with.
#[derive(Clone)]
pub struct Key(XChaCha20Poly1305);

impl Key {
    /// A key from a secret. The secret must be hard to guess: it is hashed, not stretched.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"conduit seal v1\0");
        hash.update(secret);
        Self(XChaCha20Poly1305::new(&hash.finalize()))
    }

    /// Seals `plain` for `context`, as URL-safe text. `nonce` must be random, and new each time.
    #[must_use]
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], context: &[u8], plain: &[u8]) -> String {
        let payload = Payload {
            msg: plain,
            aad: context,
        };
        // Encrypting into memory fails only for more than 256 GiB.
        let body = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_default();
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), &body].concat())
    }

    /// What was sealed for `context`; nothing where it was not, or not by this key.
    #[must_use]
    pub fn open(&self, context: &[u8], sealed: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, body) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload {
            msg: body,
            aad: context,
        };
        self.0.decrypt(&XNonce::from(nonce), payload).ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A context of several parts, none of which can pass for another: each is preceded by its length.
#[must_use]
pub fn context(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The SHA-256 of several parts, each preceded by its length.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(context(parts)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_with_its_own_key_and_context_only() {
        let key = Key::derive(b"one");
        let sealed = key.seal([7; NONCE_BYTES], b"for a", b"plain");
        assert_eq!(key.open(b"for a", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(key.open(b"for b", &sealed), None);
        assert_eq!(Key::derive(b"two").open(b"for a", &sealed), None);
        assert!(!sealed.contains("plain") && sealed.bytes().all(|b| b.is_ascii_graphic()));
    }

    #[test]
    fn a_changed_or_cut_seal_does_not_open() {
        let key = Key::derive(b"one");
        let sealed = key.seal([7; NONCE_BYTES], b"", b"plain");
        for at in 0..sealed.len() {
            let mut text = sealed.clone().into_bytes();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(text).unwrap();
            assert_eq!(key.open(b"", &text), None, "changed at {at}");
            assert_eq!(
                key.open(b"", sealed.get(..at).unwrap()),
                None,
                "cut at {at}"
            );
        }
        assert_eq!(key.open(b"", "ä"), None);
    }

    #[test]
    fn parts_of_a_context_do_not_run_together() {
        assert_ne!(context(&[b"ab", b"c"]), context(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"ab", b""]), digest(&[b"ab"]));
    }
}
