//! All policy at once: for any access rules, guardrails and tool lock, lists show what can be called, in
//! both eras, at one server and at several.
//!
//! *What can be called* is said of names, so each policy has its part in it:
//! - What the **access rules** deny is neither listed nor called.
//! - The **tool lock** (`block`) keeps tools that nobody approved out of both. A tool that changed stays
//!   listed, as it was approved, and is refused: a client would take another list for a change.
//! - **Guardrails** look at what is said, not at names: whatever they block stays listed, also where a
//!   rule has no condition. Who wants it hidden denies it.

use std::collections::BTreeMap;

use filters::acl::Rules;
use filters::acl::spec::Spec;
use filters::acl::view::Item;
use filters::glob::Glob;
use filters::identity::Principal;
use filters::lock::book::{Before, Book};
use filters::lock::definition::Definition;
use filters::mcp::list::Kind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acl::list::{Client, Dice, clients, kind_of, written};
use crate::acl::site::{Form, KINDS, KindOf, Site, TOOLS, names};

const ROUNDS: usize = 4;

/// How a tool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Approved,
    Changed,
    Added,
}

/// A guardrail as it is written, and as the documentation says what it does.
#[derive(Clone, Debug)]
struct Guardrail {
    on: &'static str,
    tools: Vec<String>,
    servers: Vec<String>,
    clients: Vec<String>,
    /// Whether its condition holds for these calls.
    holds: bool,
    is_block: bool,
}

/// All that is in force.
#[derive(Debug)]
struct Policy {
    acl: Spec,
    guardrails: Vec<Guardrail>,
    blocks_calls: bool,
    is_locked: bool,
    standings: BTreeMap<(&'static str, &'static str), Standing>,
}

impl Policy {
    fn roll(dice: &mut Dice) -> Self {
        let mut standings = BTreeMap::new();
        for (id, tool) in ["one", "two"]
            .iter()
            .flat_map(|id| TOOLS.iter().map(move |tool| (*id, *tool)))
        {
            let all = [
                Standing::Approved,
                Standing::Approved,
                Standing::Changed,
                Standing::Added,
            ];
            standings.insert((id, tool), all[dice.roll(all.len())]);
        }
        Self {
            acl: dice.rules(),
            guardrails: (0..dice.roll(4)).map(|_| Guardrail::roll(dice)).collect(),
            blocks_calls: dice.roll(4) == 0,
            is_locked: dice.roll(4) > 0,
            standings,
        }
    }

    fn standing(&self, server: &str, kind: Kind, name: &str) -> Standing {
        if kind != Kind::Tools || !self.is_locked {
            return Standing::Approved;
        }
        let mut standings = self.standings.iter();
        let found = standings.find(|((id, tool), _)| *id == server && *tool == name);
        found.map_or(Standing::Added, |(_, standing)| *standing)
    }

    /// Whether guardrails refuse a use: the first that matches decides.
    fn blocks(&self, server: &str, kind: Kind, name: &str) -> bool {
        let on = match kind {
            Kind::Tools => "calls",
            Kind::Prompts => "prompts",
            Kind::Resources => "resources",
            Kind::Templates => return false,
        };
        let mut rules = self.guardrails.iter();
        let first = rules.find(|rule| rule.on == on && rule.matches(server, name));
        first.map_or(self.blocks_calls && kind == Kind::Tools, |rule| {
            rule.is_block
        })
    }

    /// The sections of a configuration file.
    fn sections(&self, folder: &TempDir) -> Value {
        let rules = self.guardrails.iter().enumerate();
        let rules: Value = rules.map(|(n, rule)| rule.written(n)).collect();
        let default = if self.blocks_calls { "block" } else { "allow" };
        json!({
            "tool_lock": if self.is_locked { "block" } else { "off" },
            "tool_lock_file": folder.path().join("approved.lock"),
            "guardrails": { "enabled": true, "default_action": default, "rules": rules },
        })
    }

    /// The file of what was approved.
    fn approve(&self, folder: &TempDir) {
        let mut book = Book::default();
        for ((id, tool), standing) in &self.standings {
            let mut definition = json!({ "name": tool, "inputSchema": { "type": "object" } });
            match standing {
                Standing::Approved => {}
                Standing::Changed => definition["description"] = json!("as approved"),
                Standing::Added => continue,
            }
            let definition = Definition::read(&definition.to_string()).unwrap();
            let tools = book.open(id);
            tools
                .approve(&definition, "2026-01-01T00:00:00Z", Before::Replaced)
                .unwrap();
        }
        std::fs::write(folder.path().join("approved.lock"), book.write()).unwrap();
    }
}

impl Guardrail {
    fn roll(dice: &mut Dice) -> Self {
        Self {
            on: ["calls", "calls", "prompts", "resources"][dice.roll(4)],
            tools: dice.some(&["get_*", "*_a", "*", "greet", "file:///pub/*", "a.b.c"]),
            servers: dice.some(&["one", "two", "*", "t*"]),
            clients: dice.some(&["anonymous", "*", "other"]),
            holds: dice.roll(3) > 0,
            is_block: dice.roll(3) > 0,
        }
    }

    fn matches(&self, server: &str, name: &str) -> bool {
        let has = |patterns: &[String], text: &str| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| Glob::new(pattern).matches(text))
        };
        self.holds
            && has(&self.tools, name)
            && has(&self.servers, server)
            && has(&self.clients, "anonymous")
    }

    fn written(&self, n: usize) -> Value {
        let operator = if self.holds { "not_exists" } else { "exists" };
        json!({
            "name": format!("rule-{n}"),
            "on": [self.on],
            "tools": self.tools,
            "servers": self.servers,
            "clients": self.clients,
            "conditions": [{ "field": "no_such_thing", "operator": operator }],
            "action": if self.is_block { "block" } else { "alert" },
            "message": "blocked by a guardrail",
        })
    }
}

