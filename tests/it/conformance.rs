//! The official conformance suite judges the gateway as it judges the server behind it, check by check.

mod bridge;
mod client;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    gateway::Gateway,
    process::Process,
    sdk::{Sdk, Server},
};

/// Longer than any scenario needs, shorter than the suite's own 30 s.
const SCENARIO_TIMEOUT_MS: &str = "20000";

/// The verdicts of every check, by scenario and check id, in order; remarks (`INFO`) are no verdicts.
type Outcomes = BTreeMap<String, Checks>;
type Checks = BTreeMap<String, Vec<String>>;

/// How alike two sides must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// The same verdict on every check.
    Identical,
    /// No check fails that passes directly. Checks may be void: a server over stdio has no SSE streams of its own.
    NothingFails,
}

#[derive(Deserialize)]
struct Check {
    id: String,
    status: String,
}

/// Runs every scenario of a revision against `url`.
async fn run(revision: &str, url: &str) -> Outcomes {
    let options = [("--url", url), ("--requirements", revision)];
    suite("server", "server-", &options).await
}

/// Runs one half of the suite, which names its results `<prefix><scenario>-<timestamp>`.
async fn suite(half: &str, prefix: &str, options: &[(&str, &str)]) -> Outcomes {
    let sdk = Sdk::locate();
    let results = TempDir::new().unwrap();
    let entry = sdk.module("@modelcontextprotocol/conformance/dist/index.js");
    let bounds = [
        ("--timeout", SCENARIO_TIMEOUT_MS),
        ("--output-dir", results.path().to_str().unwrap()),
    ];
    let options = options.iter().chain(&bounds);
    let options = options.flat_map(|(name, value)| [name.as_ref(), value.as_ref()]);
    let arguments = [entry.as_os_str(), half.as_ref()]
        .into_iter()
        .chain(options);
    let process = Process::spawn(sdk.node(), arguments, &[]);
    // Its exit code says whether all checks passed; which of them did is what counts here.
    process.finish().await;
    let outcomes = read(results.path(), prefix);
    assert!(!outcomes.is_empty(), "no results:\n{}", process.output());
    outcomes
}

/// Reads `<prefix><scenario>-<timestamp>/checks.json` of every scenario.
fn read(results: &Path, prefix: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for entry in fs::read_dir(results).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        // The timestamp is `2026-11-23T09-11-48-343Z`.
        let scenario = name[prefix.len()..name.len() - 25].to_owned();
        let checks = fs::read(folder.join("checks.json")).unwrap();
        let checks: Vec<Check> = serde_json::from_slice(&checks).unwrap();
        let by_id = outcomes.entry(scenario).or_default();
        for check in checks.into_iter().filter(|check| check.status != "INFO") {
            by_id.entry(check.id).or_default().push(check.status);
        }
    }
    outcomes
}

fn passed(verdicts: &[String]) -> bool {
    verdicts.iter().all(|verdict| verdict != "FAILURE")
}

fn all_passed(checks: &Checks) -> bool {
    checks.values().all(|verdicts| passed(verdicts))
}

impl Likeness {
    fn holds(self, direct: Option<&Vec<String>>, through: Option<&Vec<String>>) -> bool {
        match self {
            Self::Identical => direct == through,
            Self::NothingFails => through.is_none_or(|verdicts| passed(verdicts)),
        }
    }
}

/// The checks, as `scenario:check`, whose verdicts are not alike.
fn differences(direct: &Outcomes, through: &Outcomes, likeness: Likeness) -> Vec<String> {
    let mut different = Vec::new();
    for (scenario, wanted) in direct {
        let seen = &through[scenario];
        let ids: BTreeSet<&String> = wanted.keys().chain(seen.keys()).collect();
        let unlike = ids
            .into_iter()
            .filter(|id| !likeness.holds(wanted.get(*id), seen.get(*id)));
        different.extend(unlike.map(|id| format!("{scenario}:{id}")));
    }
    different
}

/// Prints both sides scenario by scenario, and fails where they are not alike.
fn compare(title: &str, direct: &Outcomes, through: &Outcomes, likeness: Likeness) {
    let mut table = format!("conformance {title}: directly, and through the gateway\n");
    assert!(
        direct.keys().eq(through.keys()),
        "{title}: not the same scenarios"
    );
    for (scenario, wanted) in direct {
        let mark = |checks| if all_passed(checks) { "pass" } else { "FAIL" };
        let (before, after) = (mark(wanted), mark(&through[scenario]));
        writeln!(table, "  {before} {after} {scenario}").unwrap();
    }
    println!("{table}");
    let differences = differences(direct, through, likeness);
    assert!(differences.is_empty(), "{differences:?}\n{table}");
}

/// Both sides of one revision, over both transports. `scenarios` is how many the revision has, scored or not.
async fn same_through_the_gateway(revision: &str, scenarios: usize) {
    let binary = Sdk::reference_server();
    let server = Server::announced(Process::spawn(&binary, ["--port", "0"], &[])).await;
    let gateway = Gateway::start(json!([
        { "id": "http", "url": server.url },
        { "id": "stdio", "transport": "stdio", "command": binary, "args": ["--stdio"] },
    ]))
    .await;
    let direct = run(revision, &server.url).await;
    assert_eq!(direct.len(), scenarios, "{revision}: {:?}", direct.keys());
    let failing: Vec<_> = direct
        .iter()
        .filter(|(_, checks)| !all_passed(checks))
        .collect();
    assert!(
        failing.is_empty(),
        "the reference server itself fails {revision}: {failing:?}"
    );

    let http = run(revision, &gateway.url("http")).await;
    let title = format!("{revision} over HTTP");
    compare(&title, &direct, &http, Likeness::Identical);
    let stdio = run(revision, &gateway.url("stdio")).await;
    let title = format!("{revision} over stdio");
    compare(&title, &direct, &stdio, Likeness::NothingFails);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_2025_11_25_suite_sees_no_difference_through_the_gateway() {
    same_through_the_gateway("2025-11-25", 33).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_2026_07_28_suite_sees_no_difference_through_the_gateway() {
    same_through_the_gateway("2026-07-28", 50).await;
}
