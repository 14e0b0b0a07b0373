//! What is measured: the kinds of call, and the servers they are sent through.

use clap::ValueEnum;
use serde::Serialize;

/// One kind of call. The sizes are those of the whole JSON-RPC answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// A buffered JSON answer of 200 bytes.
    Json200,
    /// A buffered JSON answer of 64 KiB.
    Json64k,
    /// A buffered JSON answer of 1 MiB.
    Json1m,
    /// A streamed answer: one progress event, then 200 bytes of JSON-RPC.
    Sse200,
    /// A 200-byte answer from a child process that speaks stdio.
    Stdio200,
    /// A 200-byte answer through `/mcp`, where all servers are one.
    Aggregate200,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `application/json`, one message.
    Json,
    /// `text/event-stream`: a progress notification, then the response.
    Events,
}

impl Workload {
    /// Every workload, in the order of the report.
    pub(crate) const ALL: [Self; 6] = [
        Self::Json200,
        Self::Json64k,
        Self::Json1m,
        Self::Sse200,
        Self::Stdio200,
        Self::Aggregate200,
    ];

    /// The name used by `--only` and in the JSON report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json200 => "json-200",
            Self::Json64k => "json-64k",
            Self::Json1m => "json-1m",
            Self::Sse200 => "sse-200",
            Self::Stdio200 => "stdio-200",
            Self::Aggregate200 => "aggregate-200",
        }
    }

    /// The name in the printed table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Json200 => "JSON 200 B",
            Self::Json64k => "JSON 64 KiB",
            Self::Json1m => "JSON 1 MiB",
            Self::Sse200 => "SSE 200 B",
            Self::Stdio200 => "stdio 200 B",
            Self::Aggregate200 => "/mcp 200 B",
        }
    }

    /// The tool that gives this answer. All begin with `bench_`, so that the stub finds the name by
    /// one search in the body.
    pub(crate) const fn tool(self) -> &'static str {
        match self {
            Self::Json200 | Self::Stdio200 | Self::Aggregate200 => "bench_json_200",
            Self::Json64k => "bench_json_64k",
            Self::Json1m => "bench_json_1m",
            Self::Sse200 => "bench_sse_200",
        }
    }

    /// What the load calls that tool.
    pub(crate) const fn called(self) -> &'static str {
        match self {
            Self::Aggregate200 => "stub.bench_json_200",
            Self::Json200 | Self::Json64k | Self::Json1m | Self::Sse200 | Self::Stdio200 => {
                self.tool()
            }
        }
    }

    /// Bytes of the JSON-RPC response.
    pub(crate) const fn answer_bytes(self) -> usize {
        match self {
            Self::Json200 | Self::Sse200 | Self::Stdio200 | Self::Aggregate200 => 200,
            Self::Json64k => 64 * 1024,
            Self::Json1m => 1024 * 1024,
        }
    }

    /// How the answer travels.
    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Json200 | Self::Json64k | Self::Json1m | Self::Stdio200 | Self::Aggregate200 => {
                Shape::Json
            }
            Self::Sse200 => Shape::Events,
        }
    }
}

/// The server that stands between the load and the stub, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// Nothing: the load speaks to the stub. Its CPU is the stub's own.
    Direct,
    /// nginx with a minimal reverse-proxy configuration.
    Nginx,
    /// The smallest possible Pingora proxy: `upstream_peer` and nothing else.
    Bare,
    /// The gateway.
    Conduit,
}

impl Subject {
    /// Every subject, in the order of the report.
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Nginx, Self::Bare, Self::Conduit];

    /// The name used by `--only` and in the reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Bare => "bare",
            Self::Conduit => "conduit",
        }
    }
}

/// The protocol era of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Era {
    /// 2026-07-28: no session, `_meta` and mirrored headers on each request.
    #[default]
    Modern,
    /// 2025-11-25: one `initialize` per connection before the clock starts.
    Legacy,
}
