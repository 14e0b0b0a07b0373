//! Who approves: a name that anybody can type is worth nothing where callers have to prove theirs.

use serde_json::{Value, json};

use crate::guard::script;
use crate::support::gateway::Gateway;
use crate::support::idp::{Provider, claims};
use crate::support::message::{legacy_call, modern_call};
use crate::support::signer::Signer;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, Answer, Request};

const ADMIN: &str = "s3cret";

/// A gateway that holds every call.
struct Desk {
    gateway: Gateway,
    upstream: Upstream,
}

impl Desk {
    async fn start(more: Value) -> Self {
        let upstream = Upstream::start(script).await;
        let mut config = json!({
            "servers": [{ "id": "fake", "url": upstream.url() }],
            "guardrails": { "enabled": true,
                "rules": [{ "name": "ask", "action": "require_approval" }] },
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let gateway = Gateway::with(config).await;
        Self { gateway, upstream }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// Has a call held, by a client of either era at either endpoint: its approval's id.
    async fn hold(&self, request: Request, credential: &str) -> String {
        let request = request.header("authorization", &format!("Bearer {credential}"));
        let answer = self.ask(&request).await.json();
        assert_eq!(answer["error"]["code"], -32011, "{answer}");
        let id = &answer["error"]["data"]["approval_request_id"];
        id.as_str().unwrap().to_owned()
    }

    /// Decides with the admin key and what else is presented: the status, and the code or the status that
    /// the request has by now.
    async fn decide(
        &self,
        id: &str,
        verdict: &str,
        fields: &[(&str, &str)],
        body: Value,
    ) -> (u16, String) {
        let path = format!("/conduit/governance/approvals/{id}/{verdict}");
        let mut request = Request::post(&path).header("x-conduit-admin", "1");
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let answer = self.ask(&request.body(body.to_string())).await;
        let said = answer.json();
        let text = said["code"]
            .as_str()
            .or_else(|| said["request"]["status"].as_str());
        (answer.status, text.unwrap_or_default().to_owned())
    }

    /// Approves with an approver's credential beside the admin key.
    async fn approve(&self, id: &str, credential: &str) -> (u16, String) {
        let fields = [("x-admin-key", ADMIN), ("x-conduit-approver", credential)];
        self.decide(id, "approve", &fields, json!({})).await
    }

    fn n_calls(&self) -> usize {
        self.upstream.recorded("tools/call").len()
    }
}

fn config() -> Value {
    let key = |key: &str, client: &str, tenant: &str, roles: &[&str]| json!({ "key": key, "client_id": client, "tenant_id": tenant, "roles": roles });
    json!({
        "admin": { "key": ADMIN },
        "auth": { "method": "api-key", "api_keys": [
            key("agent-key", "agent", "acme", &[]),
            key("agent-chief-key", "agent", "acme", &["approver"]),
            key("boss-key", "boss", "acme", &["approver"]),
            key("clerk-key", "clerk", "acme", &["viewer"]),
            key("lead-key", "lead-1", "acme", &[]),
            key("rival-key", "rival", "other", &["approver"]),
        ] },
        "governance": { "role_bindings": [
            { "workspace_id": "default", "role": "admin", "clients": ["lead-*"] },
            { "workspace_id": "elsewhere", "role": "admin", "clients": ["clerk"] },
        ] },
    })
}

fn call(n: u32) -> Request {
    modern_call("/mcp/fake", &json!(1), "echo", json!({ "n": n }))
}

fn said(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[tokio::test]
async fn only_who_proves_one_of_the_roles_and_did_not_ask_approves() {
    let desk = Desk::start(config()).await;
    let id = desk.hold(call(1), "agent-key").await;
    for (credential, expected) in [
        ("clerk-key", said(400, "approver_role_missing")),
        ("rival-key", said(400, "approver_tenant")),
        ("agent-key", said(400, "approver_is_requester")),
        ("agent-chief-key", said(400, "approver_is_requester")),
        ("nobodys-key", said(401, "approver_unproven")),
        (ADMIN, said(401, "approver_unproven")),
        ("Bearer boss-key", said(200, "approved")),
    ] {
        assert_eq!(
            desk.approve(&id, credential).await,
            expected,
            "{credential}"
        );
    }
    let again = desk.approve(&id, "lead-key").await;
    assert_eq!(again, said(400, "approval_settled"));
    let id = desk.hold(call(2), "agent-key").await;
    assert_eq!(
        desk.approve(&id, "lead-key").await,
        said(200, "approved"),
        "by its binding"
    );
    assert_eq!(desk.n_calls(), 0);
}

#[tokio::test]
async fn a_name_is_no_proof_where_callers_have_to_authenticate() {
    let desk = Desk::start(config()).await;
    let id = desk.hold(call(1), "agent-key").await;
    let boss = json!({ "approver_client_id": "boss" });
    let admin = ("x-admin-key", ADMIN);
    let bearer = format!("Bearer {ADMIN}");
    let unproven = said(401, "approver_unproven");
    let rows: [(&[(&str, &str)], Value, _); 7] = [
        (&[admin], boss.clone(), unproven.clone()),
        (
            &[("authorization", &bearer)],
            boss.clone(),
            unproven.clone(),
        ),
        (
            &[("x-conduit-approver", "boss-key")],
            boss.clone(),
            said(401, ""),
        ),
        (
            &[
                admin,
                ("x-conduit-approver", "boss-key"),
                ("x-conduit-approver", "boss-key"),
            ],
            boss.clone(),
            unproven.clone(),
        ),
        (
            &[admin, ("x-conduit-approver", "clerk-key")],
            boss.clone(),
            said(401, "approver_differs"),
        ),
        (
            &[
                admin,
                ("x-conduit-approver", "boss-key"),
                ("x-api-key", "clerk-key"),
            ],
            boss.clone(),
            unproven,
        ),
        (
            &[("authorization", &bearer), ("x-api-key", "boss-key")],
            boss,
            said(200, "rejected"),
        ),
    ];
    for (fields, body, expected) in rows {
        let told = desk.decide(&id, "reject", fields, body).await;
        assert_eq!(told, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn who_approved_is_told_with_its_proof_and_the_call_passes_once_in_both_eras() {
    let desk = Desk::start(config()).await;
    let arguments = json!({ "n": 1 });
    let ways = [
        modern_call("/mcp/fake", &json!(1), "echo", arguments.clone()),
        modern_call("/mcp", &json!(1), "fake.echo", arguments.clone()),
        legacy_call("/mcp/fake", &json!(1), "echo", arguments),
    ];
    for way in &ways {
        let id = desk.hold(way.clone(), "agent-key").await;
        assert_eq!(desk.approve(&id, "boss-key").await, said(200, "approved"));
        let retry = way.clone().header("x-conduit-approval-id", &id);
        let own = retry.clone().header("authorization", "Bearer agent-key");
        let others = retry.header("authorization", "Bearer boss-key");
        let answer = desk.ask(&others).await.json();
        assert_eq!(answer["error"]["data"]["status"], "mismatch", "{answer}");
        let answer = desk.ask(&own).await.json();
        assert!(answer["result"].is_object(), "{answer}");
        let answer = desk.ask(&own).await.json();
        assert_eq!(answer["error"]["data"]["status"], "used", "{answer}");
    }
    assert_eq!(desk.n_calls(), ways.len());
    let list = Request::get("/conduit/governance/approvals?status=used");
    let list = desk.ask(&list.header("x-admin-key", ADMIN)).await.json();
    let used = list["approvals"].as_array().unwrap();
    assert_eq!(used.len(), ways.len());
    for approval in used {
        assert_eq!(approval["approver_client_id"], "boss", "{approval}");
        assert_eq!(approval["approver_proof"], "api-key", "{approval}");
        assert_eq!(approval["requester_client_id"], "agent", "{approval}");
    }
}

#[tokio::test]
async fn a_token_is_a_proof_and_its_claims_are_the_roles() {
    let signer = Signer::ed25519("e");
    let provider = Provider::start(&[&signer]).await;
    let desk = Desk::start(json!({ "admin": { "key": ADMIN }, "auth": provider.auth() })).await;
    let token = |client: &str, roles: Value| {
        let mut claims = claims(client);
        claims["roles"] = roles;
        signer.sign(&claims)
    };
    let id = desk.hold(call(1), &token("agent", json!([]))).await;
    let own = token("agent", json!(["owner"]));
    assert_eq!(
        desk.approve(&id, &own).await,
        said(400, "approver_is_requester")
    );
    let viewer = token("boss", json!(["viewer"]));
    assert_eq!(
        desk.approve(&id, &viewer).await,
        said(400, "approver_role_missing")
    );
    let boss = token("boss", json!(["viewer", "owner"]));
    assert_eq!(desk.approve(&id, &boss).await, said(200, "approved"));
}

#[tokio::test]
async fn without_an_admin_key_the_approver_authenticates_as_callers_do() {
    let mut config = config();
    config.as_object_mut().unwrap().remove("admin");
    let desk = Desk::start(config).await;
    let id = desk.hold(call(1), "agent-key").await;
    let own = [("authorization", "Bearer agent-key")];
    let told = desk.decide(&id, "approve", &own, json!({})).await;
    assert_eq!(told, said(400, "approver_is_requester"));
    let boss = [("authorization", "Bearer boss-key")];
    let told = desk
        .decide(
            &id,
            "approve",
            &boss,
            json!({ "approver_client_id": "boss" }),
        )
        .await;
    assert_eq!(told, said(200, "approved"));
}

#[tokio::test]
async fn a_role_that_nobody_can_prove_is_nobodys() {
    let required = json!({ "approvals": { "required_roles": ["owner"] } });
    let desk = Desk::start(json!({ "governance": required })).await;
    let answer = desk.ask(&call(1)).await.json();
    let id = answer["error"]["data"]["approval_request_id"]
        .as_str()
        .unwrap();
    let body = json!({ "approver_client_id": "boss" });
    let told = desk.decide(id, "approve", &[], body).await;
    assert_eq!(told, said(400, "approver_unprovable"));
    let warned = desk.gateway.process.output();
    assert!(
        warned.contains("governance.approvals.required_roles"),
        "{warned}"
    );
}

#[tokio::test]
async fn the_roles_in_force_are_those_of_the_last_reload() {
    let desk = Desk::start(config()).await;
    let id = desk.hold(call(1), "agent-key").await;
    assert_eq!(
        desk.approve(&id, "clerk-key").await,
        said(400, "approver_role_missing")
    );
    let mut config = config();
    config["governance"]["approvals"] = json!({ "required_roles": ["viewer"] });
    config["servers"] = json!([{ "id": "fake", "url": desk.upstream.url() }]);
    config["guardrails"] = json!({ "enabled": true,
        "rules": [{ "name": "ask", "action": "require_approval" }] });
    desk.gateway.rewrite(config);
    let reload = Request::post("/conduit/config/reload").header("x-conduit-admin", "1");
    let reloaded = desk.ask(&reload.header("x-admin-key", ADMIN)).await;
    assert!(
        reloaded.text().contains("governance.approvals"),
        "{reloaded:?}"
    );
    assert_eq!(
        desk.approve(&id, "boss-key").await,
        said(400, "approver_role_missing")
    );
    assert_eq!(desk.approve(&id, "clerk-key").await, said(200, "approved"));
}
