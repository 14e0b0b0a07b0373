//! Names and lists of aggregated endpoints, eras, and where sessions live.

use std::time::Duration;

use conduit::config::Config;
use conduit::config::choice::{Era, Separator};
use conduit::config::model::session::{Redis, Store};

use super::{findings, model, source};

#[test]
fn every_separator_is_its_own_spelling() {
    for (text, separator) in [
        (".", Separator::Dot),
        ("__", Separator::TwoUnderscores),
        ("'-'", Separator::Dash),
        ("_", Separator::Underscore),
    ] {
        let router = model(&format!("router: {{namespace_separator: {text}}}")).router;
        assert_eq!(router.namespace_separator, separator);
        assert_eq!(text.trim_matches('\''), separator.as_str());
    }
}

#[test]
fn ids_may_continue_each_other_where_no_name_is_ambiguous() {
    let servers = "servers: [{id: a, url: 'http://h'}, {id: a-b, url: 'http://h'}]";
    for router in [
        "",
        "router: {namespace_separator: __}",
        "router: {namespace_separator: _}",
        "router: {namespace_separator: '-', namespace_strategy: none}",
    ] {
        assert_eq!(findings(&format!("{servers}\n{router}\n")), "");
    }
}

#[test]
fn a_name_limit_is_off_or_a_length_and_may_come_from_a_variable() {
    let limit = |text: &str| {
        model(&format!("router: {{name_limit: {text}}}"))
            .router
            .name_limit
    };
    assert_eq!(model("").router.name_limit, None);
    assert_eq!(limit("off"), None);
    assert_eq!((limit("16"), limit("128")), (Some(16), Some(128)));
    let from = |value: &str| {
        let source = source("router: {name_limit: '${LIMIT}'}", &[("LIMIT", value)]);
        conduit::config::load(&source)
            .unwrap()
            .config
            .router
            .name_limit
    };
    assert_eq!((from("60"), from("off")), (Some(60), None));
}

#[test]
fn the_bounds_of_lists_reach_the_model() {
    let lists = model(
        "
router:
  list_timeout_ms: 5000
  list_deadline_ms: 5000
  list_refresh_seconds: 1
  list_stale_seconds: 0
  list_page_size: 1
",
    )
    .router
    .lists;
    assert_eq!(
        (lists.timeout, lists.deadline),
        (Duration::from_secs(5), lists.timeout)
    );
    assert_eq!(lists.refresh, Duration::from_secs(1));
    assert_eq!((lists.stale_max, lists.page_size), (Duration::ZERO, 1));
}

#[test]
fn the_era_of_a_server_can_be_written() {
    let era = |era: &str| {
        model(&format!(
            "servers: [{{id: s, url: 'http://h', era: {era}}}]"
        ))
        .servers[0]
            .era
    };
    assert_eq!(
        (era("legacy"), era("modern"), era("auto")),
        (Era::Legacy, Era::Modern, Era::Auto)
    );
}

#[test]
fn sessions_in_redis_have_their_own_url_or_borrow_that_of_limits_or_cache() {
    let borrowed = "sessions: {backend: redis}\ncache: {l2: {redis_url: 'redis://cache'}}";
    assert_eq!(url(&model(borrowed)), "redis://cache");
    let limits = format!("{borrowed}\nrate_limits: {{redis_url: 'redis://limits'}}");
    assert_eq!(url(&model(&limits)), "redis://limits");
    let own = limits.replace(
        "backend: redis",
        "backend: redis, redis_url: 'rediss://own'",
    );
    assert_eq!(url(&model(&own)), "rediss://own");
}

#[test]
fn what_a_sessions_section_says_reaches_the_model() {
    let sessions = model(
        "
sessions:
  backend: redis
  redis_url: redis://r
  key_prefix: 'p:'
  secret: 32-bytes-are-just-enough-for-one
  max_sessions: 1
  max_per_client: 2
  idle_seconds: 3
  parked_ttl_seconds: 4
  max_parked: 5
  max_parked_per_client: 6
",
    )
    .sessions;
    assert!(
        matches!(&sessions.store, Store::Redis(Redis { key_prefix, .. }) if key_prefix == "p:")
    );
    assert_eq!(
        sessions.secret.unwrap().expose(),
        "32-bytes-are-just-enough-for-one"
    );
    assert_eq!((sessions.max_sessions, sessions.max_per_client), (1, 2));
    assert_eq!(sessions.idle, Duration::from_secs(3));
    assert_eq!(sessions.parked.ttl, Duration::from_secs(4));
    assert_eq!(
        (sessions.parked.max_calls, sessions.parked.max_per_client),
        (5, 6)
    );
}

#[test]
fn an_empty_secret_is_none() {
    assert_eq!(model("sessions: {secret: ''}").sessions.secret, None);
}

fn url(config: &Config) -> &str {
    match &config.sessions.store {
        Store::Redis(redis) => redis.url.expose(),
        Store::Memory => panic!("memory"),
    }
}
