//! `docs/ERRORS.md`, as far as it is held against what happens.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{ELSEWHERE, callers, limits, message, policy, servers, targets, transport};

/// How a refusal is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) label: String,
    pub(super) status: u16,
    pub(super) always_200: u16,
    pub(super) legacy: i64,
    pub(super) modern: i64,
}

/// A row of the page.
pub(super) struct Entry {
    pub(super) told: Told,
    pub(super) retries: bool,
    /// Where it is counted, too.
    pub(super) also: String,
}

/// Its rows.
pub(super) fn entries() -> Vec<Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ERRORS.md");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines.map(entry).collect()
}

fn entry(line: &str) -> Entry {
    let cells: Vec<&str> = line.split(" | ").collect();
    let code = cells[3];
    let (legacy, modern) = code.split_once(" / ").unwrap_or((code, code));
    Entry {
        told: Told {
            label: cells[0].trim_matches(['|', ' ', '`']).to_owned(),
            status: cells[1].parse().unwrap(),
            always_200: cells[2].parse().unwrap(),
            legacy: legacy.parse().unwrap(),
            modern: modern.parse().unwrap(),
        },
        retries: cells[4] != "–",
        also: cells[6].to_owned(),
    }
}

#[test]
fn every_row_of_the_page_is_caused_here_or_somewhere_else() {
    let caused = [
        transport::CAUSED,
        message::CAUSED,
        callers::CAUSED,
        policy::CAUSED,
        limits::CAUSED,
        targets::CAUSED,
        servers::CAUSED,
    ];
    let here: BTreeSet<&str> = caused.into_iter().flatten().copied().collect();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(label, _)| *label).collect();
    let both: Vec<_> = here.intersection(&elsewhere).collect();
    assert!(both.is_empty(), "{both:?}");
    let entries = entries();
    let page: BTreeSet<&str> = entries.iter().map(|one| one.told.label.as_str()).collect();
    let known: BTreeSet<&str> = here.union(&elsewhere).copied().collect();
    assert_eq!(page, known);
}
