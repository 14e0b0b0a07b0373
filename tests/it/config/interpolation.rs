//! `${VAR}` and `.env`.

use conduit::config::model::server::Transport;
use conduit::config::source::{DotEnv, Source};

use super::{findings, findings_of, source};

fn port_of(source: &Source) -> u16 {
    conduit::config::load(source).unwrap().config.gateway.port
}

#[test]
fn a_variable_takes_the_type_its_field_wants() {
    let text = "gateway: {port: '${PORT:-8081}'}\nmetrics: {enabled: '${ON}'}";
    let config = conduit::config::load(&source(text, &[("ON", "false")]))
        .unwrap()
        .config;
    assert_eq!(config.gateway.port, 8081);
    assert!(!config.metrics.enabled);
    let text = "gateway:\n  port: 80${REST}";
    assert_eq!(port_of(&source(text, &[("REST", "85")])), 8085);
}

#[test]
fn a_variable_of_the_wrong_type_is_named_by_its_value_and_place() {
    assert_eq!(
        findings_of(&source("gateway:\n  port: ${PORT}", &[("PORT", "http")])),
        "gateway.port: must be a whole number (line 2, column 9); found \"http\"; allowed 1 to \
         65535\n"
    );
}

#[test]
fn an_unset_variable_is_named_with_its_place_and_never_becomes_an_empty_text() {
    assert_eq!(
        findings("admin:\n  key: ${CONDUIT_KEY}"),
        "admin.key: the environment variable CONDUIT_KEY is not set; set it, put it into .env, or \
         write ${CONDUIT_KEY:-default} (line 2, column 8)\n"
    );
}

#[test]
fn an_escaped_reference_and_a_lone_dollar_stay() {
    let text = "servers: [{id: s, transport: stdio, command: c, args: ['$${HOME}', '$5', a$]}]";
    let config = super::model(text);
    let Transport::Stdio(stdio) = &config.servers[0].transport else {
        panic!("stdio")
    };
    assert_eq!(stdio.args, ["${HOME}", "$5", "a$"]);
}

#[test]
fn a_secret_that_comes_from_a_variable_is_not_shown() {
    let shown = findings_of(&source(
        "gateway: {port: '${API_KEY}'}",
        &[("API_KEY", "sk-123")],
    ));
    assert!(!shown.contains("sk-123"), "{shown}");
    assert!(shown.contains("found a value that is not shown"), "{shown}");
}

#[test]
fn the_environment_wins_over_env_files_and_the_one_beside_the_file_over_the_other() {
    let file = |path: &str, text: &str| DotEnv {
        path: path.into(),
        text: text.to_owned(),
    };
    let mut all = source("gateway: {port: '${A}'}", &[]);
    all.builtin.insert("A".to_owned(), "1".to_owned());
    assert_eq!(port_of(&all), 1);
    all.dotenv
        .push(file("conf/.env", "# a comment\nexport B=9\n"));
    all.dotenv.push(file(".env", "A=2\n"));
    assert_eq!(port_of(&all), 2);
    all.dotenv[0].text.push_str("A='3'\n");
    assert_eq!(port_of(&all), 3);
    all.environment.insert("A".to_owned(), "4".to_owned());
    assert_eq!(port_of(&all), 4);
}

#[test]
fn an_env_file_overrides_like_the_environment() {
    let mut all = source("gateway: {port: 1}", &[]);
    all.dotenv.push(DotEnv {
        path: ".env".into(),
        text: "CONDUIT_PORT=2".to_owned(),
    });
    assert_eq!(port_of(&all), 2);
}

#[test]
fn a_bad_line_of_an_env_file_is_warned_about_without_showing_it() {
    let mut all = source("", &[]);
    all.dotenv.push(DotEnv {
        path: ".env".into(),
        text: "sk-secret sk-secret\nA=1\n".to_owned(),
    });
    assert_eq!(
        findings_of(&all),
        "warning: .env: 1 of its lines cannot be read as NAME=value\n"
    );
}

#[test]
fn variables_work_inside_maps_and_lists() {
    let text =
        "servers: [{id: s, transport: stdio, command: c, env: {T: 'x${A}'}, args: ['${A}']}]";
    let config = conduit::config::load(&source(text, &[("A", "1")]))
        .unwrap()
        .config;
    let Transport::Stdio(stdio) = &config.servers[0].transport else {
        panic!("stdio")
    };
    assert_eq!(stdio.env["T"].expose(), "x1");
    assert_eq!(stdio.args, ["1"]);
}
