//! Instructions of what a hit runs in `filters`: the same on every machine of a kind, however busy.
//!
//! Each function runs in a process of its own under valgrind, twice: few times and many times. What
//! the many take more is the function's alone, without what the process does besides.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use filters::cache::key::{Audience, Material, Place, Prepared};
use filters::cache::render;
use filters::json::canonical::ignored::Ignored;
use filters::json::object::Object;
use filters::mcp::call::Call;
use filters::mcp::header::Headers;
use filters::mcp::method::Method;
use filters::rpc::parse::{self, Id, Payload};
use filters::trace::Trace;
use serde::Serialize;

use crate::load::template::Template;
use crate::load::{Load, Voice};
use crate::mcp::{Answer, ID_FIRST};
use crate::workload::{Era, Workload};

const FEW: u32 = 100;
const MANY: u32 = 1_100;

/// What can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// The JSON-RPC message out of the body.
    Parse,
    /// The same, and what it is: era, revision, target, against the headers.
    Classify,
    /// The key of a call, for one audience.
    Key,
    /// The second audience's, when the call has been read.
    KeyAgain,
    /// The answer from a result of 200 bytes.
    Render200,
    /// The answer from a result of 1 KiB.
    Render1k,
    /// The trace ids of a request that names none.
    Trace,
}

/// What was counted.
#[derive(Debug, Serialize)]
pub(crate) struct Count {
    work: Work,
    instructions: f64,
}

/// Counts everything.
///
/// # Errors
/// When valgrind is not there or does not say what it counted.
pub(crate) fn count() -> Result<Vec<Count>> {
    let bench = std::env::current_exe().context("the bench does not find its own binary")?;
    let count = |work: &Work| {
        let more = collected(&bench, *work, MANY)? - collected(&bench, *work, FEW)?;
        let instructions = more / f64::from(MANY - FEW);
        Ok(Count {
            work: *work,
            instructions,
        })
    };
    Work::value_variants().iter().map(count).collect()
}

/// The table.
pub(crate) fn text(counts: &[Count]) -> String {
    let mut text = String::from("function        instructions\n");
    for Count { work, instructions } in counts {
        let name = work.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        // Writing to a String cannot fail.
        writeln!(text, "{name:<15} {instructions:>12.0}").ok();
    }
    text
}

/// Instructions of the whole process that does `work` so many times.
fn collected(bench: &Path, work: Work, times: u32) -> Result<f64> {
    let value = work.to_possible_value().context("no such work")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "valgrind is a tool of the bench, not an MCP child"
    )]
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(bench)
        .args(["repeat", "--work", value.get_name()])
        .args(["--times", &times.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed:\n{said}");
    let number = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .context("valgrind does not say what it counted")?;
    number.1.trim().parse().context("not a count")
}

/// Does `work` so many times.
///
/// # Errors
/// When what it works on is refused.
pub(crate) fn repeat(work: Work, times: u32) -> Result<()> {
    let body = call()?;
    let result = |workload| String::from_utf8(Answer::to_workload(workload).after_id);
    let (small, large) = (result(Workload::Hit200)?, result(Workload::Hit1k)?);
    let message = one(&body)?;
    let object = Object::read(message.text).unwrap_or_default();
    let params = object.get("params");
    let mut scratch = Vec::new();
    let place = Place::new("cached", &[7; 32]);
    let again = prepare(&place, params, &mut scratch)?;
    for _ in 0..times {
        match work {
            Work::Parse => drop(black_box(one(black_box(&body))?)),
            Work::Classify => drop(black_box(classify(black_box(&body))?)),
            Work::Key => {
                black_box(prepare(&place, black_box(params), &mut scratch)?.key(AUDIENCE));
            }
            Work::KeyAgain => {
                black_box(black_box(&again).key(AUDIENCE));
            }
            Work::Render200 => render(&small)?,
            Work::Render1k => render(&large)?,
            Work::Trace => drop(black_box(Trace::resume(None, None, black_box([7; 24])))),
        }
    }
    Ok(())
}

const AUDIENCE: Audience<'_> = Audience::One {
    client: "anonymous",
    tenant: None,
    credential: None,
};

/// The body of a legacy call.
fn call() -> Result<Vec<u8>> {
    let load = Load {
        workload: Workload::Hit1k,
        era: Era::Legacy,
        port: 1,
        path: "/mcp".to_owned(),
        connections: 1,
        time: Duration::ZERO,
        voice: Voice::Live,
    };
    let mut template = Template::call(&load, None);
    let request = template.stamp(&ID_FIRST.to_string())?;
    let end = memchr::memmem::find(request, b"\r\n\r\n").context("no end of the head")?;
    Ok(request.get(end + 4..).unwrap_or_default().to_vec())
}

fn one(body: &[u8]) -> Result<parse::Message<'_>> {
    match parse::payload(body) {
        Ok(Payload::One(message)) => Ok(message),
        Ok(Payload::Batch(_)) => bail!("a batch"),
        Err(invalid) => bail!("{invalid:?}"),
    }
}

fn classify(body: &[u8]) -> Result<Call<'_>> {
    let headers = Headers {
        protocol_version: Some("2025-11-25"),
        ..Headers::default()
    };
    Call::classify(one(body)?, &headers).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
}

fn prepare(place: &Place, params: Option<&str>, scratch: &mut Vec<u8>) -> Result<Prepared> {
    let material = Material {
        place,
        method: Method::ToolsCall,
        target: Some("bench_hit_1k"),
        params,
        ignored: Ignored::NONE,
        revision: None,
        capabilities: "{}",
        group: None,
    };
    Prepared::new(&material, scratch).map_err(|_| anyhow::anyhow!("the call is ambiguous"))
}

fn render(result: &str) -> Result<()> {
    let id = Id::from_json("1234567890").context("not an id")?;
    let mut out = Vec::new();
    render::answer(id, black_box(result), None, &mut out);
    black_box(out);
    Ok(())
}
