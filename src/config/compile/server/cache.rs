//! `servers[].cache`.
//!
//! **Invariant:** a pattern or path that reaches the model has no empty part: an empty one would
//! read as "nothing" to its author and could match everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use filters::problem::{Problem, Problems, Severity};

use crate::config::model::server::{Cache, Staleness, ToolCache};
use crate::config::path::Path;
use crate::config::raw::server as raw;
use crate::config::walk::Places;
use crate::config::walk::scalar::excerpt;
use crate::config::walk::suggest;

/// What marks a tag in `invalidates`.
const TAG: &str = "tag:";

/// What marks a pattern of URIs in `invalidates`.
const RESOURCE: &str = "resource:";

/// The `cache` section of one server.
pub fn compile(
    raw: raw::ServerCache,
    path: &Path,
    places: &Places,
    problems: &mut Problems,
) -> Cache {
    check(&raw.overrides, &path.key("overrides"), problems);
    let tools = raw.overrides.into_iter();
    Cache {
        is_written: places.is_written("cache") || places.is_written(path.as_str()),
        default_ttl: raw.default_ttl.map(seconds),
        list_ttl: raw.list_ttl.map(seconds),
        share: raw.share,
        calls: Staleness {
            while_revalidate: seconds(raw.stale_while_revalidate),
            if_error: seconds(raw.stale_if_error),
        },
        lists: Staleness {
            while_revalidate: seconds(raw.list_stale_while_revalidate),
            if_error: seconds(raw.list_stale_if_error),
        },
        overrides: tools
            .map(|(name, tool)| (name, compile_tool(tool)))
            .collect(),
    }
}

fn compile_tool(raw: raw::ToolCache) -> ToolCache {
    ToolCache {
        ttl: raw.ttl.map(seconds),
        ignore_args: raw.ignore_args,
        invalidates: raw.invalidates,
        tags: raw.tags,
        stale_while_revalidate: raw.stale_while_revalidate.map(seconds),
        stale_if_error: raw.stale_if_error.map(seconds),
    }
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

fn check(overrides: &BTreeMap<String, raw::ToolCache>, path: &Path, problems: &mut Problems) {
    let tags: BTreeSet<&str> = overrides
        .values()
        .flat_map(|tool| tool.tags.iter().map(String::as_str))
        .collect();
    for (name, tool) in overrides {
        let tool_path = path.key(name);
        for (index, argument) in tool.ignore_args.iter().enumerate() {
            check_argument(
                argument,
                &tool_path.key("ignore_args").index(index),
                problems,
            );
        }
        for (index, pattern) in tool.invalidates.iter().enumerate() {
            let pattern_path = tool_path.key("invalidates").index(index);
            if is_blank(pattern) {
                let message =
                    "must name a tool, tag:<tag> or resource:<uri>; * alone is every tool";
                let problem = problems.error(pattern_path, message);
                problem.found(format!("{:?}", excerpt(pattern)));
            } else if let Some(problem) = judge_tag(pattern, &tags, &pattern_path) {
                // Where a tool's tags were refused, they are not known to be missing.
                problems.add(problem).because_of(path.as_str());
            }
        }
        for (index, tag) in tool.tags.iter().enumerate() {
            if tag.trim().is_empty() {
                problems.error(tool_path.key("tags").index(index), "must not be empty");
            }
        }
    }
}

fn check_argument(argument: &str, path: &Path, problems: &mut Problems) {
    if argument.split('.').any(|name| name.trim().is_empty()) {
        let message = "must be names with single dots between them, such as options.trace";
        problems
            .error(path.as_str(), message)
            .found(format!("{:?}", excerpt(argument)));
    }
}

/// Whether a pattern, without what marks its kind, says nothing.
fn is_blank(pattern: &str) -> bool {
    let marked = pattern
        .strip_prefix(TAG)
        .or_else(|| pattern.strip_prefix(RESOURCE));
    marked.unwrap_or(pattern).trim().is_empty()
}

/// A tag that no tool has is most likely misspelled, and its tools would stay as they were.
fn judge_tag(pattern: &str, tags: &BTreeSet<&str>, path: &Path) -> Option<Problem> {
    let tag = pattern
        .strip_prefix(TAG)
        .filter(|tag| !tags.contains(tag))?;
    let hint = suggest::nearest(tag, tags.iter().copied())
        .map(|known| format!("; did you mean \"{TAG}{known}\"?"))
        .unwrap_or_default();
    let message = format!("no tool of this server has this tag, so it makes nothing stale{hint}");
    let mut problem = Problem::new(Severity::Warning, path.as_str(), message);
    problem.found(format!("{:?}", excerpt(pattern)));
    Some(problem)
}
