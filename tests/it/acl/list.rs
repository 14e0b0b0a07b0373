//! Lists show exactly what can be used: any rules, both eras, one server and several, stored or not.

use std::collections::BTreeSet;

use filters::acl::Rules;
use filters::acl::spec::{Effect, Policy, Rule, Spec, Who};
use filters::acl::view::Item;
use filters::identity::Principal;
use filters::mcp::list::Kind;
use filters::route::uri;
use serde_json::{Value, json};

use crate::acl::site::{Form, KINDS, KindOf, Site, is_done, names};
use crate::support::message::{legacy, modern, post};
use crate::support::wire::Request;

/// How many sets of rules each site is asked under.
const ROUNDS: u64 = 5;

/// A generator that every run seeds alike.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub(super) fn some(&mut self, of: &[&str]) -> Vec<String> {
        let n = 1 + self.roll(2);
        (0..n).map(|_| of[self.roll(of.len())].to_owned()).collect()
    }

    fn maybe(&mut self, of: &[&str]) -> Option<Vec<String>> {
        (self.roll(3) > 0).then(|| self.some(of))
    }

    fn rule(&mut self) -> Rule {
        Rule {
            server: ["one", "two", "*", "o*"][self.roll(4)].to_owned(),
            tools: Some(self.some(&["get_*", "*_a", "drop_b", "a.b.c", "*", "?et_b"])),
            prompts: self.maybe(&["greet", "get_*", "*"]),
            resources: self.maybe(&[
                "file:///pub/*",
                "file:///*",
                "db://h/x",
                "*",
                "file:///priv/b",
            ]),
        }
    }

    pub(super) fn rules(&mut self) -> Spec {
        let list = |dice: &mut Self, max: usize| -> Vec<Rule> {
            (0..dice.roll(max)).map(|_| dice.rule()).collect()
        };
        let policies = ["anonymous", "*"].map(|client| Policy {
            name: client.to_owned(),
            who: Who {
                clients: Some(vec![client.to_owned()]),
                roles: (self.roll(4) == 0).then(|| vec!["none".to_owned()]),
                ..Who::default()
            },
            allow: list(self, 4),
            deny: list(self, 3),
        });
        Spec {
            default: [Effect::Allow, Effect::Deny][self.roll(2)],
            policies: policies.into(),
            ..Spec::default()
        }
    }
}

pub(super) fn written(spec: &Spec) -> Value {
    let rules = |rules: &[Rule]| -> Value {
        let rules = rules.iter().map(|rule| {
            let mut written = json!({ "server": rule.server, "tools": rule.tools });
            for (key, list) in [("prompts", &rule.prompts), ("resources", &rule.resources)] {
                if let Some(list) = list {
                    written[key] = json!(list);
                }
            }
            written
        });
        rules.collect()
    };
    let policies = spec.policies.iter().map(|policy| {
        let mut written = json!({ "clients": policy.who.clients, "allow": rules(&policy.allow),
            "deny": rules(&policy.deny) });
        if let Some(roles) = &policy.who.roles {
            written["roles"] = json!(roles);
        }
        written
    });
    let policies: Value = policies.collect();
    json!({ "enabled": true, "default_action": spec.default.label(), "policies": policies })
}

/// Who asks: at an endpoint, in an era, in a session where there is one.
pub(super) struct Client {
    pub(super) path: &'static str,
    is_modern: bool,
    session: String,
    is_batch: bool,
}

impl Client {
    fn request(&self, method: &str, params: Value) -> Request {
        if self.is_modern {
            return modern(self.path, &json!(1), method, params);
        }
        let request = if self.is_batch {
            let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            post(self.path, json!([message]).to_string())
                .header("mcp-protocol-version", "2025-03-26")
        } else {
            legacy(self.path, &json!(1), method, params)
        };
        if self.session.is_empty() {
            return request;
        }
        request.header("mcp-session-id", &self.session)
    }

    /// What it calls a thing of a server.
    pub(super) fn outer(&self, server: &str, kind: &KindOf, name: &str) -> String {
        match (self.path, kind.key) {
            ("/mcp", "name") => format!("{server}.{name}"),
            ("/mcp", _) => uri::outer(server, name),
            _ => name.to_owned(),
        }
    }

    /// The answer; nothing where it is no result.
    async fn ask(&self, site: &Site, method: &str, params: Value) -> Option<Value> {
        let message = self.told(site, method, params).await;
        message["result"].is_object().then_some(message)
    }

    /// The answer, whatever it is.
    pub(super) async fn told(&self, site: &Site, method: &str, params: Value) -> Value {
        let answer = site.ask(&self.request(method, params)).await;
        let mut message = answer.last_json();
        if let Some(first) = message.get_mut(0) {
            message = first.take();
        }
        if !is_done(&answer) && !self.is_batch {
            assert!(!message["result"].is_object(), "{answer:?}");
        }
        message
    }
}

pub(super) async fn clients(site: &Site) -> Vec<Client> {
    let mut clients = Vec::new();
    for path in ["/mcp/one", "/mcp/two", "/mcp"] {
        let client = |is_modern, session: &str, is_batch| Client {
            path,
            is_modern,
            session: session.to_owned(),
            is_batch,
        };
        clients.push(client(true, "", false));
        let session = site.try_session(path).await.unwrap_or_default();
        clients.push(client(false, &session, false));
        clients.push(client(false, &session, true));
    }
    clients
}