/// Why a use is refused; nothing where it is not.
fn reason(told: &Value) -> Option<&'static str> {
    if told["result"].is_object() {
        return None;
    }
    let message = told["error"]["message"].as_str().unwrap_or_default();
    Some(match told["error"]["code"].as_i64() {
        Some(-32000) if message.starts_with("Access denied") => "acl",
        Some(-32000) if message.contains("guardrail") => "guardrail",
        Some(-31403) => "lock",
        // Nothing is said of what the caller may not know of.
        Some(-31404 | -32002 | -32601 | -32602) => "unknown",
        _ => panic!("refused for no reason: {told}"),
    })
}

async fn probe(site: &Site, policy: &Policy) {
    let rules = Rules::compile(&policy.acl);
    for client in &clients(site).await {
        for kind in &KINDS {
            compare(site, policy, &rules, client, kind).await;
        }
    }
}

async fn compare(site: &Site, policy: &Policy, rules: &Rules, client: &Client, kind: &KindOf) {
    let listed = client.told(site, kind.list, json!({})).await;
    let shown = match listed["result"].is_object() {
        true => names(kind.list, &listed),
        false => Vec::new(),
    };
    let servers: &[&str] = match client.path {
        "/mcp/one" => &["one"],
        "/mcp/two" => &["two"],
        _ => &["one", "two"],
    };
    let of = kind_of(kind);
    let items = servers
        .iter()
        .flat_map(|id| kind.items.iter().map(move |name| (*id, *name)));
    for (server, name) in items {
        let outer = client.outer(server, kind, name);
        let context = || format!("{} {outer} {policy:?} {listed}", client.path);
        let is_permitted = rules
            .view(&Principal::anonymous(), server)
            .permits(Item::of(of, name));
        let standing = policy.standing(server, of, name);
        let is_listed = is_permitted && standing != Standing::Added;
        assert_eq!(shown.contains(&outer), is_listed, "listed: {}", context());
        if is_listed && standing == Standing::Changed {
            let mut tools = listed["result"]["tools"].as_array().unwrap().iter();
            let tool = tools.find(|tool| tool["name"] == *outer).unwrap();
            assert_eq!(tool["description"], "as approved", "{}", context());
        }
        let told = client.told(site, kind.call, kind.params(&outer)).await;
        let reason = reason(&told);
        let is_blocked = policy.blocks(server, of, name);
        let may_be: &[&str] = match (is_permitted, standing) {
            (false, _) => &["acl", "unknown"],
            // Which of the two is asked first is nobody's promise.
            (true, Standing::Changed | Standing::Added) => match is_blocked {
                true => &["lock", "guardrail"],
                false => &["lock"],
            },
            (true, Standing::Approved) if is_blocked => &["guardrail"],
            (true, Standing::Approved) => &[],
        };
        match reason {
            None => assert!(may_be.is_empty(), "used: {}", context()),
            Some(reason) => {
                assert!(may_be.contains(&reason), "{reason} {told}: {}", context());
            }
        }
    }
}

async fn any_policy(form: Form, era: &str, seed: u64) {
    let mut dice = Dice(seed);
    let folder = TempDir::new().unwrap();
    let policy = Policy::roll(&mut dice);
    policy.approve(&folder);
    let off = json!({ "enabled": false });
    let site = Site::beside(form, off, policy.sections(&folder), era).await;
    for _ in 0..ROUNDS {
        let policy = Policy::roll(&mut dice);
        policy.approve(&folder);
        let sections = policy.sections(&folder);
        site.reload_beside(written(&policy.acl), &sections, era)
            .await;
        probe(&site, &policy).await;
    }
}

#[tokio::test]
async fn lists_show_what_all_policy_leaves_where_servers_answer_in_documents() {
    any_policy(Form::Json, "auto", 11).await;
}

#[tokio::test]
async fn lists_show_what_all_policy_leaves_where_servers_answer_in_streams() {
    any_policy(Form::Sse, "auto", 12).await;
}

#[tokio::test]
async fn lists_show_what_all_policy_leaves_where_answers_are_stored_for_all() {
    any_policy(Form::Cached, "auto", 13).await;
}

#[tokio::test]
async fn lists_show_what_all_policy_leaves_across_eras() {
    any_policy(Form::Json, "modern", 14).await;
    any_policy(Form::Sse, "legacy", 15).await;
}

#[tokio::test]
async fn rules_that_are_only_rehearsed_hide_nothing_where_tools_are_locked() {
    let folder = TempDir::new().unwrap();
    let approved = TOOLS
        .iter()
        .map(|tool| (("one", *tool), Standing::Approved));
    let policy = Policy {
        acl: Spec::default(),
        guardrails: Vec::new(),
        blocks_calls: false,
        is_locked: true,
        standings: approved.collect(),
    };
    policy.approve(&folder);
    let acl = json!({ "enabled": true, "mode": "shadow", "default_action": "deny",
        "policies": [{ "clients": ["*"], "allow": [{ "server": "one", "tools": ["get_a"] }] }] });
    for form in [Form::Json, Form::Sse] {
        let site = Site::beside(form, acl.clone(), policy.sections(&folder), "auto").await;
        for client in clients(&site)
            .await
            .iter()
            .filter(|one| one.path == "/mcp/one")
        {
            let listed = client.told(&site, "tools/list", json!({})).await;
            assert_eq!(names("tools/list", &listed), TOOLS);
        }
    }
}
