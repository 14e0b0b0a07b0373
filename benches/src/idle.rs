//! Many idle event streams at once: what each costs the proxy in memory, and whether all still deliver.
//!
//! **Invariant:** memory is read when every stream is open at both ends, and nothing is counted as held that
//! did not deliver its event afterwards.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::bed::{Bed, Way};
use crate::cli::IdleOptions;
use crate::http::{Body, Client, Media};
use crate::load::caller::initialize;
use crate::load::{Load, Voice};
use crate::report::Promise;
use crate::stub::{PATH_FIRE, PATH_STREAMS};
use crate::workload::{Era, Subject, Workload};

/// How long one proxy may take for everything.
const TIME_MAX: Duration = Duration::from_secs(120);
/// How long both ends may take to agree on how many streams there are.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
const BYTES_PER_STREAM_MAX: f64 = 64.0 * 1024.0;
/// Streams opened and closed before memory is first read, so that pools and arenas are in place.
const WARM_UP_STREAMS: u16 = 16;

/// What was measured through one proxy.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    subject: Subject,
    streams: u16,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
    delivered: u16,
}

impl Held {
    #[expect(clippy::cast_precision_loss, reason = "memory sizes far below 2^52")]
    fn bytes_per_stream(&self) -> f64 {
        let grown = self
            .resident_bytes_after
            .saturating_sub(self.resident_bytes_before);
        grown as f64 / f64::from(self.streams)
    }

    /// The promises about this proxy, if it is ours.
    pub(crate) fn promises(&self) -> Vec<Promise> {
        match self.subject {
            Subject::Conduit => {
                let (n, bytes) = (self.streams, self.bytes_per_stream());
                let lost = f64::from(self.streams.saturating_sub(self.delivered));
                vec![
                    Promise::at_most(
                        format!("KiB of memory for each of {n} idle streams"),
                        bytes / 1024.0,
                        BYTES_PER_STREAM_MAX / 1024.0,
                    ),
                    Promise::at_most(format!("streams lost of {n}"), lost, 0.0),
                ]
            }
            Subject::Direct
            | Subject::Nginx
            | Subject::Bare
            | Subject::Constant
            | Subject::Served => Vec::new(),
        }
    }
}

/// Holds idle streams through each proxy in turn.
///
/// # Errors
/// When a stream cannot be opened.
pub(crate) async fn measure(bed: &Bed, options: &IdleOptions) -> Result<Vec<Held>> {
    let mut all = Vec::new();
    for subject in [Subject::Bare, Subject::Conduit] {
        let Some(way) = bed.way(subject, Workload::Json200) else {
            continue;
        };
        let held = tokio::time::timeout(TIME_MAX, hold(bed.stub_port(), subject, &way, options))
            .await
            .context("not done after 120 s")
            .and_then(|held| held)
            .with_context(|| format!("{}: {}", subject.name(), way.process.obituary()))?;
        all.push(held);
    }
    Ok(all)
}

/// The table and the promises.
pub(crate) fn text(all: &[Held], promises: &[Promise]) -> String {
    let mut text = format!(
        "{:<8} {:>8} {:>12} {:>12} {:>12} {:>10}\n",
        "through", "streams", "KiB before", "KiB after", "KiB/stream", "delivered"
    );
    for held in all {
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{:<8} {:>8} {:>12} {:>12} {:>12.1} {:>10}",
            held.subject.name(),
            held.streams,
            held.resident_bytes_before / 1024,
            held.resident_bytes_after / 1024,
            held.bytes_per_stream() / 1024.0,
            held.delivered,
        )
        .ok();
    }
    let kept: String = promises
        .iter()
        .map(|promise| format!("{promise}\n"))
        .collect();
    format!("{text}\n{kept}")
}

async fn hold(
    stub_port: u16,
    subject: Subject,
    way: &Way<'_>,
    options: &IdleOptions,
) -> Result<Held> {
    let warm_up = open(way, WARM_UP_STREAMS).await?;
    until_open(stub_port, WARM_UP_STREAMS).await?;
    drop(warm_up);
    until_open(stub_port, 0).await?;

    let resident_bytes_before = way.process.resident_bytes()?;
    let streams = open(way, options.streams).await?;
    until_open(stub_port, options.streams).await?;
    let resident_bytes_after = way.process.resident_bytes()?;

    let delivered = fire(stub_port, streams).await?;
    until_open(stub_port, 0).await?;
    Ok(Held {
        subject,
        streams: options.streams,
        resident_bytes_before,
        resident_bytes_after,
        delivered,
    })
}

/// Opens `n` streams, each in a session of its own, one after the other.
async fn open(way: &Way<'_>, n: u16) -> Result<Vec<Client>> {
    let load = Load {
        workload: Workload::Json200,
        era: Era::Legacy,
        port: way.port,
        path: way.path.clone(),
        connections: 1,
        time: Duration::ZERO,
        voice: Voice::Live,
    };
    let mut streams = Vec::with_capacity(n.into());
    let mut starter = Client::connect(way.port).await?;
    for index in 0..n {
        let session = initialize(&mut starter, &load).await?;
        let stream = open_one(&load, session.as_deref()).await;
        streams.push(stream.with_context(|| format!("stream {} of {n}", index + 1))?);
    }
    Ok(streams)
}

async fn open_one(load: &Load, session: Option<&str>) -> Result<Client> {
    let session = session.map_or_else(String::new, |id| format!("Mcp-Session-Id: {id}\r\n"));
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: text/event-stream\r\n\
         MCP-Protocol-Version: 2025-11-25\r\n{session}\r\n",
        load.path, load.port
    );
    let mut stream = Client::connect(load.port).await?;
    stream.send(request.as_bytes()).await?;
    let head = stream.receive_head().await?;
    ensure!(head.status == 200, "answered {}, not 200", head.status);
    ensure!(
        head.media == Media::Events,
        "the answer is not an event stream"
    );
    Ok(stream)
}

/// Waits until `n` streams are open at the stub.
async fn until_open(stub_port: u16, n: u16) -> Result<()> {
    let wanted = n.to_string();
    let started = Instant::now();
    loop {
        let (_, body) = Client::get(stub_port, PATH_STREAMS).await?;
        if body.kept == wanted.as_bytes() {
            return Ok(());
        }
        let open = String::from_utf8_lossy(&body.kept);
        ensure!(
            started.elapsed() < SETTLE_TIME_MAX,
            "the stub holds {open} streams, not {n}, 20 s after the last was opened or closed"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Makes the stub send one event on every stream; says on how many it arrived.
async fn fire(stub_port: u16, streams: Vec<Client>) -> Result<u16> {
    let request = format!(
        "POST {PATH_FIRE} HTTP/1.1\r\nHost: 127.0.0.1:{stub_port}\r\nContent-Length: 0\r\n\r\n"
    );
    let head = Client::connect(stub_port)
        .await?
        .exchange(request.as_bytes(), &mut Body::default())
        .await?;
    ensure!(
        head.status == 202,
        "the stub answered {}, not 202",
        head.status
    );
    let mut waiting: JoinSet<_> = streams
        .into_iter()
        .map(|mut stream| async move {
            let arrived = stream.receive_until(b"notifications/tools/list_changed");
            tokio::time::timeout(SETTLE_TIME_MAX, arrived)
                .await
                .is_ok_and(|result| result.is_ok())
        })
        .collect();
    let mut delivered = 0;
    while let Some(arrived) = waiting.join_next().await {
        delivered += u16::from(arrived?);
    }
    Ok(delivered)
}
