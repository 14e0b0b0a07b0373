//! The suite of one era in front of a server that speaks the other one only: what it sees is the bridge.

use serde_json::json;

use super::{Outcomes, passed, run};
use crate::support::{
    gateway::Gateway,
    process::Process,
    sdk::{Sdk, Server},
};

/// What the 2026-07-28 suite finds wrong with a 2025-11-25 server, as `scenario` or `scenario:check`, and why no
/// gateway could make it right. One that passes is to be struck off.
const EXPECTED_AT_LEGACY: &[(&str, &str)] = &[
    (
        "input-required-result-basic-elicitation:sep-2322-elicitation-incomplete",
        "wants the key `user_name`; what a legacy server asks is a request of its own, which has an id and no key",
    ),
    ("tasks-capability-negotiation", NO_TASKS),
    ("tasks-dispatch-and-envelope", NO_TASKS),
    ("tasks-lifecycle", NO_TASKS),
    ("tasks-mrtr-composition", NO_TASKS),
    ("tasks-mrtr-input", NO_TASKS),
    ("tasks-request-headers", NO_TASKS),
    ("tasks-request-state-removal", NO_TASKS),
    ("tasks-required-task-error", NO_TASKS),
    ("tasks-wire-fields", NO_TASKS),
];

/// Not scored.
const NO_TASKS: &str = "an extension of 2026-07-28 that needs `extensions` in the capabilities and `resultType: task` \
    in results, neither of which 2025-11-25 has";

/// The checks that failed, as `scenario:check`.
fn failures(outcomes: &Outcomes) -> Vec<String> {
    let mut failed = Vec::new();
    for (scenario, checks) in outcomes {
        let ids = checks
            .iter()
            .filter(|(_, verdicts)| !passed(verdicts))
            .map(|(id, _)| format!("{scenario}:{id}"));
        failed.extend(ids);
    }
    failed
}

/// Fails unless exactly what is expected fails.
fn assert_fails_as_expected(title: &str, outcomes: &Outcomes, expected: &[(&str, &str)]) {
    let failed = failures(outcomes);
    let is_of = |failure: &str, entry: &str| {
        let rest = failure.strip_prefix(entry);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let unexpected: Vec<_> = failed
        .iter()
        .filter(|failure| !expected.iter().any(|(entry, _)| is_of(failure, entry)))
        .collect();
    let passing: Vec<_> = expected
        .iter()
        .filter(|(entry, _)| !failed.iter().any(|failure| is_of(failure, entry)))
        .collect();
    assert!(
        unexpected.is_empty() && passing.is_empty(),
        "{title}: fails unexpectedly: {unexpected:#?}; passes unexpectedly: {passing:#?}"
    );
    println!("{title}: {} scenarios, as expected", outcomes.len());
}

/// The suite of `revision` in front of a server of `era` only, over both transports.
async fn bridged(revision: &str, era: &str, scenarios: usize, expected: &[(&str, &str)]) {
    let binary = Sdk::reference_server();
    let arguments = ["--era", era, "--port", "0"];
    let server = Server::announced(Process::spawn(&binary, arguments, &[])).await;
    let gateway = Gateway::start(json!([
        { "id": "http", "url": server.url },
        { "id": "stdio", "transport": "stdio", "command": binary, "args": ["--stdio", "--era", era] },
    ]))
    .await;
    for transport in ["http", "stdio"] {
        let outcomes = run(revision, &gateway.url(transport)).await;
        let title = format!("{revision} in front of a {era}-only server over {transport}");
        assert_eq!(outcomes.len(), scenarios, "{title}: {:?}", outcomes.keys());
        assert_fails_as_expected(&title, &outcomes, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_2025_11_25_suite_passes_in_front_of_a_modern_only_server() {
    bridged("2025-11-25", "modern", 33, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_2026_07_28_suite_fails_in_front_of_a_legacy_only_server_only_where_the_protocol_makes_it()
 {
    bridged("2026-07-28", "legacy", 50, EXPECTED_AT_LEGACY).await;
}
