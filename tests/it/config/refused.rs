//! Every rule of the configuration has a text that breaks it, with the exact findings.
//!
//! Each file in `refused/` is a list of cases: a configuration, a line `~~~`, what is said about
//! it, a line `===`. `UPDATE_EXPECT=1 cargo test` rewrites what is said.

use expect_test::{ExpectFile, expect_file};

use super::findings;

const SAID: &str = "\n~~~\n";
const NEXT: &str = "===\n";

/// Loads the text of every case and compares what is said about it.
fn check(file: &ExpectFile) {
    let mut said = String::new();
    for case in file.data().split_terminator(NEXT) {
        let (text, _) = case.split_once(SAID).unwrap();
        said += &format!("{text}{SAID}{}{NEXT}", findings(text));
    }
    assert!(!said.is_empty());
    file.assert_eq(&said);
}

#[test]
fn the_file_as_a_whole() {
    check(&expect_file!["refused/the_file_as_a_whole.txt"]);
}

#[test]
fn unknown_keys_at_any_depth() {
    check(&expect_file!["refused/unknown_keys_at_any_depth.txt"]);
}

#[test]
fn wrong_types() {
    check(&expect_file!["refused/wrong_types.txt"]);
}

#[test]
fn gateway() {
    check(&expect_file!["refused/gateway.txt"]);
}

#[test]
fn an_open_admin_api_on_a_public_address() {
    check(&expect_file![
        "refused/an_open_admin_api_on_a_public_address.txt"
    ]);
}

#[test]
fn tool_lock() {
    check(&expect_file!["refused/tool_lock.txt"]);
}

#[test]
fn metrics() {
    check(&expect_file!["refused/metrics.txt"]);
}

#[test]
fn router() {
    check(&expect_file!["refused/router.txt"]);
}

#[test]
fn sessions() {
    check(&expect_file!["refused/sessions.txt"]);
}

#[test]
fn servers_in_general() {
    check(&expect_file!["refused/servers_in_general.txt"]);
}

#[test]
fn http_servers() {
    check(&expect_file!["refused/http_servers.txt"]);
}

#[test]
fn stdio_servers() {
    check(&expect_file!["refused/stdio_servers.txt"]);
}

#[test]
fn upstream_auth() {
    check(&expect_file!["refused/upstream_auth.txt"]);
}

#[test]
fn cache() {
    check(&expect_file!["refused/cache.txt"]);
}

#[test]
fn access() {
    check(&expect_file!["refused/access.txt"]);
}

#[test]
fn rate_limits() {
    check(&expect_file!["refused/rate_limits.txt"]);
}

#[test]
fn guardrails() {
    check(&expect_file!["refused/guardrails.txt"]);
}

#[test]
fn observability() {
    check(&expect_file!["refused/observability.txt"]);
}

#[test]
fn connect_and_identity() {
    check(&expect_file!["refused/connect_and_identity.txt"]);
}

#[test]
fn governance() {
    check(&expect_file!["refused/governance.txt"]);
}

#[test]
fn plugins_and_discovery() {
    check(&expect_file!["refused/plugins_and_discovery.txt"]);
}

#[test]
fn ten_problems_of_all_stages_are_all_told_in_reading_order() {
    check(&expect_file!["refused/ten_problems.txt"]);
}

#[test]
fn what_only_follows_from_a_refused_value_is_not_told() {
    check(&expect_file!["refused/what_only_follows.txt"]);
}

#[test]
fn a_long_value_is_shown_shortened_and_a_secret_one_not_at_all() {
    check(&expect_file!["refused/what_is_shown.txt"]);
}
