//! Files of guardrail rules that a configuration includes.

use std::fs;
use std::path::Path;

use conduit::config::load;
use conduit::config::source::Source;
use tempfile::TempDir;

use super::findings_of;

const PACK: &str = "rules: [{name: packed, action: block}]\n";

/// A configuration in `conf/` that includes this file, beside the file `packs/good.yaml` and, outside of
/// its folder, `outside.yaml`.
fn source(folder: &Path, include: &str) -> Source {
    let conf = folder.join("conf");
    fs::create_dir_all(conf.join("packs")).unwrap();
    fs::write(conf.join("packs/good.yaml"), PACK).unwrap();
    fs::write(folder.join("outside.yaml"), PACK).unwrap();
    let text = format!("guardrails: {{enabled: true, include: ['{include}']}}\n");
    Source {
        path: conf.join("conduit.yaml"),
        ..Source::from_text(&text)
    }
}

/// The names of the rules in force.
fn rules(source: &Source) -> Vec<String> {
    let loaded = load(source).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let rules = loaded.config.guardrails.rules.iter();
    rules.map(|rule| rule.spec.name.clone()).collect()
}

#[test]
fn a_file_is_found_from_the_configuration_and_not_from_where_the_program_runs() {
    let folder = TempDir::new().unwrap();
    for include in [
        "packs/good.yaml",
        "./packs/good.yaml",
        "packs/../packs/good.yaml",
    ] {
        assert_eq!(rules(&source(folder.path(), include)), ["packed"]);
    }
}

#[test]
fn a_file_may_be_anywhere_that_its_author_names() {
    let folder = TempDir::new().unwrap();
    let absolute = folder.path().join("outside.yaml");
    for include in ["../outside.yaml", absolute.to_str().unwrap()] {
        assert_eq!(rules(&source(folder.path(), include)), ["packed"]);
    }
}

/// What is said of a configuration that includes this, in the words of the system but for their code.
fn said(include: &str, pack: Option<&str>) -> String {
    let folder = TempDir::new().unwrap();
    let source = source(folder.path(), include);
    if let Some(pack) = pack {
        fs::write(folder.path().join("conf").join(include), pack).unwrap();
    }
    findings_of(&source)
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let told = said("packs/none.yaml", None);
    let wanted =
        "guardrails.include[0]: cannot be read: packs/none.yaml: No such file or directory";
    assert!(told.starts_with(wanted), "{told}");
}

#[test]
fn a_folder_is_no_file_of_rules() {
    let told = said("packs", None);
    let wanted = "guardrails.include[0]: cannot be read: packs: ";
    assert!(told.starts_with(wanted), "{told}");
}

#[test]
fn a_file_includes_no_other() {
    let pack = "include: [good.yaml]\nrules: []\n";
    let told = said("packs/nested.yaml", Some(pack));
    assert!(told.contains("guardrails.include[0].include"), "{told}");
    assert!(told.contains("packs/nested.yaml, line 1"), "{told}");
    assert!(told.contains("unknown"), "{told}");
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    let pack = "rules:\n  - {name: a, action: explode}\n";
    let told = said("packs/bad.yaml", Some(pack));
    assert!(
        told.contains("guardrails.include[0].rules[0].action"),
        "{told}"
    );
    assert!(told.contains("packs/bad.yaml, line 2"), "{told}");
}
