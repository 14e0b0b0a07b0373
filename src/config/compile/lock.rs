//! `tool_lock` and what belongs to it.

use std::path::PathBuf;

use filters::problem::Problems;

use crate::config::choice;
use crate::config::model::lock::ToolLock;

/// Where approved definitions are if nothing else is said.
const FILE: &str = "conduit.lock";

/// `tool_lock`, `tool_lock_first_use` and `tool_lock_file`.
pub fn compile(
    mode: choice::ToolLock,
    first_use: choice::FirstUse,
    file: Option<String>,
    problems: &mut Problems,
) -> ToolLock {
    let file = PathBuf::from(file.unwrap_or_else(|| FILE.to_owned()));
    if file.file_name().is_none() {
        problems
            .error("tool_lock_file", "must name a file")
            .found(format!("{:?}", file.display().to_string()));
    }
    ToolLock {
        mode,
        first_use,
        file,
    }
}
