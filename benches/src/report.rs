//! The table, the promises held against it, and the JSON file.
//!
//! **Invariant:** a missed promise is printed, never an error: speed does not fail a build.

use std::fmt::{self, Display, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::bed::Places;
use crate::cli::CallOptions;
use crate::load::Sample;
use crate::rounds::Row;
use crate::workload::{Subject, Workload};

/// A proxy that has less of a processor than this while 32 calls wait for it did not get what it asked for.
const QUIET_CPU_SHARE_MIN: f64 = 0.8;
/// What a hit may cost beside a Pingora service that reads the body and answers a constant.
const HIT_BOUND: f64 = 1.3;
/// What one may cost of which everything is checked, beside one of which nothing is.
const CHECKED_BOUND: f64 = 1.6;
/// The number of connections at which the promises are made.
const PROMISED_CONNECTIONS: u16 = 32;

/// What the project promises, and what was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Promise {
    pub(crate) claim: String,
    pub(crate) bound: f64,
    pub(crate) measured: f64,
    pub(crate) kept: bool,
}

impl Promise {
    /// A promise that `measured` is at most `bound`.
    pub(crate) fn at_most(claim: impl Into<String>, measured: f64, bound: f64) -> Self {
        Self {
            claim: claim.into(),
            bound,
            measured,
            kept: measured <= bound,
        }
    }
}

impl Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.kept { "PASS" } else { "FAIL" };
        let Self {
            claim,
            bound,
            measured,
            ..
        } = self;
        write!(
            f,
            "  {verdict}  {claim:<58} {measured:>7.2}  (at most {bound:.2})"
        )
    }
}

/// The row that promises are made about.
fn find(rows: &[Row], subject: Subject, workload: Workload) -> Option<&Row> {
    rows.iter().find(|row| {
        row.subject == subject
            && row.workload == workload
            && row.connections == PROMISED_CONNECTIONS
    })
}

/// A claim, the rows that it compares, and its bound.
type Claim<'r> = (&'static str, Option<&'r Row>, Option<&'r Row>, f64);

/// What a hit may cost of which everything is checked.
fn checked(rows: &[Row]) -> [Claim<'_>; 2] {
    let conduit = |workload| find(rows, Subject::Conduit, workload);
    let plain = conduit(Workload::Hit1k);
    [
        (
            "hit, all checked by key, c=32: CPU of conduit / a plain hit",
            conduit(Workload::Hit1kChecked),
            plain,
            CHECKED_BOUND,
        ),
        (
            "hit, all checked by JWT, c=32: CPU of conduit / a plain hit",
            conduit(Workload::Hit1kToken),
            plain,
            CHECKED_BOUND,
        ),
    ]
}

/// The promises about calls for which rows were measured.
pub(crate) fn promises(rows: &[Row]) -> Vec<Promise> {
    let find = |subject, workload| find(rows, subject, workload);
    let ratio = |ours: Option<&Row>, base: Option<&Row>| Some(ours?.cpu_ratio(base?));
    let conduit = |workload| find(Subject::Conduit, workload);
    let bare = |workload| find(Subject::Bare, workload);
    let constant = |workload| find(Subject::Constant, workload);
    let direct = find(Subject::Direct, Workload::Json200);
    let (json, sse, stdio) = (Workload::Json200, Workload::Sse200, Workload::Stdio200);
    [
        (
            "JSON 200 B, c=32: CPU of conduit / bare Pingora",
            conduit(json),
            bare(json),
            0.75,
        ),
        (
            "SSE 200 B, c=32: CPU of conduit / bare Pingora",
            conduit(sse),
            bare(sse),
            1.35,
        ),
        (
            "stdio, c=32: CPU of conduit / its own JSON 200 B",
            conduit(stdio),
            conduit(json),
            2.0,
        ),
        (
            "/mcp, c=32: CPU of conduit / its own /mcp/{server}",
            conduit(Workload::Aggregate200),
            conduit(json),
            1.25,
        ),
        (
            "hit 1 KiB, c=32: CPU of conduit / a constant",
            conduit(Workload::Hit1k),
            constant(Workload::Hit1k),
            HIT_BOUND,
        ),
        (
            "hit 1 KiB modern, c=32: CPU of conduit / a constant",
            conduit(Workload::Hit1kModern),
            constant(Workload::Hit1kModern),
            HIT_BOUND,
        ),
        (
            "method, c=32: CPU of the stub / conduit",
            direct,
            conduit(json),
            1.0 / 3.0,
        ),
    ]
    .into_iter()
    .chain(checked(rows))
    .filter_map(|(claim, ours, base, bound)| {
        Some(Promise::at_most(claim, ratio(ours, base)?, bound))
    })
    .collect()
}