pub(super) fn kind_of(kind: &KindOf) -> Kind {
    Kind::ALL
        .into_iter()
        .find(|one| one.member() == kind.member)
        .unwrap()
}

/// Has every client list and use everything, and compares both with the rules.
async fn probe(site: &Site, spec: &Spec) {
    let rules = Rules::compile(spec);
    let who = Principal::anonymous();
    let clients = clients(site).await;
    for (client, kind) in clients
        .iter()
        .flat_map(|one| KINDS.iter().map(move |kind| (one, kind)))
    {
        let servers = match client.path {
            "/mcp/one" => vec!["one"],
            "/mcp/two" => vec!["two"],
            _ => vec!["one", "two"],
        };
        let context = || {
            format!(
                "{} modern={} {} {spec:?}",
                client.path, client.is_modern, kind.list
            )
        };
        let mut listed = BTreeSet::new();
        // Twice: the second one may be a stored one.
        for _ in 0..2 {
            let answer = client.ask(site, kind.list, json!({})).await;
            let shown = answer
                .map(|answer| names(kind.list, &answer))
                .unwrap_or_default();
            listed = shown.into_iter().collect();
        }
        for (server, name) in servers
            .iter()
            .flat_map(|id| kind.items.iter().map(move |name| (*id, *name)))
        {
            let outer = client.outer(server, kind, name);
            let is_permitted = rules
                .view(&who, server)
                .permits(Item::of(kind_of(kind), name));
            assert_eq!(
                listed.contains(&outer),
                is_permitted,
                "list {outer}: {}",
                context()
            );
            let used = client.ask(site, kind.call, kind.params(&outer)).await;
            assert_eq!(used.is_some(), is_permitted, "use {outer}: {}", context());
        }
    }
}

async fn any_rules(form: Form, era: &str, seed: u64) {
    let mut dice = Dice(seed);
    let site = Site::with(form, json!({ "enabled": false }), json!({}), era).await;
    for _ in 0..ROUNDS {
        let spec = dice.rules();
        site.reload_in(written(&spec), era).await;
        probe(&site, &spec).await;
    }
}

#[tokio::test]
async fn lists_show_exactly_what_can_be_used_where_servers_answer_in_documents() {
    any_rules(Form::Json, "auto", 1).await;
}

#[tokio::test]
async fn lists_show_exactly_what_can_be_used_where_servers_answer_in_streams() {
    any_rules(Form::Sse, "auto", 2).await;
}

#[tokio::test]
async fn lists_show_exactly_what_can_be_used_where_answers_are_stored_for_all() {
    any_rules(Form::Cached, "auto", 3).await;
}

#[tokio::test]
async fn lists_show_exactly_what_can_be_used_across_eras() {
    any_rules(Form::Json, "modern", 4).await;
    any_rules(Form::Sse, "legacy", 5).await;
}

#[tokio::test]
async fn cursors_go_through_what_is_shown_and_skip_nothing() {
    let acl = json!({ "enabled": true, "default_action": "deny", "policies": [{ "clients": ["*"],
        "allow": [{ "server": "one", "tools": ["*_a", "a.b.c"] }, { "server": "two", "tools": ["drop_*"] }] }] });
    let router = json!({ "list_page_size": 1 });
    let site = Site::with(Form::Json, acl, router, "auto").await;
    let mut seen = Vec::new();
    let mut params = json!({});
    loop {
        let page = site
            .ask(&modern("/mcp", &json!(1), "tools/list", params.clone()))
            .await
            .json();
        let names = names("tools/list", &page);
        assert_eq!(names.len(), 1, "{page}");
        seen.extend(names);
        match page["result"]["nextCursor"].as_str() {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => break,
        }
    }
    let wanted = [
        "one.get_a",
        "one.drop_a",
        "one.a.b.c",
        "one.one.get_a",
        "two.drop_a",
        "two.drop_b",
    ];
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_shared_copy_is_cut_for_each_caller_and_called_private() {
    let deny = json!({ "enabled": true, "policies": [{ "clients": ["*"],
        "deny": [{ "server": "one", "tools": ["drop_*"] }] }] });
    let site = Site::start(Form::Cached, json!({ "enabled": false })).await;
    let list = modern("/mcp/one", &json!(1), "tools/list", json!({}));
    assert!(site.ask(&list).await.text().contains("drop_a"));
    let read = site.upstream("one").recorded("tools/list").len();
    site.reload(deny).await;
    let cut = site.ask(&list).await;
    assert_eq!(
        cut.headers.get("x-conduit-cache-status"),
        Some("HIT"),
        "{cut:?}"
    );
    assert!(!cut.text().contains("drop_"), "{}", cut.text());
    assert_eq!(cut.json()["result"]["cacheScope"], "private");
    site.reload(json!({ "enabled": false })).await;
    let whole = site.ask(&list).await;
    assert!(whole.text().contains("drop_a"));
    assert_eq!(whole.json()["result"]["cacheScope"], "public");
    assert_eq!(site.upstream("one").recorded("tools/list").len(), read);
}
