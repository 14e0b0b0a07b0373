//! Interleaved rounds: every row once per round, the order turned round every other time.
//!
//! A machine drifts: it warms up, a neighbour wakes. In one round all rows meet the same weather, and what
//! comes late in one round comes early in the next. Figures are medians over the rounds; a ratio is
//! taken within each round first, and then its median.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::bed::gateway::Store;
use crate::bed::{Bed, Wanted};
use crate::cli::CallOptions;
use crate::load::{Load, Sample};
use crate::workload::{Kept, Subject, Workload};

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) workload: Workload,
    pub(crate) connections: u16,
    /// One sample a round, in order.
    pub(crate) samples: Vec<Sample>,
}

/// The rows asked for, in the order of the table, without samples.
pub(crate) fn plan(options: &CallOptions) -> Vec<Row> {
    let mut rows = Vec::new();
    for workload in Workload::ALL.into_iter().filter(|w| w.is_row()) {
        for &connections in &options.connections {
            for subject in Subject::ALL {
                if subject.has(workload) && is_asked_for(options, subject, workload) {
                    rows.push(Row {
                        subject,
                        workload,
                        connections,
                        samples: Vec::new(),
                    });
                }
            }
        }
    }
    rows
}

/// What has to run for `rows`.
pub(crate) fn wanted(rows: &[Row]) -> Wanted {
    let is_tiered =
        |row: &Row| row.subject == Subject::Conduit && row.workload.kept() == Kept::Redis;
    let is_checking =
        |row: &Row| row.subject == Subject::Conduit && row.workload.credential().is_some();
    Wanted {
        subjects: Subject::ALL
            .into_iter()
            .filter(|subject| {
                let mut rows = rows.iter();
                rows.any(|row| row.subject == *subject && !is_tiered(row) && !is_checking(row))
            })
            .collect(),
        store: Store::Memory,
        is_tiered: rows.iter().any(is_tiered),
        is_checking: rows.iter().any(is_checking),
    }
}

/// Measures each row in each round. `progress` is told of every row before it runs.
///
/// # Errors
/// When a server gives a wrong answer or none.
pub(crate) async fn measure(
    bed: &Bed,
    options: &CallOptions,
    rows: &mut Vec<Row>,
    mut progress: impl FnMut(u16, &Row),
) -> Result<()> {
    rows.retain(|row| bed.way(row.subject, row.workload).is_some());
    for round in 0..options.rounds {
        let mut order: Vec<_> = rows.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for row in order {
            progress(round, row);
            let Some(way) = bed.way(row.subject, row.workload) else {
                continue;
            };
            let load = Load {
                workload: row.workload,
                era: row.workload.era(options.era),
                port: way.port,
                path: way.path,
                connections: row.connections,
                time: Duration::from_secs_f64(options.seconds),
                voice: row.subject.voice(),
            };
            let sample = load.run(way.process).await.with_context(|| row.name())?;
            row.samples.push(sample);
        }
    }
    Ok(())
}

/// By default nginx runs the smallest call only: enough to place the others, and no time wasted.
fn is_asked_for(options: &CallOptions, subject: Subject, workload: Workload) -> bool {
    let name = name(subject, workload);
    match options.only.as_slice() {
        [] => subject != Subject::Nginx || workload == Workload::Json200,
        only => only.iter().any(|text| name.contains(text.as_str())),
    }
}

fn name(subject: Subject, workload: Workload) -> String {
    format!("{}/{}", subject.name(), workload.name())
}

impl Row {
    /// The name of the row, as in `conduit/json-200`.
    pub(crate) fn name(&self) -> String {
        name(self.subject, self.workload)
    }

    /// The median over the rounds of what `figure` picks.
    pub(crate) fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure).collect())
    }

    /// CPU per call as a multiple of `base`'s: the median of the ratios within each round.
    pub(crate) fn cpu_ratio(&self, base: &Self) -> f64 {
        let pairs = self.samples.iter().zip(&base.samples);
        median(
            pairs
                .map(|(ours, theirs)| ours.cpu_us / theirs.cpu_us)
                .collect(),
        )
    }
}

/// The middle value, or the mean of the two middle ones; not a number if there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2);
    let lower = values
        .len()
        .checked_sub(1)
        .and_then(|last| values.get(last / 2));
    match (lower, upper) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        (_, None) | (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Arguments;

    fn sample(cpu_us: f64) -> Sample {
        Sample {
            calls: 1,
            rps: 1.0,
            p50_us: 1.0,
            p99_us: 1.0,
            cpu_us,
            hit_share: 0.0,
        }
    }

    fn row(cpu: &[f64]) -> Row {
        let samples = cpu.iter().copied().map(sample).collect();
        Row {
            subject: Subject::Bare,
            workload: Workload::Json200,
            connections: 1,
            samples,
        }
    }

    fn names(arguments: &[&str]) -> Vec<String> {
        let arguments = ["conduit-bench"].iter().chain(arguments);
        plan(&Arguments::parse_from(arguments).calls)
            .iter()
            .map(Row::name)
            .collect()
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // One round ran on a machine three times as slow: the ratio does not see it.
        let (ours, bare) = (row(&[10.0, 30.0, 11.0]), row(&[20.0, 60.0, 22.0]));
        assert_eq!(ours.cpu_ratio(&bare), 0.5);
    }

    #[test]
    fn only_picks_rows_by_name() {
        assert_eq!(
            names(&["--only", "conduit/stdio", "--connections", "1"]),
            ["conduit/stdio-200"]
        );
        assert!(names(&["--only", "nginx/"]).contains(&"nginx/sse-200".to_owned()));
        assert!(!names(&[]).contains(&"nginx/sse-200".to_owned()));
    }
}
