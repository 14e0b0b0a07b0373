//! A client of one era at a server of the other (protocol.md, D2: cells 3 and 4).
//!
//! **Invariant:** a server is told of no capability that this client did not declare, and asks the
//! client for nothing else (E54).

pub(super) mod legacy_server;
pub(super) mod modern_server;
pub(super) mod park;
