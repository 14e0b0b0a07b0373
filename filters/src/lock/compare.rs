//! What is approved beside what was seen, tool by tool, for whoever looks after the lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::json::object;
use crate::lock::Verdict;
use crate::lock::book::Tools;
use crate::lock::definition::{Definition, Digest, Unclear};

/// How a tool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is what was approved.
    Approved,
    /// It is another than was approved.
    Changed,
    /// Nobody approved it.
    Added,
    /// It can be read in several ways.
    Unclear,
    /// It was approved, and its server has it no more.
    Removed,
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row<'a> {
    /// Its name.
    pub tool: &'a str,
    /// How it stands.
    pub standing: Standing,
    /// The digests that were approved, last first.
    pub approved: Vec<Digest>,
    /// The definitions that were seen and not approved.
    #[serde(skip)]
    pub seen: Vec<&'a Definition>,
    /// The tool that was removed and that it is but for its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<&'a str>,
}

/// What was seen of a server besides what was approved.
#[derive(Clone, Debug, Default)]
pub struct Sightings<'a> {
    /// Tools with definitions that were not approved.
    pub seen: BTreeMap<&'a str, Vec<Result<&'a Definition, Unclear>>>,
    /// The names of all its tools; nothing where its list was not read.
    pub listed: Option<BTreeSet<&'a str>>,
}

/// How each tool of a server stands, in the order of their names.
#[must_use]
pub fn compare<'a>(tools: Option<&'a Tools>, sightings: &Sightings<'a>) -> Vec<Row<'a>> {
    let known = tools.into_iter().flat_map(Tools::names);
    let names: BTreeSet<&str> = known.chain(sightings.seen.keys().copied()).collect();
    let rows = names.into_iter().map(|name| row(tools, sightings, name));
    let mut rows: Vec<Row<'a>> = rows.collect();
    name_renamed(tools, &mut rows);
    rows
}

fn row<'a>(tools: Option<&'a Tools>, sightings: &Sightings<'a>, tool: &'a str) -> Row<'a> {
    let known = tools.into_iter().flat_map(|tools| tools.approved(tool));
    let approved: Vec<Digest> = known.map(|one| one.digest).collect();
    let all = sightings.seen.get(tool).map_or(&[][..], Vec::as_slice);
    let is_listed = |listed: &BTreeSet<&str>| listed.contains(tool);
    let standing = if all.iter().any(Result::is_err) {
        Standing::Unclear
    } else if approved.is_empty() {
        Standing::Added
    } else if !sightings.listed.as_ref().is_none_or(is_listed) {
        Standing::Removed
    } else if all.is_empty() {
        Standing::Approved
    } else {
        Standing::Changed
    };
    Row {
        tool,
        standing,
        approved,
        seen: all.iter().copied().filter_map(Result::ok).collect(),
        renamed_from: None,
    }
}

/// Notes which added tools are removed ones under other names.
fn name_renamed<'a>(tools: Option<&'a Tools>, rows: &mut [Row<'a>]) {
    let Some(tools) = tools else { return };
    let removed = rows.iter().filter(|row| row.standing == Standing::Removed);
    let mut removed: Vec<&str> = removed.map(|row| row.tool).collect();
    for row in rows
        .iter_mut()
        .filter(|row| row.standing == Standing::Added)
    {
        let is_it = |old: &&str| {
            let mut approved = tools.approved(old);
            approved.any(|old| row.seen.iter().any(|new| new.is_renamed(&old.text)))
        };
        if let Some(at) = removed.iter().position(is_it) {
            row.renamed_from = Some(removed.swap_remove(at));
        }
    }
}

/// The digest of everything that approving a server as a whole would change: who approves says by it
/// what was looked at.
#[must_use]
pub fn digest(rows: &[Row<'_>]) -> Digest {
    let mut text = String::new();
    for row in rows {
        let label = match row.standing {
            Standing::Approved => continue,
            Standing::Changed => Verdict::Changed.label(),
            Standing::Added => Verdict::Added.label(),
            Standing::Unclear => Verdict::Unclear.label(),
            Standing::Removed => "removed",
        };
        text.push_str(&format!("{label} {}\n", object::quoted(row.tool)));
        for seen in &row.seen {
            text.push_str(&format!("{}\n", seen.digest));
        }
    }
    Digest::of(&[text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::book::Before;

    fn defined(name: &str, text: &str) -> Definition {
        Definition::read(&format!(r#"{{"name":"{name}","description":"{text}"}}"#)).unwrap()
    }

    fn approved(all: &[&Definition]) -> Tools {
        let mut tools = Tools::default();
        for one in all {
            tools.approve(one, "now", Before::Replaced).unwrap();
        }
        tools
    }

    fn told(tools: Option<&Tools>, seen: &[&Definition], listed: Option<&[&str]>) -> Vec<String> {
        let mut sightings = Sightings::default();
        for one in seen {
            let of_name = sightings.seen.entry(one.name.as_str()).or_default();
            of_name.push(Ok(*one));
        }
        let listed = listed.map(|names| names.iter().map(|name| name.to_string()).collect());
        let listed: Option<Vec<String>> = listed;
        sightings.listed = listed
            .as_ref()
            .map(|names| names.iter().map(String::as_str).collect());
        let rows = compare(tools, &sightings);
        let rows = rows.iter().map(|row| {
            let from = row.renamed_from.map(|from| format!(" from {from}"));
            format!(
                "{} {:?}{}",
                row.tool,
                row.standing,
                from.unwrap_or_default()
            )
        });
        rows.collect()
    }

    #[test]
    fn each_tool_stands_as_it_was_seen() {
        let (a, b, c) = (defined("a", "1"), defined("b", "1"), defined("c", "1"));
        let tools = approved(&[&a, &b, &c]);
        let (other, new) = (defined("b", "2"), defined("d", "4"));
        assert_eq!(
            told(Some(&tools), &[&other, &new], Some(&["a", "b", "d"])),
            ["a Approved", "b Changed", "c Removed", "d Added"]
        );
    }

    #[test]
    fn a_tool_under_another_name_is_said_to_be_renamed() {
        let old = defined("old", "the same");
        let tools = approved(&[&old]);
        let new = defined("new", "the same");
        let expected = ["new Added from old", "old Removed"];
        assert_eq!(told(Some(&tools), &[&new], Some(&["new"])), expected);
        let other = defined("new", "another");
        assert_eq!(
            told(Some(&tools), &[&other], Some(&["new"]))[0],
            "new Added"
        );
    }

    #[test]
    fn nothing_is_missing_from_a_list_that_was_not_read() {
        let tools = approved(&[&defined("a", "1")]);
        assert_eq!(told(Some(&tools), &[], None), ["a Approved"]);
        assert_eq!(told(None, &[], Some(&[])), [""; 0]);
    }

    #[test]
    fn the_digest_of_what_is_pending_changes_with_it() {
        let tools = approved(&[&defined("a", "1")]);
        let (first, second) = (defined("a", "2"), defined("a", "3"));
        let of = |one| {
            let mut sightings = Sightings::default();
            sightings.seen.insert("a", vec![Ok(one)]);
            digest(&compare(Some(&tools), &sightings))
        };
        assert_ne!(of(&first), of(&second));
        assert_eq!(of(&first), of(&first));
    }
}
