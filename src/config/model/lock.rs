//! `tool_lock` and what belongs to it.

use std::path::{Path, PathBuf};

use crate::config::choice;

/// What is done with tools that nobody approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolLock {
    /// At servers of which nothing else is said.
    pub mode: choice::ToolLock,
    /// At servers of which nothing was approved yet.
    pub first_use: choice::FirstUse,
    /// Where the approved definitions are.
    pub file: PathBuf,
}

impl ToolLock {
    /// What is said of one server.
    #[must_use]
    pub fn mode_of(&self, server: &super::server::Server) -> choice::ToolLock {
        server.tool_lock.unwrap_or(self.mode)
    }

    /// Has a relative path start at the folder of the configuration file.
    pub fn place(&mut self, config: &Path) {
        if let Some(folder) = config.parent() {
            self.file = folder.join(&self.file);
        }
    }
}
