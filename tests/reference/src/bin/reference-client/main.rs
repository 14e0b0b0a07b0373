//! A client on the official Rust SDK (`rmcp`) for the compatibility matrix.
//!
//! Usage and output are those of `tests/sdk/matrix/features.mjs`: `reference-client MODE
//! [TARGET…]`, where the modes are `2026-07-28` and `legacy`, targets may be lines on stdin, and
//! there is a line of JSON for each target and feature.
//!
//! **Invariant:** nothing waits without a deadline, and nothing sleeps.
#![expect(
    deprecated,
    reason = "the legacy era is deprecated as a whole, and testing it is the point"
)]

mod changes;
mod features;
mod host;
mod peer;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use rmcp::{model::ProtocolVersion, service::ClientLifecycleMode};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::timeout};

use crate::{
    features::{FEATURES, Seen},
    peer::Peer,
};

const FEATURE_DEADLINE: Duration = Duration::from_secs(12);
const CONNECT_DEADLINE: Duration = Duration::from_secs(15);
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// How many features may hang before the rest of a target is given up.
const HANGS_MAX: usize = 3;

/// Runs every feature of the matrix against each target.
#[derive(Parser)]
struct Arguments {
    mode: Mode,
    /// `URL`, or `URL#SERVER` for the aggregated endpoint. Without any: lines on stdin.
    targets: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    #[value(name = "2026-07-28")]
    Modern,
    Legacy,
}

impl Mode {
    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::Modern => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            Self::Legacy => ClientLifecycleMode::Initialize,
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let runtime = Runtime::new()?;
    let targets: Box<dyn Iterator<Item = io::Result<String>>> = if arguments.targets.is_empty() {
        Box::new(io::stdin().lines())
    } else {
        Box::new(arguments.targets.into_iter().map(Ok))
    };
    let mut all_passed = true;
    for target in targets {
        let target = target?;
        for (feature, verdict) in runtime.block_on(run(arguments.mode, &target)) {
            all_passed &= verdict.get("ok") == Some(&Value::Bool(true));
            let mut line = json!({ "target": target, "feature": feature });
            if let (Some(line), Value::Object(verdict)) = (line.as_object_mut(), verdict) {
                line.extend(verdict);
            }
            writeln!(io::stdout(), "{line}")?;
        }
        writeln!(
            io::stdout(),
            "{}",
            json!({ "target": target, "done": true })
        )?;
    }
    Ok(if all_passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The verdict on each feature of one target, with `connect` first.
async fn run(mode: Mode, target: &str) -> Vec<(&'static str, Value)> {
    let (url, server) = match target.split_once('#') {
        Some((url, server)) => (url, Some(server)),
        None => (target, None),
    };
    let connecting = timeout(
        CONNECT_DEADLINE,
        Peer::connect(url, server, mode.lifecycle()),
    );
    let peer = match connecting.await {
        Ok(Ok(peer)) => peer,
        Ok(Err(error)) => return unconnected(&error.to_string()),
        Err(_) => return unconnected("not connected in time"),
    };
    let mut verdicts = vec![(
        "connect",
        json!({ "ok": true, "detail": { "version": peer.version() } }),
    )];
    let mut hangs = 0;
    for feature in FEATURES {
        if hangs == HANGS_MAX {
            verdicts.push((feature, failure("not run: too many others hung")));
            continue;
        }
        let Ok(seen) = timeout(FEATURE_DEADLINE, features::run(&peer, feature)).await else {
            hangs += 1;
            verdicts.push((
                feature,
                failure(&format!("not within {FEATURE_DEADLINE:?}")),
            ));
            continue;
        };
        let verdict = match seen {
            Ok(Seen::Detail(detail)) => json!({ "ok": true, "detail": detail }),
            Ok(Seen::Skipped(why)) => json!({ "ok": true, "skipped": why }),
            Err(error) => failure(&error.to_string()),
        };
        verdicts.push((feature, verdict));
    }
    // A server that does not take its leave has been judged already.
    timeout(CLOSE_DEADLINE, peer.close()).await.ok();
    verdicts
}

fn unconnected(why: &str) -> Vec<(&'static str, Value)> {
    let others = FEATURES.map(|feature| (feature, failure("not connected")));
    [("connect", failure(why))]
        .into_iter()
        .chain(others)
        .collect()
}

fn failure(why: &str) -> Value {
    json!({ "ok": false, "detail": why })
}
