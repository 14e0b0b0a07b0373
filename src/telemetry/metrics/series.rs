//! The counters of requests that went well before with the same labels, found without making those.
//!
//! **Invariant:** what is counted here is counted in the metrics' own series; nothing is kept beside.

use std::sync::Arc;

use filters::cache::status::Status as CacheStatus;
use filters::mcp::method::Method;
use foldhash::HashMap;
use parking_lot::RwLock;
use prometheus::{Histogram, IntCounter};

use crate::telemetry::outcome::{Outcome, Status};

/// Most series that are found so; the rest are found by their labels.
const SERIES_MAX: usize = 8192;

/// Counters by server and tool, as they are spelled.
#[derive(Default)]
pub(super) struct Series {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    n: usize,
    servers: HashMap<Arc<str>, HashMap<String, Vec<One>>>,
}

/// The counters of one set of labels.
pub(super) struct One {
    pub(super) method: Method,
    pub(super) cache_status: Option<CacheStatus>,
    pub(super) requests: IntCounter,
    pub(super) durations: Histogram,
    /// Hits or misses of the cache.
    pub(super) cache: Option<IntCounter>,
}

/// The part of an outcome that a series is found by; nothing where it tells more than one counts.
fn place(outcome: &Outcome) -> Option<(&Arc<str>, &str, Method)> {
    let is_plain = outcome.status == Status::Success && !outcome.is_collapsed;
    let method = outcome.method.filter(|_| is_plain)?;
    let tool = match (method, &outcome.target) {
        (Method::ToolsCall, target) => target.as_deref()?,
        _ => "",
    };
    Some((outcome.server.as_ref()?, tool, method))
}

impl Series {
    /// Counts a request whose series is known; `false` where it is not.
    pub(super) fn count(&self, outcome: &Outcome) -> bool {
        let Some((server, tool, method)) = place(outcome) else {
            return false;
        };
        let known = self.known.read();
        let all = known.servers.get(server).and_then(|tools| tools.get(tool));
        let found = all
            .into_iter()
            .flatten()
            .find(|one| one.method == method && one.cache_status == outcome.cache_status);
        let Some(one) = found else { return false };
        one.requests.inc();
        one.durations.observe(outcome.duration.as_secs_f64());
        if let Some(cache) = &one.cache {
            cache.inc();
        }
        true
    }

    /// Remembers the counters of an outcome whose tool is told apart under the label `label`.
    pub(super) fn learn(&self, outcome: &Outcome, label: &str, make: impl FnOnce() -> One) {
        let Some((server, tool, _)) = place(outcome) else {
            return;
        };
        // A name that is no label of its own may be one of many.
        if tool != label {
            return;
        }
        let mut known = self.known.write();
        if known.n < SERIES_MAX {
            known.n += 1;
            let tools = known.servers.entry(Arc::clone(server)).or_default();
            tools.entry(tool.to_owned()).or_default().push(make());
        }
    }
}
