//! What is measured: the kinds of call, and the servers they are sent through.

use clap::ValueEnum;
use serde::Serialize;

use crate::guard::Credential;
use crate::load::Voice;

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
    /// 200 bytes from the gateway's memory, in a legacy session.
    Hit200,
    /// 1 KiB from memory, in a legacy session.
    Hit1k,
    /// 1 KiB from memory, asked for in the modern era.
    Hit1kModern,
    /// The same as [`Workload::Hit1k`], of a gateway that checks everything: the caller by its key.
    Hit1kChecked,
    /// And by a token.
    Hit1kToken,
    /// 64 KiB from memory, in a legacy session.
    Hit64k,
    /// 1 KiB from memory, through `/mcp`.
    HitMcp1k,
    /// 1 KiB from Redis: many keys, and a memory that holds one of them.
    L2Hit1k,
    /// 1 KiB from a slow tool that many call at once: not a row, see `collapse`.
    Slow1k,
    /// 200 bytes, different calls by the million: not a row, see `resident`.
    Resident200,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `application/json`, one message.
    Json,
    /// `text/event-stream`: a progress notification, then the response.
    Events,
}

/// What the gateway's cache has to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing: every call reaches the stub.
    Nowhere,
    /// Every call but the first is answered from memory.
    Memory,
    /// Every call but the first of its key is answered from Redis.
    Redis,
}

/// Everything that is fixed about a workload.
struct Facts {
    name: &'static str,
    title: &'static str,
    tool: &'static str,
    bytes: usize,
    kept: Kept,
}

/// A call that is never kept.
const fn fetched(
    name: &'static str,
    title: &'static str,
    tool: &'static str,
    bytes: usize,
) -> Facts {
    Facts {
        name,
        title,
        tool,
        bytes,
        kept: Kept::Nowhere,
    }
}

/// A call that is answered from memory.
const fn hit(name: &'static str, title: &'static str, tool: &'static str, bytes: usize) -> Facts {
    Facts {
        kept: Kept::Memory,
        ..fetched(name, title, tool, bytes)
    }
}

impl Workload {
    /// Every workload, in the order of the report.
    pub(crate) const ALL: [Self; 16] = [
        Self::Json200,
        Self::Json64k,
        Self::Json1m,
        Self::Sse200,
        Self::Stdio200,
        Self::Aggregate200,
        Self::Hit200,
        Self::Hit1k,
        Self::Hit1kModern,
        Self::Hit1kChecked,
        Self::Hit1kToken,
        Self::Hit64k,
        Self::HitMcp1k,
        Self::L2Hit1k,
        Self::Slow1k,
        Self::Resident200,
    ];

    /// How many different calls there are of [`Workload::L2Hit1k`]: far more than its gateway's memory
    /// holds.
    pub(crate) const L2_KEYS: u64 = 1_024;

    const fn facts(self) -> Facts {
        const KIB: usize = 1024;
        match self {
            Self::Json200 => fetched("json-200", "JSON 200 B", "bench_json_200", 200),
            Self::Json64k => fetched("json-64k", "JSON 64 KiB", "bench_json_64k", 64 * KIB),
            Self::Json1m => fetched("json-1m", "JSON 1 MiB", "bench_json_1m", KIB * KIB),
            Self::Sse200 => fetched("sse-200", "SSE 200 B", "bench_sse_200", 200),
            Self::Stdio200 => fetched("stdio-200", "stdio 200 B", "bench_json_200", 200),
            Self::Aggregate200 => fetched("aggregate-200", "/mcp 200 B", "bench_json_200", 200),
            Self::Hit200 => hit("hit-200", "hit 200 B", "bench_hit_200", 200),
            Self::Hit1k => hit("hit-1k", "hit 1 KiB", "bench_hit_1k", KIB),
            // A tool of its own: a result that was kept in the other era is translated.
            Self::Hit1kModern => hit("hit-1k-modern", "hit, modern", "bench_hit_modern", KIB),
            Self::Hit1kChecked => hit("hit-checked-1k", "hit, checked", "bench_hit_checked", KIB),
            Self::Hit1kToken => hit("hit-token-1k", "hit, JWT", "bench_hit_token", KIB),
            Self::Hit64k => hit("hit-64k", "hit 64 KiB", "bench_hit_64k", 64 * KIB),
            Self::HitMcp1k => hit("hit-mcp-1k", "/mcp hit", "bench_hit_mcp", KIB),
            Self::L2Hit1k => Facts {
                kept: Kept::Redis,
                ..hit("l2-hit-1k", "L2 hit 1 KiB", "bench_hit_l2", KIB)
            },
            Self::Slow1k => hit("slow-1k", "slow 1 KiB", "bench_slow_1k", KIB),
            Self::Resident200 => hit("resident-200", "resident", "bench_resident_200", 200),
        }
    }

