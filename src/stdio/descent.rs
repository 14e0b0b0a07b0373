//! Who descends from a process, as `/proc` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;

use rustix::process::Pid;

/// Every living descendant of `root`, however deep. What is born meanwhile may be missing: ask
/// again.
pub(super) fn descendants(root: Pid) -> Vec<Pid> {
    let tree = if Path::new("/proc/self/task").exists() && children_are_listed() {
        None
    } else {
        Some(parents())
    };
    let mut seen = BTreeSet::new();
    let mut todo = vec![root.as_raw_pid()];
    while let Some(parent) = todo.pop() {
        let children = match &tree {
            Some(tree) => tree.get(&parent).cloned().unwrap_or_default(),
            None => children(parent),
        };
        todo.extend(children.into_iter().filter(|child| seen.insert(*child)));
    }
    seen.into_iter().filter_map(Pid::from_raw).collect()
}

/// Whether the kernel lists children (`CONFIG_PROC_CHILDREN`), which is far cheaper to ask.
fn children_are_listed() -> bool {
    let own = std::process::id();
    Path::new(&format!("/proc/{own}/task/{own}/children")).exists()
}

/// The children of every thread of `parent`; none where it is gone.
fn children(parent: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| numbers(&list))
        .collect()
}

fn numbers(list: &str) -> Vec<i32> {
    list.split_ascii_whitespace()
        .filter_map(|pid| i32::from_str(pid).ok())
        .collect()
}

/// Every process's children, from every process's parent.
fn parents() -> BTreeMap<i32, Vec<i32>> {
    let mut tree: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if let Some(parent) = parent_in(&stat) {
            tree.entry(parent).or_default().push(pid);
        }
    }
    tree
}

/// The parent's id in a `stat` line, whose second field, the name, may itself hold `)` and blanks.
fn parent_in(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_past_a_name_with_brackets() {
        assert_eq!(parent_in("7 (a) b) (c) S 42 7 7 0"), Some(42));
        assert_eq!(parent_in("garbage"), None);
    }

    #[test]
    fn both_ways_of_asking_agree_on_this_process() {
        let own = std::process::id();
        let parent = fs::read_to_string(format!("/proc/{own}/stat")).unwrap();
        let parent = parent_in(&parent).unwrap();
        let own = i32::try_from(own).unwrap();
        assert!(parents().get(&parent).unwrap().contains(&own));
        if children_are_listed() {
            assert!(children(parent).contains(&own));
        }
    }
}
