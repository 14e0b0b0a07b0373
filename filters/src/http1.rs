//! HTTP/1.1 message framing (RFC 9112) as a client needs it.

pub mod chunked;
