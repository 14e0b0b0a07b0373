use std::sync::Arc;

use super::*;
use crate::acl::spec::{Effect, Policy, Rule, Spec, Who};
use crate::guard::rules::Rules as Guard;
use crate::guard::spec::{self, Action, Check, Operator};
use crate::identity::Proof;
use crate::problem::Problems;
use crate::rate::window::Limit;

/// Policies of every kind: `alice` may call `read*` of `s` only; what has a `secret` is refused; one
/// call a minute; `read_all` needs a scope.
struct Book {
    acl: acl::Rules,
    scopes: scope::Rules,
    limits: rate::rules::Rules,
    guard: Guard,
    naming: Naming,
}

/// A tool lock that refuses one tool.
#[derive(Debug)]
struct Locks;

impl Lock for Locks {
    fn standing(&self, _server: &str, tool: &str) -> Option<Standing> {
        Some(match tool {
            "read_changed" => Standing::Refused(Cause::Changed),
            _ => Standing::Approved,
        })
    }
}

impl Book {
    fn new() -> Self {
        let allow = Rule {
            server: "s".to_owned(),
            tools: Some(vec!["read*".to_owned()]),
            ..Rule::default()
        };
        let who = Who {
            clients: Some(vec!["alice".to_owned()]),
            ..Who::default()
        };
        let policy = Policy {
            name: "readers".to_owned(),
            who,
            allow: vec![allow],
            deny: Vec::new(),
        };
        let needed = scope::Server {
            all: Vec::new(),
            tools: vec![(crate::glob::Glob::new("read_all"), vec![Arc::from("all")])],
        };
        let leak = spec::Rule {
            name: "no-secrets".to_owned(),
            action: Action::Block,
            conditions: vec![spec::Condition {
                field: "secret".to_owned(),
                check: Check::Compare(Operator::Exists, true.into()),
            }],
            ..spec::Rule::default()
        };
        let guard = spec::Spec {
            is_enabled: true,
            rules: vec![leak],
            ..spec::Spec::default()
        };
        let limit = Limit {
            n_calls: 1,
            window: core::time::Duration::from_secs(60),
        };
        Self {
            acl: acl::Rules::compile(&Spec {
                default: Effect::Deny,
                policies: vec![policy],
                ..Spec::default()
            }),
            scopes: scope::Rules::new(Vec::new(), [("s".to_owned(), needed)].into()),
            limits: rate::rules::Rules::new(&[], &[limit]),
            guard: Guard::compile(&guard, &mut Problems::default()).of_servers(["s", "t"]),
            naming: Naming::new(
                Strategy::Prefix,
                "__",
                None,
                ["s".to_owned(), "t".to_owned()],
            ),
        }
    }

    /// The outcome, and the stages that were asked.
    fn ask(&self, client: &str, server: Option<&str>, message: &str) -> (Outcome, Vec<&str>) {
        let policies = Policies {
            acl: &self.acl,
            scopes: &self.scopes,
            limits: Some(&self.limits),
            guard: &self.guard,
            lock: Some(&Locks),
            naming: &self.naming,
        };
        let principal = Principal {
            client: client.into(),
            proof: Proof::Jwt,
            ..Principal::anonymous()
        };
        let told = explain(
            &policies,
            &Question {
                principal: &principal,
                server,
                message,
                result: None,
            },
        );
        let stages = told.stages.iter().map(|stage| match stage {
            Stage::Access { .. } => "acl",
            Stage::Scopes { .. } => "scopes",
            Stage::Lock(_) => "tool_lock",
            Stage::Limits(_) => "limits",
            Stage::Request(_) => "guardrails",
            Stage::Result(_) => "result",
        });
        (told.outcome, stages.collect())
    }
}

fn call(tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

#[test]
fn what_a_stage_refuses_no_later_one_is_asked_about() {
    let book = Book::new();
    for (client, server, message, outcome, stages) in [
        (
            "alice",
            "nowhere",
            call("read", "{}"),
            Outcome::UnknownServer,
            &[][..],
        ),
        (
            "bob",
            "s",
            call("read", "{}"),
            Outcome::UnknownServer,
            &["acl"],
        ),
        (
            "alice",
            "t",
            call("read", "{}"),
            Outcome::UnknownServer,
            &["acl"],
        ),
        ("alice", "s", call("write", "{}"), Outcome::Deny, &["acl"]),
        (
            "alice",
            "s",
            call("read_all", "{}"),
            Outcome::InsufficientScope,
            &["acl", "scopes"],
        ),
        (
            "alice",
            "s",
            call("read", r#"{"secret":1}"#),
            Outcome::Block,
            &["acl", "scopes", "tool_lock", "guardrails"],
        ),
        (
            "alice",
            "s",
            call("read", "{}"),
            Outcome::Allow,
            &["acl", "scopes", "tool_lock", "guardrails", "limits"],
        ),
        (
            "alice",
            "s",
            call("read_changed", r#"{"secret":1}"#),
            Outcome::Locked,
            &["acl", "scopes", "tool_lock"],
        ),
        ("alice", "s", "{".to_owned(), Outcome::Invalid, &[]),
    ] {
        let told = book.ask(client, Some(server), &message);
        assert_eq!(
            told,
            (outcome, stages.to_vec()),
            "{client} {server} {message}"
        );
    }
}

#[test]
fn both_spellings_are_decided_alike() {
    let book = Book::new();
    for (tool, arguments) in [
        ("read", "{}"),
        ("read", r#"{"secret":1}"#),
        ("write", "{}"),
        ("read_all", "{}"),
    ] {
        let bare = book.ask("alice", Some("s"), &call(tool, arguments));
        let long = book.ask("alice", None, &call(&format!("s__{tool}"), arguments));
        assert_eq!(bare, long, "{tool}");
    }
    let (outcome, _) = book.ask("alice", None, &call("read", "{}"));
    assert_eq!(outcome, Outcome::Invalid, "nothing tells whose it is");
}

#[test]
fn a_recorded_message_is_decided_alike_whatever_its_revision() {
    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let (outcome, _) = Book::new().ask("alice", Some("s"), modern);
    assert_eq!(outcome, Outcome::Allow);
}
