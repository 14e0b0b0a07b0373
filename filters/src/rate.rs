//! How often callers may call: from which buckets a call pays, and whether all of them can.
//!
//! A limit is a number of calls in any span of some length. Each bucket (all callers together, one
//! client, one server, one tool, one client at one tool) counts for each of its limits by itself, in
//! a [`window::Ring`].
//!
//! **Invariant:** a call that one bucket refuses costs no other bucket anything ([`charge::charge`]).

pub mod charge;
pub mod fare;
pub mod rules;
pub mod window;
