//! What holds when a file says nothing.

use std::time::Duration;

use conduit::config::Config;
use conduit::config::choice::Era;
use conduit::config::model::server::Transport;
use conduit::config::source::Source;
use expect_test::{expect, expect_file};

use super::{findings_of, loaded, model};

#[test]
fn an_empty_file_empty_sections_and_no_file_are_all_the_defaults() {
    assert_eq!(model(""), Config::default());
    let sections = "gateway:\nrouter:\nservers:\ncache:\nauth:\nacl:\nadmin:\nmetrics: {}\n";
    assert_eq!(loaded(sections).warnings, []);
    assert_eq!(model(sections), Config::default());
    let absent = Source {
        path: "conduit.config.yml".into(),
        ..Source::default()
    };
    assert_eq!(
        conduit::config::load(&absent).unwrap().config,
        Config::default()
    );
    assert_eq!(
        findings_of(&absent),
        "warning: there is no conduit.config.yml: starting with defaults and without servers; \
         name a file with --config or CONDUIT_CONFIG\n"
    );
}

#[test]
fn the_defaults_are_the_documented_ones() {
    expect_file!["defaults.txt"].assert_debug_eq(&Config::default());
}

#[test]
fn a_server_has_the_documented_defaults() {
    let server = model("servers: [{id: s, transport: stdio, command: c}]")
        .servers
        .remove(0);
    let Transport::Stdio(stdio) = server.transport else {
        panic!("stdio")
    };
    assert_eq!(
        (stdio.shared, stdio.max_processes, stdio.cwd),
        (false, 256, None)
    );
    assert_eq!(server.connect_timeout, Duration::from_secs(5));
    assert_eq!(server.timeout, Duration::from_secs(30));
    assert_eq!(server.idle_timeout, Duration::from_secs(300));
    assert_eq!(server.max_duration, Duration::from_secs(3_600));
    assert_eq!(server.session_idle, Duration::from_secs(1_800));
    assert_eq!(server.max_sessions, 10_000);
    assert!(!server.forward_authorization);
    assert_eq!(server.era, Era::Auto);
}

#[test]
fn sections_that_are_written_without_fields_have_their_documented_defaults() {
    let config = model(
        "
cache: {l2: {redis_url: 'redis://r'}}
router: {circuit_breaker: {enabled: true}}
rate_limits: {queue: {enabled: true}}
observability: {opentelemetry: {enabled: true, endpoint: 'http://o'}}
discovery: {enabled: true}
",
    );
    expect![[r#"
        (
            Some(
                L2 {
                    redis_url: Secret(…),
                    ttl_multiplier: 3.0,
                    key_prefix: "conduit:cache:",
                    entry_bytes_max: 524288,
                    timeout: 50ms,
                    lease: None,
                },
            ),
            Some(
                CircuitBreaker {
                    failure_threshold: 5,
                    reset_timeout: 30s,
                    half_open_max_requests: 1,
                    success_threshold: 2,
                },
            ),
            Some(
                Queue {
                    max_wait: 5s,
                    n_calls_max: 100,
                },
            ),
            Some(
                OpenTelemetry {
                    endpoint: HttpUrl(
                        http://o/,
                    ),
                    service_name: "mcp-conduit",
                    sample_rate: 1.0,
                },
            ),
            Discovery {
                enabled: true,
                poll_interval: 30s,
                stale_timeout: 90s,
                default_ttl: 60s,
                backends: [],
            },
        )
    "#]]
    .assert_debug_eq(&(
        config.cache.l2,
        config.router.circuit_breaker,
        config.rate_limits.queue,
        config.observability.opentelemetry,
        config.discovery,
    ));
}

#[test]
fn the_model_shows_no_secret() {
    let config = model(
        "
admin: {key: hush1}
auth: {method: api-key, api_keys: [hush2]}
servers:
  - {id: a, url: 'http://h', headers: {X: hush3}}
  - {id: b, transport: stdio, command: c, env: {X: hush4}}
rate_limits: {enabled: true, backend: redis, redis_url: 'redis://:hush5@r'}
sessions: {backend: redis, redis_url: 'redis://:hush8@r', secret: hush9-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
guardrails: {rules: [{name: r, action: alert, webhook: 'http://h/hush6'}]}
plugins: [{name: p, path: x, hooks: [], config: {k: hush7}}]
",
    );
    assert!(!format!("{config:#?}").contains("hush"));
}
