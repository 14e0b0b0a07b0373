//! Names of servers that other sections mention.
//!
//! A profile must name servers that exist. A rule may be written for a server that is added later,
//! but a rule whose server never comes protects nothing, so it gets a warning.

use filters::problem::{Problem, Problems, Severity};

use crate::config::Config;
use crate::config::path::Path;
use crate::config::walk::suggest;

/// Says that a name is no server's id, with the id it may have meant; the caller adds it.
#[must_use]
pub fn unknown(severity: Severity, path: &Path, name: &str, server_ids: &[String]) -> Problem {
    let message = match suggest::nearest(name, server_ids.iter().map(String::as_str)) {
        Some(id) => format!("there is no server with this id; did you mean \"{id}\"?"),
        None => "there is no server with this id".to_owned(),
    };
    let mut problem = Problem::new(severity, path.as_str(), message);
    problem.found(format!("{name:?}"));
    problem
}

/// Warns about access rules and limits for servers that do not exist.
pub fn check(config: &Config, server_ids: &[String], problems: &mut Problems) {
    let mut look = |path: Path, name: &str, is_pattern: bool| {
        let is_pattern = is_pattern && (name.is_empty() || name.contains(['*', '?']));
        if !is_pattern && !server_ids.iter().any(|id| id == name) {
            problems.add(unknown(Severity::Warning, &path, name, server_ids));
        }
    };
    for (index, limit) in config.rate_limits.overrides.iter().enumerate() {
        let path = Path::root()
            .key("rate_limits")
            .key("overrides")
            .index(index);
        // A limit is that of one server.
        look(path.key("server"), &limit.server, false);
    }
    for (index, policy) in config.acl.spec.policies.iter().enumerate() {
        let path = Path::root().key("acl").key("policies").index(index);
        for (list, rules) in [("allow", &policy.allow), ("deny", &policy.deny)] {
            for (at, rule) in rules.iter().enumerate() {
                look(path.key(list).index(at).key("server"), &rule.server, true);
            }
        }
    }
}
