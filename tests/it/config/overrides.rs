//! Environment variables that override the file.

use std::path::Path;

use conduit::config::Config;
use conduit::config::load;
use conduit::config::model::limit::Store;
use conduit::config::model::session;

use super::{findings_of, source};

fn with(text: &str, environment: &[(&str, &str)]) -> Config {
    match load(&source(text, environment)) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("refused:\n{problems}"),
    }
}

#[test]
fn ports_hosts_and_paths_are_overridden_with_and_without_the_section() {
    let text =
        "gateway: {port: 1, host: 127.0.0.2}\nmetrics: {port: 2}\nobservability: {db_path: a}";
    for text in [text, "", "gateway:\nmetrics:\nobservability:\n"] {
        let config = with(
            text,
            &[
                ("CONDUIT_PORT", "8081"),
                ("CONDUIT_HOST", "localhost"),
                ("CONDUIT_METRICS_PORT", "9091"),
                ("CONDUIT_DB_PATH", "/data/log.db"),
            ],
        );
        assert_eq!(
            (config.gateway.port, config.gateway.host.as_str()),
            (8081, "localhost")
        );
        assert_eq!(config.metrics.port, 9091);
        assert_eq!(config.observability.db_path, Path::new("/data/log.db"));
    }
}

#[test]
fn the_admin_key_is_overridden() {
    let config = with("admin: {key: file}", &[("CONDUIT_ADMIN_KEY", "env")]);
    assert_eq!(config.admin.key.unwrap().expose(), "env");
}

#[test]
fn an_admin_key_from_the_environment_allows_a_public_address() {
    let config = with("gateway: {host: 0.0.0.0}", &[("CONDUIT_ADMIN_KEY", "k")]);
    assert_eq!(config.gateway.host, "0.0.0.0");
}

#[test]
fn a_value_from_the_environment_is_not_expanded() {
    let config = with("", &[("CONDUIT_ADMIN_KEY", "a${B}")]);
    assert_eq!(config.admin.key.unwrap().expose(), "a${B}");
}

#[test]
fn an_empty_variable_overrides_nothing() {
    let config = with(
        "admin: {key: file}",
        &[("CONDUIT_ADMIN_KEY", ""), ("CONDUIT_PORT", "")],
    );
    assert_eq!(config.admin.key.unwrap().expose(), "file");
    assert_eq!(config.gateway.port, 8080);
}

#[test]
fn log_args_is_off_only_for_false() {
    let logs = |value: &str| {
        with("", &[("CONDUIT_LOG_ARGS", value)])
            .observability
            .log_args
    };
    assert!(!logs("false") && !logs("FALSE"));
    assert!(logs("true") && logs("0"));
}

#[test]
fn tls_is_on_only_for_true_and_its_files_can_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pem");
    std::fs::write(&file, "x").unwrap();
    let path = file.to_str().unwrap();
    let tls = |value: &str| {
        let environment = [
            ("CONDUIT_TLS_ENABLED", value),
            ("CONDUIT_TLS_CERT", path),
            ("CONDUIT_TLS_KEY", path),
        ];
        with(
            "gateway: {tls: {enabled: true, cert_path: a, key_path: b}}",
            &environment,
        )
        .gateway
        .tls
    };
    let files = tls("TRUE").unwrap();
    assert_eq!(
        (files.cert_path.as_path(), files.key_path.as_path()),
        (&*file, &*file)
    );
    assert_eq!(tls("no"), None);
}

#[test]
fn a_redis_url_makes_a_limiter_and_serves_an_existing_second_cache() {
    let environment = [("CONDUIT_REDIS_URL", "redis://r:6379")];
    let config = with("", &environment);
    assert!(config.rate_limits.enabled);
    assert!(
        matches!(&config.rate_limits.store, Store::Redis { url, .. } if url.expose() == "redis://r:6379")
    );
    assert_eq!(config.cache.l2, None);
    let config = with(
        "cache: {l2: {key_prefix: p}}\nrate_limits: {enabled: true}",
        &environment,
    );
    assert_eq!(config.rate_limits.store, Store::Memory);
    assert_eq!(
        config.cache.l2.unwrap().redis_url.expose(),
        "redis://r:6379"
    );
}

#[test]
fn a_redis_url_serves_sessions_that_live_in_redis_and_wins_over_the_file() {
    let environment = [("CONDUIT_REDIS_URL", "redis://env")];
    let url = |text: &str| match with(text, &environment).sessions.store {
        session::Store::Redis(redis) => redis.url.expose().to_owned(),
        session::Store::Memory => "memory".to_owned(),
    };
    assert_eq!(url("sessions: {backend: redis}"), "redis://env");
    let written = "sessions: {backend: redis, redis_url: 'redis://file'}";
    assert_eq!(url(written), "redis://env");
    assert_eq!(url("sessions: {idle_seconds: 5}"), "memory");
    assert_eq!(url(""), "memory");
}

#[test]
fn the_identity_and_governance_files_switch_their_sections_on_and_keep_the_rest() {
    let text = "identity: {workspaces: [{id: w}]}\ngovernance: {approvals: {ttl_seconds: 5}}";
    let config = with(
        text,
        &[
            ("CONDUIT_IDENTITY_DB_PATH", "/i"),
            ("CONDUIT_GOVERNANCE_DB_PATH", "/g"),
        ],
    );
    assert!(config.identity.enabled && config.governance.enabled);
    assert_eq!(config.identity.db_path, Path::new("/i"));
    assert_eq!(config.governance.db_path, Path::new("/g"));
    assert_eq!(config.identity.workspaces.len(), 1);
    assert_eq!(config.governance.approvals.ttl.as_secs(), 5);
}

#[test]
fn a_wrong_variable_is_named_as_the_place() {
    assert_eq!(
        findings_of(&source("gateway: {port: 1}", &[("CONDUIT_PORT", "70000")])),
        "gateway.port: is out of range (from CONDUIT_PORT); found 70000; allowed 1 to 65535\n"
    );
    assert_eq!(
        findings_of(&source("", &[("CONDUIT_HOST", "0.0.0.0")])),
        "admin.key: is required because gateway.host is \"0.0.0.0\", which is not a loopback \
         address: set admin.key or CONDUIT_ADMIN_KEY, or accept an open admin API with \
         admin.allow_unauthenticated: true (from CONDUIT_HOST)\n"
    );
}
