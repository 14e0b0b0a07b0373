//! The benchmark itself: that it measures what it is asked to, and leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail loudly, and this one runs a whole program"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conduit-bench"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    bench(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not in 30 s: {what}");
        std::thread::yield_now();
    }
}

fn children(of: &Child) -> Vec<String> {
    let pid = of.id();
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .map(|list| list.split_ascii_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// A process that has ended but was not waited for still has a folder; it no longer runs anything.
fn runs(pid: &str) -> bool {
    fs::read_link(Path::new("/proc").join(pid).join("exe")).is_ok()
}

#[test]
fn every_row_asked_for_gets_a_figure_from_every_round() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = run(&[
        "--only=direct/,bare/",
        "--seconds=0.1",
        "--rounds=2",
        "--connections=1,3",
        "--json",
        json.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let figures: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let rows = figures["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * 4 * 2, "{rows:#?}");
    for row in rows {
        let rounds = row["rounds"].as_array().unwrap();
        assert_eq!(rounds.len(), 2, "{row:#}");
        assert!(
            rounds
                .iter()
                .all(|round| round["calls"].as_u64() >= Some(1)),
            "{row:#}"
        );
    }
}

#[test]
fn nginx_takes_the_configuration_where_it_is_installed() {
    let output = run(&[
        "--only=nginx/",
        "--seconds=0.1",
        "--rounds=1",
        "--connections=2",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    let n_rows = table
        .lines()
        .filter(|line| line.contains(" nginx "))
        .count();
    let is_missing = stderr(&output).contains("nginx is not installed");
    let n_expected = if is_missing { 0 } else { 4 };
    assert_eq!(n_rows, n_expected, "{table}{}", stderr(&output));
}

#[test]
fn a_bench_that_is_killed_takes_its_servers_with_it() {
    let mut killed = bench(&["--only=bare/json-200", "--seconds=60"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("stub and proxy run", || children(&killed).len() == 2);
    let servers = children(&killed);
    killed.kill().unwrap();
    killed.wait().unwrap();
    until("both have ended", || !servers.iter().any(|pid| runs(pid)));
}

#[test]
fn a_gateway_that_is_not_there_is_named() {
    let output = run(&["--gateway=/nowhere/conduit", "--only=conduit/json-200"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nowhere/conduit"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn redis_does_not_fail_before_a_gateway_that_is_not_there() {
    let output = run(&["redis-faults", "--gateway=/nowhere/conduit"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    let is_named = ["/nowhere/conduit", "redis-server is not installed"];
    assert!(is_named.iter().any(|text| said.contains(text)), "{said}");
}

#[test]
fn a_gateway_that_does_not_start_is_reported_with_its_last_words() {
    let output = run(&["--gateway=/bin/cat", "--only=conduit/json-200"]);
    assert_eq!(output.status.code(), Some(1));
    // `cat run --config …` does not know the option.
    assert!(
        stderr(&output).contains("unrecognized option"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_name_that_fits_no_row_is_refused() {
    let output = run(&["--only=conduit/xml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("conduit/xml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_stdio_stub_answers_each_request_and_no_notification() {
    let mut stub = bench(&["stub-stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = [
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"bench_json_200"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"no/such"}"#,
    ];
    stub.stdin
        .take()
        .unwrap()
        .write_all(format!("{}\n", lines.join("\n")).as_bytes())
        .unwrap();
    let output = stub.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 3, "{answers:#?}");
    assert_eq!(answers[0]["id"], "a");
    assert!(answers[1]["result"]["tools"].is_array());
    assert_eq!(answers[2]["error"]["code"], -32601);
}
