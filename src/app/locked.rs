//! From how the tool lock is configured to how it is decided.

use std::collections::HashMap;
use std::sync::Arc;

use filters::lock::Mode;

use crate::config::Config;
use crate::config::choice;
use crate::state::snapshot::{FirstUse, ToolLock};

/// What is done with tools that nobody approved; nothing where that is nothing.
pub(super) fn policy(config: &Config) -> Option<Arc<ToolLock>> {
    let lock = &config.tool_lock;
    let modes = config.servers.iter().filter_map(|server| {
        let mode = match lock.mode_of(server) {
            choice::ToolLock::Off => return None,
            choice::ToolLock::Warn => Mode::Warn,
            choice::ToolLock::Block => Mode::Block,
        };
        Some((server.id.to_string(), mode))
    });
    let modes: HashMap<_, _> = modes.collect();
    if modes.is_empty() {
        return None;
    }
    Some(Arc::new(ToolLock {
        modes,
        first_use: match lock.first_use {
            choice::FirstUse::Refuse => FirstUse::Refuse,
            choice::FirstUse::Trust => FirstUse::Trust,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, source::Source};

    fn told(text: &str) -> Option<Vec<String>> {
        let config = config::load(&Source::from_text(text)).unwrap().config;
        let policy = policy(&config)?;
        let mut modes: Vec<_> = policy
            .modes
            .iter()
            .map(|(id, mode)| format!("{id} {mode:?}"))
            .collect();
        modes.sort();
        Some(modes)
    }

    #[test]
    fn a_server_has_its_own_mode_or_that_of_all() {
        let servers = "servers: [{id: a, url: 'http://h'}, {id: b, url: 'http://h', tool_lock: off}, \
                       {id: c, url: 'http://h', tool_lock: warn}]";
        let all = format!("tool_lock: block\n{servers}");
        assert_eq!(told(&all).unwrap(), ["a Block", "c Warn"]);
        assert_eq!(told(servers).unwrap(), ["c Warn"]);
        assert_eq!(told("tool_lock: block"), None);
        assert_eq!(told("servers: [{id: a, url: 'http://h'}]"), None);
    }
}
