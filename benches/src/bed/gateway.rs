//! The gateway's configuration.

use std::path::Path;

use serde_json::{Value, json};

/// How long results are kept: longer than any measurement takes.
const TTL_SECONDS: u32 = 24 * 60 * 60;
/// Room for results, in megabytes, where their number is what bounds them.
const MEMORY_MB: u32 = 4096;

/// What a gateway keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Store {
    /// What it keeps by default.
    Memory,
    /// So many results in memory.
    Entries(u32),
    /// One result in memory, and all in the Redis on this port.
    Redis(u16),
    /// What it keeps by default, in memory and in the Redis on this port.
    Both(u16),
}

/// A gateway before the stub and a child, and before the stub once more with a cache between.
/// JSON is YAML: no path can break out of its quotes.
pub(crate) fn config(
    port: u16,
    stub_port: u16,
    threads: usize,
    bench: &Path,
    store: Store,
) -> Value {
    let stub = format!("http://127.0.0.1:{stub_port}/mcp");
    let mut config = json!({
        "gateway": { "host": "127.0.0.1", "port": port, "threads": threads },
        "metrics": { "enabled": false },
        "servers": [
            { "id": "stub", "url": stub },
            { "id": "child", "transport": "stdio", "command": bench, "args": ["stub-stdio"] },
            { "id": "cached", "url": stub, "cache": { "default_ttl": TTL_SECONDS } },
        ],
    });
    // A `cache` section of the whole gateway's would concern the other two servers.
    let cache = match store {
        Store::Memory => return config,
        Store::Entries(n) => json!({ "l1": { "max_entries": n, "max_size_mb": MEMORY_MB } }),
        Store::Redis(port) => json!({
            "l1": { "max_entries": 1 },
            // What is measured is work, not whether a busy machine keeps a time limit.
            "l2": { "redis_url": url(port), "timeout_ms": 5000 },
        }),
        Store::Both(port) => json!({ "l2": { "redis_url": url(port) } }),
    };
    if let Some(config) = config.as_object_mut() {
        config.insert("cache".to_owned(), cache);
    }
    config
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}
