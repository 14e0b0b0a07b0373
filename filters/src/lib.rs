//! Every decision Conduit takes.
