//! Calls that become tasks (the extension of 2026-07-28): through `/mcp` a task's id names its server,
//! and everything said of the task finds its way there and back (protocol.md B11, E69).

mod sdk;
mod wire;