/// The table and the promises.
pub(crate) fn text(rows: &[Row], promises: &[Promise]) -> String {
    let mut text = String::new();
    let mut line = |columns: [&str; 9]| {
        let [workload, c, subject, rps, p50, p99, cpu, busy, ratio] = columns;
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{workload:<13} {c:>3}  {subject:<8} {rps:>9} {p50:>10} {p99:>10} {cpu:>12} {busy:>6} {ratio:>8}"
        )
        .ok();
    };
    line([
        "workload",
        "c",
        "through",
        "calls/s",
        "p50 µs",
        "p99 µs",
        "CPU µs/call",
        "busy",
        "vs bare",
    ]);
    let mut previous = None;
    for row in rows {
        let group = (row.workload, row.connections);
        if previous
            .replace(group)
            .is_some_and(|before| before != group)
        {
            line([""; 9]);
        }
        let bare = rows.iter().find(|other| {
            matches!(other.subject, Subject::Bare | Subject::Constant)
                && (other.workload, other.connections) == group
        });
        let ratio = bare.map_or_else(|| "–".to_owned(), |b| format!("{:.2}", row.cpu_ratio(b)));
        line([
            row.workload.title(),
            &row.connections.to_string(),
            row.subject.name(),
            &format!("{:.0}", row.median(|sample| sample.rps)),
            &format!("{:.0}", row.median(|sample| sample.p50_us)),
            &format!("{:.0}", row.median(|sample| sample.p99_us)),
            &format!("{:.1}", row.median(|sample| sample.cpu_us)),
            &format!("{:.0}%", row.median(Sample::cpu_share) * 100.0),
            &ratio,
        ]);
    }
    let kept: String = promises
        .iter()
        .map(|promise| format!("{promise}\n"))
        .collect();
    let caveat = caveat(rows).unwrap_or_default();
    let text: String = text
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    format!("{text}\n{kept}{caveat}")
}

/// What to say when the machine had other work: CPU per call is then too high for all, and most for
/// those who share a wake-up among many calls when they are let.
fn caveat(rows: &[Row]) -> Option<String> {
    let starved = rows.iter().find(|row| {
        matches!(row.subject, Subject::Bare | Subject::Conduit)
            && row.workload == Workload::Json200
            && row.connections == PROMISED_CONNECTIONS
            && row.median(Sample::cpu_share) < QUIET_CPU_SHARE_MIN
    })?;
    Some(format!(
        "\n  The machine was not quiet: {} had {:.0}% of a processor with 32 calls waiting for it. \
         Figures and ratios are rough.\n",
        starved.name(),
        starved.median(Sample::cpu_share) * 100.0
    ))
}

/// The figures as JSON: medians, and the sample of every round.
pub(crate) fn json(
    options: &CallOptions,
    places: &Places,
    rows: &[Row],
    promises: &[Promise],
) -> Value {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "subject": row.subject,
                "workload": row.workload,
                "connections": row.connections,
                "rps": row.median(|sample| sample.rps),
                "p50_us": row.median(|sample| sample.p50_us),
                "p99_us": row.median(|sample| sample.p99_us),
                "cpu_us_per_call": row.median(|sample| sample.cpu_us),
                "cpu_share": row.median(Sample::cpu_share),
                "rounds": row.samples,
            })
        })
        .collect();
    json!({
        "settings": {
            "seconds": options.seconds,
            "rounds": options.rounds,
            "era": options.era,
            "threads": options.bed.threads,
            "cpus": places,
        },
        "rows": rows,
        "promises": promises,
    })
}

/// Writes `value` to `file`, if one was asked for.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn save(file: Option<&Path>, value: &Value) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    fs::write(file, format!("{value:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: Subject, workload: Workload, cpu_us: f64) -> Row {
        let sample = Sample {
            calls: 1,
            rps: 1.0,
            p50_us: 1.0,
            p99_us: 1.0,
            cpu_us,
            hit_share: 0.0,
        };
        Row {
            subject,
            workload,
            connections: PROMISED_CONNECTIONS,
            samples: vec![sample],
        }
    }

    #[test]
    fn a_promise_is_kept_at_its_bound_and_missed_above() {
        assert!(Promise::at_most("x", 0.75, 0.75).kept);
        assert!(!Promise::at_most("x", 0.7501, 0.75).kept);
        assert!(!Promise::at_most("x", f64::NAN, 0.75).kept);
    }

    #[test]
    fn promises_are_held_only_against_rows_that_exist() {
        let conduit = row(Subject::Conduit, Workload::Json200, 30.0);
        assert!(promises(std::slice::from_ref(&conduit)).is_empty());
        let promises = promises(&[conduit, row(Subject::Bare, Workload::Json200, 60.0)]);
        let [only] = promises.as_slice() else {
            panic!("{promises:?}")
        };
        assert!((only.measured - 0.5).abs() < 1e-9 && only.kept);
    }

    #[test]
    fn a_starved_proxy_is_pointed_out() {
        // One call a second at 30 µs: next to nothing.
        let starved = row(Subject::Conduit, Workload::Json200, 30.0);
        assert!(text(&[starved], &[]).contains("not quiet"));
        let busy = row(Subject::Conduit, Workload::Json200, 900_000.0);
        assert!(!text(&[busy], &[]).contains("not quiet"));
    }

    #[test]
    fn the_table_shows_the_ratio_to_the_bare_row() {
        let rows = [
            row(Subject::Bare, Workload::Sse200, 50.0),
            row(Subject::Conduit, Workload::Sse200, 60.0),
        ];
        let text = text(&rows, &promises(&rows));
        assert!(text.contains("1.20"), "{text}");
        assert!(text.contains("PASS"), "{text}");
    }
}
