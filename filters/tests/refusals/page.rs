//! `docs/ERRORS.md` says what the table says, row by row.

use std::fs;
use std::path::Path;

use crate::table::{Row, rows};

/// Cells of a row of the page: those of the table, where else it is counted, and what it means.
const CELLS: usize = 8;

/// What the page says of a refusal, as far as the table knows it.
fn cells(row: &Row) -> [String; 6] {
    let Row {
        status,
        always_200,
        legacy,
        modern,
        retry,
        label,
        message,
        ..
    } = row;
    let code = match legacy == modern {
        true => format!("{modern}"),
        false => format!("{legacy} / {modern}"),
    };
    let retry = match retry {
        None => "–".to_owned(),
        Some(1) => "1".to_owned(),
        Some(_) => "as said".to_owned(),
    };
    [
        format!("`{label}`"),
        format!("{status}"),
        format!("{always_200}"),
        code,
        retry,
        (*message).to_owned(),
    ]
}

/// The rows of the page's tables of refusals.
fn page() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ERRORS.md");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let inner = line.trim_matches('|').split(" | ");
            inner.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

#[test]
fn the_page_has_the_rows_of_the_table_in_its_order() {
    let (page, table) = (page(), rows());
    for (said, row) in page.iter().zip(&table) {
        assert_eq!(said.len(), CELLS, "{said:?}");
        let (of_table, own) = said.split_at(6);
        assert_eq!(of_table, cells(row), "{}", row.label);
        for cell in own {
            assert!(!cell.is_empty(), "{}: an empty cell", row.label);
        }
    }
    assert_eq!(page.len(), table.len(), "rows of the page and of the table");
}

/// What the page tells an operator to look at is there, or was renamed.
#[test]
fn the_settings_that_the_page_names_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let settings = fs::read_to_string(folder.join("CONFIGURATION.md")).unwrap();
    for cells in page() {
        for name in cells.last().unwrap().split('`').skip(1).step_by(2) {
            let is_setting = name.contains('.') && !name.contains(['/', ':']);
            let is_there = settings.contains(&format!("| `{name}`"))
                || settings.contains(&format!("## `{name}`"));
            assert!(!is_setting || is_there, "{name} is no setting");
        }
    }
}
