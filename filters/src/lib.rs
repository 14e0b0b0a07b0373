//! Every decision Conduit takes about a message, and nothing else.
//!
//! **Invariant:** no I/O, no clock, no async, no locks, no logging. Cargo keeps it so: this package
//! depends on no crate that could. What needs the time is given it; what needs randomness is given
//! bytes.

pub mod acl;
pub mod bounds;
pub mod cache;
pub mod fuzz;
pub mod glob;
pub mod grant;
pub mod guard;
pub mod http1;
pub mod identity;
pub mod json;
pub mod lock;
pub mod mask;
pub mod mcp;
pub mod net;
pub mod origin;
pub mod policy;
pub mod problem;
pub mod rate;
pub mod refusal;
pub mod route;
pub mod rpc;
pub mod seal;
pub mod secret;
pub mod sse;
pub mod trace;
pub mod uri;