    /// The name used by `--only` and in the JSON report.
    pub(crate) const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The name in the table.
    pub(crate) const fn title(self) -> &'static str {
        self.facts().title
    }

    /// The tool that gives this answer. All begin with `bench_`, so that the stub finds the name by
    /// one search in the body.
    pub(crate) const fn tool(self) -> &'static str {
        self.facts().tool
    }

    /// What the load calls that tool: through `/mcp`, it has its server's name before its own.
    pub(crate) fn called(self) -> String {
        let prefix = match self {
            Self::Aggregate200 => "stub.",
            Self::HitMcp1k => "cached.",
            Self::Json200
            | Self::Json64k
            | Self::Json1m
            | Self::Sse200
            | Self::Stdio200
            | Self::Hit200
            | Self::Hit1k
            | Self::Hit1kModern
            | Self::Hit1kChecked
            | Self::Hit1kToken
            | Self::Hit64k
            | Self::L2Hit1k
            | Self::Slow1k
            | Self::Resident200 => "",
        };
        format!("{prefix}{}", self.tool())
    }

    /// Bytes of the JSON-RPC response.
    pub(crate) const fn answer_bytes(self) -> usize {
        self.facts().bytes
    }

    /// How the answer travels.
    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Sse200 => Shape::Events,
            Self::Json200
            | Self::Json64k
            | Self::Json1m
            | Self::Stdio200
            | Self::Aggregate200
            | Self::Hit200
            | Self::Hit1k
            | Self::Hit1kModern
            | Self::Hit1kChecked
            | Self::Hit1kToken
            | Self::Hit64k
            | Self::HitMcp1k
            | Self::L2Hit1k
            | Self::Slow1k
            | Self::Resident200 => Shape::Json,
        }
    }

    /// What the gateway's cache has to do with it.
    pub(crate) const fn kept(self) -> Kept {
        self.facts().kept
    }

    /// Whether it is a row of the table; the others belong to commands of their own.
    pub(crate) const fn is_row(self) -> bool {
        !matches!(self, Self::Slow1k | Self::Resident200)
    }

    /// Whether its calls differ in an argument.
    pub(crate) const fn is_keyed(self) -> bool {
        matches!(self, Self::L2Hit1k | Self::Slow1k | Self::Resident200)
    }

    /// What its caller says who it is by, where that is asked.
    pub(crate) const fn credential(self) -> Option<Credential> {
        match self {
            Self::Hit1kChecked => Some(Credential::Key),
            Self::Hit1kToken => Some(Credential::Token),
            Self::Json200
            | Self::Json64k
            | Self::Json1m
            | Self::Sse200
            | Self::Stdio200
            | Self::Aggregate200
            | Self::Hit200
            | Self::Hit1k
            | Self::Hit1kModern
            | Self::Hit64k
            | Self::HitMcp1k
            | Self::L2Hit1k
            | Self::Slow1k
            | Self::Resident200 => None,
        }
    }

    /// The era of its calls; `asked` where it has none of its own. Hits are measured in both eras
    /// whatever is asked, because the bound holds for both.
    pub(crate) const fn era(self, asked: Era) -> Era {
        match (self, self.kept()) {
            (Self::Hit1kModern, _) => Era::Modern,
            (_, Kept::Memory | Kept::Redis) => Era::Legacy,
            (_, Kept::Nowhere) => asked,
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
    /// A Pingora proxy whose `request_filter` reads the body and answers a constant: what hits are
    /// held against.
    Constant,
    /// The same without the proxy: Pingora's `ServeHttp`, the least that Pingora can do.
    Served,
    /// The gateway.
    Conduit,
}

impl Subject {
    /// Every subject, in the order of the report.
    pub(crate) const ALL: [Self; 6] = [
        Self::Direct,
        Self::Nginx,
        Self::Bare,
        Self::Constant,
        Self::Served,
        Self::Conduit,
    ];

    /// The name used by `--only` and in the reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Bare => "bare",
            Self::Constant => "constant",
            Self::Served => "served",
            Self::Conduit => "conduit",
        }
    }

    /// What answers there.
    pub(crate) const fn voice(self) -> Voice {
        match self {
            Self::Constant | Self::Served => Voice::Constant,
            Self::Direct | Self::Nginx | Self::Bare | Self::Conduit => Voice::Live,
        }
    }

    /// Whether it is measured for `workload` at all: hits have references of their own, which answer
    /// what nobody has to be asked for.
    pub(crate) const fn has(self, workload: Workload) -> bool {
        match (self, workload.kept()) {
            (Self::Conduit, _) => true,
            // These are held against the gateway's own plain hit.
            (Self::Constant | Self::Served, _) if workload.credential().is_some() => false,
            (Self::Constant | Self::Served, kept) => !matches!(kept, Kept::Nowhere),
            (Self::Direct | Self::Nginx | Self::Bare, kept) => matches!(kept, Kept::Nowhere),
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
