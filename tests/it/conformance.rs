//! The official conformance suite judges the gateway as it judges the server behind it, check by check.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    gateway::Gateway,
    process::Process,
    sdk::{Sdk, Server},
};

/// Checks that may come out otherwise over stdio than over HTTP, and why. Empty is the goal.
const EXPECTED_OVER_STDIO: &[(&str, &str)] = &[];

/// Longer than any scenario needs, shorter than the suite's own 30 s.
const SCENARIO_TIMEOUT_MS: &str = "20000";

/// The outcome of every check, by scenario and check id; a check that ran more than once has its outcomes in order.
type Outcomes = BTreeMap<String, BTreeMap<String, Vec<String>>>;

#[derive(Deserialize)]
struct Check {
    id: String,
    status: String,
}

/// Runs every scenario of a revision against `url`.
async fn run(revision: &str, url: &str) -> Outcomes {
    let sdk = Sdk::locate();
    let results = TempDir::new().unwrap();
    let entry = sdk.module("@modelcontextprotocol/conformance/dist/index.js");
    let options = [
        ("--url", url.as_ref()),
        ("--requirements", revision.as_ref()),
        ("--timeout", SCENARIO_TIMEOUT_MS.as_ref()),
        ("--output-dir", results.path().as_os_str()),
    ];
    let options = options
        .iter()
        .flat_map(|(name, value)| [name.as_ref(), *value]);
    let arguments = [entry.as_os_str(), "server".as_ref()]
        .into_iter()
        .chain(options);
    let process = Process::spawn(sdk.node(), arguments, &[]);
    // Its exit code says whether the server conforms; what counts here is whether both sides do alike.
    process.finish().await;
    let outcomes = read(results.path());
    assert!(!outcomes.is_empty(), "no results:\n{}", process.output());
    outcomes
}

/// Reads `server-<scenario>-<timestamp>/checks.json` of every scenario.
fn read(results: &Path) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for entry in fs::read_dir(results).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        // The timestamp is `2026-11-23T09-11-48-343Z`.
        let scenario = name["server-".len()..name.len() - 25].to_owned();
        let checks = fs::read(folder.join("checks.json")).unwrap();
        let checks: Vec<Check> = serde_json::from_slice(&checks).unwrap();
        let by_id = outcomes.entry(scenario).or_default();
        for check in checks {
            by_id.entry(check.id).or_default().push(check.status);
        }
    }
    outcomes
}

fn passed(checks: &BTreeMap<String, Vec<String>>) -> bool {
    let mut all = checks.values().flatten();
    all.all(|status| status != "FAILURE")
}

/// Prints scenario by scenario, and fails where a check came out otherwise than directly.
fn compare(
    revision: &str,
    way: &str,
    direct: &Outcomes,
    through: &Outcomes,
    expected: &[(&str, &str)],
) {
    let mut table = format!("conformance {revision}, direct and through the gateway over {way}\n");
    let mut differences = Vec::new();
    let none = BTreeMap::new();
    for (scenario, wanted) in direct {
        let seen = through.get(scenario).unwrap_or(&none);
        let mark = |ok| if ok { "pass" } else { "FAIL" };
        let (before, after) = (mark(passed(wanted)), mark(passed(seen)));
        writeln!(table, "  {before} {after} {scenario}").unwrap();
        let changed = wanted
            .iter()
            .filter(|(id, outcome)| seen.get(*id) != Some(*outcome));
        for (id, outcome) in changed {
            let check = format!("{scenario}:{id}");
            if expected.iter().all(|(name, _)| *name != check) {
                differences.push(format!(
                    "{check}: {outcome:?} directly, {:?} through",
                    seen.get(id)
                ));
            }
        }
    }
    println!("{table}");
    assert_eq!(
        direct.len(),
        through.len(),
        "{table}\nnot the same scenarios"
    );
    assert!(
        differences.is_empty(),
        "{table}\n{}",
        differences.join("\n")
    );
}

/// How many scenarios of a revision are scored; all of them must pass directly, or the fixture is at fault.
fn assert_fixture_conforms(revision: &str, direct: &Outcomes, unscored_failures: &[&str]) {
    let failing: Vec<&String> = direct
        .iter()
        .filter(|(name, checks)| !passed(checks) && !unscored_failures.contains(&name.as_str()))
        .map(|(name, _)| name)
        .collect();
    assert!(
        failing.is_empty(),
        "the reference server fails {revision}: {failing:?}"
    );
}

async fn same_through_the_gateway(revision: &str, unscored_failures: &[&str]) {
    let binary = Sdk::reference_server();
    let server = Server::announced(Process::spawn(&binary, ["--port", "0"], &[])).await;
    let gateway = Gateway::start(json!([
        { "id": "http", "url": server.url },
        { "id": "stdio", "transport": "stdio", "command": binary, "args": ["--stdio"] },
    ]))
    .await;
    let direct = run(revision, &server.url).await;
    assert_fixture_conforms(revision, &direct, unscored_failures);
    let over_http = run(revision, &gateway.url("http")).await;
    compare(revision, "HTTP", &direct, &over_http, &[]);
    let over_stdio = run(revision, &gateway.url("stdio")).await;
    compare(revision, "stdio", &direct, &over_stdio, EXPECTED_OVER_STDIO);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_2025_11_25_suite_sees_no_difference_through_the_gateway() {
    same_through_the_gateway("2025-11-25", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_2026_07_28_suite_sees_no_difference_through_the_gateway() {
    same_through_the_gateway("2026-07-28", &[]).await;
}
