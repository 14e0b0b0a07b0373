//! The tool lock: what is shown and called of servers whose tools change, on every way.

mod approve;
mod site;
mod start;
mod ways;
