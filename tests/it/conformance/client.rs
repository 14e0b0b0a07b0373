//! The client half of the suite: its mock servers judge what the gateway sends upstream.
//!
//! `tests/sdk/conformance-client.mjs` is the client that the suite starts; it puts a gateway in between.

use futures_util::stream::{self, StreamExt};

use super::{Outcomes, suite};
use crate::support::sdk::Sdk;

/// How many scenarios run at once: each is three processes, mostly starting up.
const AT_ONCE: usize = 2;

/// One scenario, and how it is played: by which client, through which endpoint.
type Play = (&'static str, Client, Endpoint);

#[derive(Clone, Copy, Debug)]
enum Client {
    Legacy,
    Modern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// `/mcp/{server}`
    Single,
    /// `/mcp/{server}` of a server that is configured as modern: there is no handshake to find out its era,
    /// which, being of the other era, has no metadata.
    SingleKnown,
    /// `/mcp`
    Aggregated,
}

use Client::{Legacy, Modern};
use Endpoint::{Aggregated, Single, SingleKnown};

const PLAYS: &[Play] = &[
    // Headers and metadata: made by the gateway for legacy clients, remade for modern ones where names differ.
    ("http-standard-headers", Legacy, Single),
    ("http-standard-headers", Legacy, Aggregated),
    ("http-standard-headers", Modern, Aggregated),
    ("http-custom-headers", Legacy, Single),
    ("http-custom-headers", Legacy, Aggregated),
    ("http-custom-headers", Modern, Aggregated),
    ("http-invalid-tool-headers", Legacy, Single),
    ("http-invalid-tool-headers", Legacy, Aggregated),
    ("request-metadata", Legacy, SingleKnown),
    ("request-metadata", Legacy, Aggregated),
    ("request-metadata", Modern, Aggregated),
    ("sep-2322-client-request-state", Legacy, Single),
    ("sep-2322-client-request-state", Modern, Aggregated),
    // Sessions of the gateway's own with legacy servers.
    ("initialize", Modern, Single),
    ("tools_call", Modern, Aggregated),
    ("sse-retry", Modern, Single),
    ("elicitation-sep1034-client-defaults", Legacy, Aggregated),
    ("elicitation-sep1034-client-defaults", Modern, Aggregated),
    // Schemas, which the gateway reads.
    ("json-schema-2020-12-preservation", Legacy, Aggregated),
    ("json-schema-2020-12-preservation", Modern, Aggregated),
    ("json-schema-ref-no-deref", Legacy, Aggregated),
];

async fn play((scenario, client, endpoint): Play) -> Vec<String> {
    let sdk = Sdk::locate();
    let client_flag = match client {
        Legacy => "legacy",
        Modern => "modern",
    };
    let (path, era) = match endpoint {
        Single => ("single", "auto"),
        SingleKnown => ("single", "modern"),
        Aggregated => ("aggregated", "auto"),
    };
    let command = format!(
        "{} {} {} {client_flag} {path} {era}",
        sdk.node().display(),
        sdk.program("conformance-client.mjs").display(),
        env!("CARGO_BIN_EXE_conduit"),
    );
    let options = [("--scenario", scenario), ("--command", &command)];
    let outcomes = suite("client", "", &options).await;
    let title = format!("{scenario}, {client:?} client, {endpoint:?}");
    println!("{title}: {outcomes:?}");
    objections(&title, &outcomes)
}

/// What the suite has against it, warnings included; it must have seen something that it likes.
fn objections(title: &str, outcomes: &Outcomes) -> Vec<String> {
    let checks = outcomes.values().flatten();
    let mut objections = Vec::new();
    let mut n_liked = 0;
    for (id, verdicts) in checks {
        for verdict in verdicts {
            match verdict.as_str() {
                "SUCCESS" => n_liked += 1,
                "SKIPPED" => {}
                other => objections.push(format!("{title}: {other} {id}")),
            }
        }
    }
    if n_liked == 0 {
        objections.push(format!("{title}: saw nothing"));
    }
    objections
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_sends_upstream_is_what_the_suite_wants_of_a_client() {
    let objections: Vec<String> = stream::iter(PLAYS.iter().copied().map(play))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await
        .concat();
    assert!(objections.is_empty(), "{objections:#?}");
}
