//! Guardrails: rules that look into what clients and servers say to each other, and refuse it,
//! change it, hold it or only note it.
//!
//! [`rules::Rules`] are compiled once from a [`spec::Spec`]; [`rules::Rules::inspect`] decides on one
//! [`rules::Subject`]. The first rule that matches decides, as mcp-conduit documents it.
//!
//! **Invariant:** what cannot be decided is refused, never let through: see [`walk::Opaque`].
//! **Invariant:** a text is read at most once to decide on it, however many rules look into it, and not
//! at all where no rule in scope has conditions; params with a URI once for each [`reading`] of it.

pub mod answer;
pub mod approver;
pub mod condition;
pub mod detect;
pub mod dialog;
pub mod edit;
pub mod number;
pub mod path;
pub mod pattern;
pub mod reader;
pub mod reading;
pub mod rule;
pub mod rules;
pub mod scope;
pub mod spec;
pub mod verdict;
pub mod walk;
