//! What is refused for how often: each kind of limit, a line that is full, and a count that is not to be had.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{BOTH, Site, assert_all, run};
use super::{EVERYBODY, Row, Speaker};
use crate::support::redis::Redis;
use crate::support::until;
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{Connection, Request};

pub(super) const CAUSED: &[&str] = &["limits_unavailable", "rate_limited"];

/// A limit of one call in a window that no test sees the end of.
fn limited(
    name: &'static str,
    label: &'static str,
    series: &'static str,
    (path, tool): (&'static str, &'static str),
) -> Row {
    Row::new(name, "rate_limited", (429, 200, -32000), move |by| {
        by.call(path, tool)
    })
    .server("s")
    .says(&["Rate limit exceeded: ", label, ". Retry after "])
    .headers(&[
        ("retry-after", ""),
        ("ratelimit-limit", "1"),
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", ""),
    ])
    .also(series)
    .log(
        json!({ "server_id": "s", "tool_name": tool, "method": "tools/call", "era": null,
            "client_id": "anonymous" }),
    )
}

fn config(upstream: &Upstream, mut limits: Value) -> Value {
    limits["enabled"] = json!(true);
    json!({ "servers": [{ "id": "s", "url": upstream.url() }], "rate_limits": limits })
}

/// Uses a budget up, and has the row refused.
async fn exceed(config: &Value, rows: &[Row], seen: &mut BTreeSet<&'static str>) {
    for statuses in BOTH {
        let site = Site::start(config.clone(), statuses).await;
        for row in rows {
            let first = site.ask(&(row.request)(Speaker::Modern)).await;
            assert_eq!(first.status, 200, "{}: {first:?}", row.name);
            site.check(row).await;
        }
        site.finish(seen).await;
    }
}

#[tokio::test]
async fn what_is_too_often_is_refused_as_its_rows_say() {
    let upstream = Upstream::start(friendly).await;
    let mut seen = BTreeSet::new();
    let once = json!({ "requests_per_day": 1 });
    let rows = [limited(
        "too often by all",
        "global/day",
        r#"conduit_rate_limit_rejections_total{client="anonymous",limit_type="global/day",server="s"}"#,
        ("/mcp/s", "t"),
    )];
    exceed(
        &config(&upstream, json!({ "global": once })),
        &rows,
        &mut seen,
    )
    .await;
    let rows = [limited(
        "too often by a client",
        "client/day",
        r#"conduit_rate_limit_rejections_total{client="anonymous",limit_type="client/day",server="s"}"#,
        ("/mcp/s", "t"),
    )];
    exceed(
        &config(&upstream, json!({ "per_client": once })),
        &rows,
        &mut seen,
    )
    .await;
    let overrides = json!([{ "server": "s", "requests_per_day": 1 }]);
    let rows = [limited(
        "too often at a server",
        "server/day",
        r#"conduit_rate_limit_rejections_total{client="anonymous",limit_type="server/day",server="s"}"#,
        ("/mcp/s", "t"),
    )];
    exceed(
        &config(&upstream, json!({ "overrides": overrides })),
        &rows,
        &mut seen,
    )
    .await;
    let overrides = json!([{ "server": "s", "per_tool": { "t": once },
        "per_client_tool": { "u": once } }]);
    let rows = [
        limited(
            "too often at a tool",
            "tool/day",
            r#"conduit_rate_limit_rejections_total{client="anonymous",limit_type="tool/day",server="s"}"#,
            ("/mcp/s", "t"),
        ),
        limited(
            "too often by a client at a tool",
            "client-server-tool/day",
            r#"conduit_rate_limit_rejections_total{client="anonymous",limit_type="client-server-tool/day",server="s"}"#,
            ("/mcp/s", "u"),
        ),
    ];
    exceed(
        &config(&upstream, json!({ "overrides": overrides })),
        &rows,
        &mut seen,
    )
    .await;
    seen.extend(full(&upstream).await);
    seen.extend(uncounted(&upstream).await);
    assert_all(&seen, CAUSED);
}

/// A line with no place left: one call waits in it already.
async fn full(upstream: &Upstream) -> BTreeSet<&'static str> {
    let config = config(
        upstream,
        json!({ "per_client": { "requests_per_day": 1 },
        "queue": { "enabled": true, "max_wait_ms": 2_000_000_000, "max_queue_size": 1 } }),
    );
    let row = limited(
        "a line that is full",
        "client/day",
        r#"conduit_rate_limit_rejections_total{client="anonymous",limit_type="client/day",server="s"}"#,
        ("/mcp/s", "t"),
    );
    let mut seen = BTreeSet::new();
    for statuses in BOTH {
        let site = Site::start(config.clone(), statuses).await;
        let call = (row.request)(Speaker::Modern);
        assert_eq!(site.ask(&call).await.status, 200);
        let mut waiting = Connection::open(site.gateway.address).await.unwrap();
        waiting.send(&call).await.unwrap();
        until("a call to wait", || async {
            let shown = site.ask(&Request::get("/conduit/limits")).await.json();
            (shown["waiting"] == json!(1)).then_some(())
        })
        .await;
        site.check(&row).await;
        site.finish(&mut seen).await;
    }
    seen
}

/// Redis is not there, and nothing passes then.
async fn uncounted(upstream: &Upstream) -> BTreeSet<&'static str> {
    let redis = Redis::absent();
    let config = config(
        upstream,
        json!({ "backend": "redis", "redis_url": redis.url(),
        "on_backend_error": "deny", "global": { "requests_per_day": 1 } }),
    );
    let rows = [
        Row::new("no Redis", "limits_unavailable", (503, 503, -31503), |by| {
            by.call("/mcp/s", "t")
        })
        .by(EVERYBODY)
        .server("s")
        .says(&["rate limits cannot be checked", "try again later"])
        .headers(&[("retry-after", "1")])
        .also("conduit_rate_limit_backend_errors_total")
        .log(json!({ "server_id": "s", "tool_name": "t" })),
    ];
    let mut seen = BTreeSet::new();
    run(&config, &rows, &mut seen).await;
    seen
}
