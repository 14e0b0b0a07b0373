//! What is said about the cache, for the gateway and for each server.

use std::time::Duration;

use conduit::config::choice::Share;
use conduit::config::model::server::{Cache, Staleness};

use super::{findings, model};

/// The cache of the only server of a text.
fn server_cache(text: &str) -> Cache {
    model(text).servers.remove(0).cache
}

/// The cache of a server whose `cache` section is this.
fn written(section: &str) -> Cache {
    server_cache(&format!(
        "servers: [{{id: s, url: 'http://h', cache: {section}}}]"
    ))
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_server_without_a_cache_section_caches_no_calls_and_has_the_documented_defaults() {
    let cache = server_cache("servers: [{id: s, url: 'http://h'}]");
    assert!(!cache.is_written);
    assert_eq!((cache.default_ttl, cache.list_ttl), (None, None));
    assert_eq!(cache.share, Share::Private);
    assert_eq!(cache.calls, Staleness::default());
    assert_eq!(
        cache.lists,
        Staleness {
            while_revalidate: seconds(30),
            if_error: seconds(300),
        }
    );
    assert!(cache.overrides.is_empty());
}

#[test]
fn a_section_counts_as_written_at_the_server_or_at_the_top_even_if_empty() {
    let with = |top: &str, own: &str| {
        let text = format!("{top}\nservers: [{{id: s, url: 'http://h'{own}}}]");
        server_cache(&text).is_written
    };
    assert!(with("cache: {}", ""));
    assert!(with("cache: {l1: {max_entries: 5}}", ""));
    assert!(with("", ", cache: {}"));
    assert!(with("", ", cache: {share: public}"));
    // A key without a value is the same as no key.
    assert!(!with("cache:", ", cache: "));
}

#[test]
fn one_servers_section_is_not_anothers() {
    let servers = model(
        "servers: [{id: a, url: 'http://h', cache: {default_ttl: 5}}, {id: b, url: 'http://h'}]",
    )
    .servers;
    let written: Vec<bool> = servers
        .iter()
        .map(|server| server.cache.is_written)
        .collect();
    assert_eq!(written, [true, false]);
}

#[test]
fn a_ttl_of_zero_is_not_an_absent_one() {
    let zero = written("{default_ttl: 0, list_ttl: 0, overrides: {t: {ttl: 0}, u: {}}}");
    assert_eq!(zero.default_ttl, Some(Duration::ZERO));
    assert_eq!(zero.list_ttl, Some(Duration::ZERO));
    assert_eq!(zero.overrides["t"].ttl, Some(Duration::ZERO));
    assert_eq!(zero.overrides["u"].ttl, None);
    assert_eq!(written("{share: private}").default_ttl, None);
}

#[test]
fn every_share_is_its_own_spelling() {
    for (text, share) in [
        ("private", Share::Private),
        ("tenant", Share::Tenant),
        ("public", Share::Public),
    ] {
        assert_eq!(written(&format!("{{share: {text}}}")).share, share);
    }
}

#[test]
fn what_a_server_section_says_reaches_the_model() {
    let cache = server_cache(
        "
servers:
  - id: s
    url: http://h
    cache:
      default_ttl: 1
      list_ttl: 2
      stale_while_revalidate: 3
      stale_if_error: 4
      list_stale_while_revalidate: 5
      list_stale_if_error: 6
      overrides:
        a.b: {ttl: 7, ignore_args: [x, y.*.z], invalidates: [list_*, 'tag:t', 'resource:f:*']}
        c: {tags: [t, u], stale_while_revalidate: 8, stale_if_error: 0}
",
    );
    let lasts = |while_revalidate, if_error| Staleness {
        while_revalidate: seconds(while_revalidate),
        if_error: seconds(if_error),
    };
    assert_eq!(cache.default_ttl, Some(seconds(1)));
    assert_eq!(cache.list_ttl, Some(seconds(2)));
    assert_eq!((cache.calls, cache.lists), (lasts(3, 4), lasts(5, 6)));
    let tool = &cache.overrides["a.b"];
    assert_eq!(tool.ttl, Some(seconds(7)));
    assert_eq!(tool.ignore_args, ["x", "y.*.z"]);
    assert_eq!(tool.invalidates, ["list_*", "tag:t", "resource:f:*"]);
    assert_eq!(
        (tool.stale_while_revalidate, tool.stale_if_error),
        (None, None)
    );
    let tool = &cache.overrides["c"];
    assert_eq!(tool.tags, ["t", "u"]);
    assert_eq!(tool.stale_while_revalidate, Some(seconds(8)));
    assert_eq!(tool.stale_if_error, Some(Duration::ZERO));
}

#[test]
fn what_the_cache_section_says_reaches_the_model() {
    let cache = model(
        "
cache:
  enabled: false
  l1: {max_entries: 1, max_entry_size_kb: 2, max_size_mb: 3}
  l2:
    redis_url: redis://r
    default_ttl_multiplier: 1.5
    key_prefix: 'p:'
    max_entry_size_kb: 4
    timeout_ms: 5
    lease_ms: 6
",
    )
    .cache;
    assert!(!cache.enabled);
    assert_eq!(cache.l1_max_entries, 1);
    assert_eq!(cache.l1_entry_bytes_max, 2 * 1024);
    assert_eq!(cache.l1_bytes_max, 3 * 1024 * 1024);
    let l2 = cache.l2.unwrap();
    assert_eq!(l2.redis_url.expose(), "redis://r");
    assert_eq!((l2.ttl_multiplier, l2.key_prefix.as_str()), (1.5, "p:"));
    assert_eq!(l2.entry_bytes_max, 4 * 1024);
    assert_eq!(l2.timeout, Duration::from_millis(5));
    assert_eq!(l2.lease, Some(Duration::from_millis(6)));
}

#[test]
fn a_result_may_be_as_large_as_all_of_memory_and_no_larger() {
    let sizes = |entry: u32, all: u32| {
        findings(&format!(
            "cache: {{l1: {{max_entry_size_kb: {entry}, max_size_mb: {all}}}}}"
        ))
    };
    assert_eq!(sizes(1_024, 1), "");
    assert_eq!(sizes(1_048_576, 1_048_576), "");
    assert!(sizes(1_025, 1).starts_with("cache.l1.max_entry_size_kb: "));
}

#[test]
fn a_tag_may_be_that_of_any_tool_of_the_same_server() {
    let text = "servers: [{id: s, url: 'http://h', cache: {overrides: \
                {a: {invalidates: ['tag:x', 'tag:y', '*']}, b: {tags: [x]}, c: {tags: [y]}}}}]";
    assert_eq!(findings(text), "");
}
