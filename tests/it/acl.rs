//! Who may do what: on every method, by every way, in both eras.
//!
//! Issue 5, item 4; conduit.md 10.2, 32 to 35.

mod bypass;
mod list;
mod site;
mod together;
mod unclear;

use serde_json::{Value, json};

use crate::acl::site::{Form, KINDS, Site, is_done, names, params};
use crate::support::message::{legacy, legacy_call, modern, modern_call, post};
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, Answer, Request};

/// Nothing but this.
fn only(allow: Value) -> Value {
    json!({ "enabled": true, "default_action": "deny",
        "policies": [{ "name": "few", "clients": ["anonymous"], "allow": allow }] })
}

/// Everything but this.
fn all_but(deny: Value) -> Value {
    json!({ "enabled": true,
        "policies": [{ "name": "most", "clients": ["*"], "deny": deny }] })
}

async fn check(site: &Site, query: &str) -> Answer {
    site.ask(&Request::get(&format!("/conduit/acl/check?{query}")))
        .await
}

// === what is told ===

#[tokio::test]
async fn a_denied_call_is_answered_in_a_200_that_names_the_rule_and_is_counted() {
    let site = Site::start(
        Form::Json,
        all_but(json!([{ "server": "one", "tools": ["drop_*"] }])),
    )
    .await;
    site.ask(&modern("/mcp", &json!(1), "tools/list", json!({})))
        .await;
    let call = |path: &str, name: &str| modern_call(path, &json!(7), name, json!({}));
    for (path, name) in [("/mcp/one", "drop_a"), ("/mcp", "one.drop_a")] {
        let answer = site.ask(&call(path, name)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let error = json!({ "code": -32000, "message": "Access denied: client 'anonymous' is not \
            allowed to call 'drop_a' on server 'one' (policy 'most', deny[0])" });
        assert_eq!(
            answer.json(),
            json!({ "jsonrpc": "2.0", "id": 7, "error": error })
        );
    }
    let denied = site.ask(&call("/mcp/one", "drop_invented")).await;
    assert_eq!(denied.json()["error"]["code"], -32000);
    assert!(site.calls("one").is_empty());
    let metrics = site.ask(&Request::get("/conduit/metrics")).await.text();
    for line in [
        r#"conduit_acl_denials_total{client="anonymous",server="one",tool="drop_a"} 2"#,
        r#"conduit_acl_denials_total{client="anonymous",server="one",tool="_other"} 1"#,
        r#"conduit_errors_total{server="one",type="acl_denied"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let line = r#""reason":"acl_denied","error_message":"policy 'most', deny[0]""#;
    until("the access line", || async {
        site.gateway.process.output().contains(line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn in_shadow_mode_everything_passes_and_is_counted() {
    let mut acl = only(json!([{ "server": "one", "tools": ["get_a"] }]));
    acl["mode"] = json!("shadow");
    let site = Site::start(Form::Json, acl).await;
    for (path, name) in [
        ("/mcp/one", "drop_a"),
        ("/mcp/two", "get_a"),
        ("/mcp", "two.get_a"),
    ] {
        let answer = site
            .ask(&modern_call(path, &json!(1), name, json!({})))
            .await;
        assert!(is_done(&answer), "{answer:?}");
    }
    let listed = site
        .ask(&modern("/mcp/one", &json!(1), "tools/list", json!({})))
        .await;
    assert_eq!(
        names("tools/list", &listed.last_json()).len(),
        site::TOOLS.len()
    );
    let metrics = site.ask(&Request::get("/conduit/metrics")).await.text();
    let line = r#"conduit_acl_shadow_denials_total{client="anonymous",server="two",tool=""#;
    assert!(metrics.contains(line), "{metrics}");
    assert!(!metrics.contains("conduit_acl_denials_total{"), "{metrics}");
}

#[tokio::test]
async fn a_server_of_which_nothing_is_permitted_answers_as_one_that_there_is_not() {
    let site = Site::start(
        Form::Json,
        only(json!([{ "server": "two", "tools": ["*"] }])),
    )
    .await;
    let initialize = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "t", "version": "1" } });
    let at = |id: &str| {
        let path = format!("/mcp/{id}");
        let batch = format!(
            r#"[{}]"#,
            json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
        );
        vec![
            modern_call(&path, &json!(1), "get_a", json!({})),
            modern(&path, &json!(1), "server/discover", json!({})),
            modern(&path, &json!(1), "tools/list", json!({})),
            modern(&path, &json!(1), "no/such", json!({})),
            legacy(&path, &json!(1), "initialize", initialize.clone()),
            legacy(&path, &json!(1), "ping", json!({})),
            legacy_call(&path, &json!(1), "get_a", json!({})),
            legacy_call(&path, &json!(1), "get_a", json!({})).header("mcp-session-id", "x"),
            post(&path, batch).header("mcp-protocol-version", "2025-03-26"),
            Request::get(&path).header("accept", "text/event-stream"),
            Request::delete(&path),
            Request::get(&format!("{path}/sse")),
            Request::post(&format!("{path}/message?sessionId=x")).body("{}"),
            modern_call("/mcp", &json!(1), &format!("{id}.get_a"), json!({})),
            modern(
                "/mcp",
                &json!(1),
                "resources/read",
                json!({ "uri": format!("{id}+file:///pub/a") }),
            ),
            modern_call(
                &format!("/mcp/profile/only-{id}"),
                &json!(1),
                "x",
                json!({}),
            ),
        ]
    };
    for (hidden, absent) in at("one").iter().zip(at("six")) {
        let (hidden, absent) = (site.ask(hidden).await, site.ask(&absent).await);
        assert_eq!(hidden.status, absent.status, "{hidden:?} {absent:?}");
        let said = absent
            .text()
            .replace("six", "one")
            .replace("only-six", "only-one");
        assert_eq!(hidden.text(), said);
        assert_eq!(hidden.headers.get("x-conduit-server-id"), None);
        assert_eq!(absent.headers.get("allow"), hidden.headers.get("allow"));
    }
    let discovered = site
        .ask(&modern("/mcp", &json!(1), "server/discover", json!({})))
        .await;
    let told = discovered.text();
    assert!(told.contains("## two") && !told.contains("one"), "{told}");
    for kind in KINDS {
        let listed = site
            .ask(&modern("/mcp", &json!(1), kind.list, json!({})))
            .await;
        let text = listed.text();
        assert!(!text.contains("\"one.") && !text.contains("one+"), "{text}");
    }
    assert!(site.calls("one").is_empty());
}

#[tokio::test]
async fn the_check_says_what_a_call_is_told_and_how_it_came_about() {
    let acl = json!({ "enabled": true, "default_action": "deny", "policies": [
        { "name": "bots", "clients": ["bot-*"], "allow": [{ "server": "*", "tools": ["*"] }] },
        { "name": "devs", "clients": ["*"], "roles": ["dev"], "deny": [{ "server": "two", "tools": ["*"] }],
          "allow": [{ "server": "*", "tools": ["get_*"], "resources": ["file:///pub/*"] }] },
    ] });
    let site = Site::start(Form::Json, acl).await;
    let ask = async |query: &str| {
        let answer = check(&site, query).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let told = ask("client=bot-1&server=one&tool=drop_a").await;
    assert_eq!(
        (&told["allowed"], &told["policy"], &told["reason"]),
        (
            &json!(true),
            &json!("bots"),
            &json!("policy 'bots', allow[0] matches with '*'")
        )
    );
    let told = ask("client=ann&server=one&tool=drop_a&role=ops&role=dev").await;
    assert_eq!(
        (&told["allowed"], &told["policy"]),
        (&json!(false), &json!("devs"))
    );
    let considered = told["considered"].as_array().unwrap();
    assert_eq!(considered[0]["matches"], false);
    let rules = considered[1]["rules"].as_array().unwrap();
    assert_eq!(
        rules[0],
        json!({ "list": "deny", "index": 0, "server": "two",
        "server_matches": false, "pattern": null })
    );
    assert_eq!(rules[1]["list"], "allow");
    let told = ask("client=ann&server=two&tool=get_a&role=dev").await;
    assert_eq!(
        (&told["allowed"], &told["server_visible"]),
        (&json!(false), &json!(false))
    );
    let told = ask("client=ann&server=one&resource=file:///pub/../x&role=dev").await;
    assert_eq!(told["allowed"], false);
    let told = ask("client=ann&server=one&tool=get_a").await;
    assert_eq!(
        (&told["allowed"], &told["policy"]),
        (&json!(false), &Value::Null)
    );
    for query in [
        "",
        "client=a&server=b",
        "client=a&tool=b",
        "client=&server=b&tool=c",
        "client=a&server=b&tool=c&prompt=d",
    ] {
        let refused = check(&site, query).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.json()["error"].is_string(), "{query}");
    }
    site.reload(json!({ "enabled": false })).await;
    let told = ask("client=a&server=b&tool=c").await;
    assert_eq!(
        told,
        json!({ "allowed": true, "policy": null, "reason": "ACL is off" })
    );
}

// === what is heard ===

#[tokio::test]
async fn a_reload_is_in_effect_at_once_in_sessions_lists_and_streams() {
    let site = Site::start(
        Form::Json,
        all_but(json!([{ "server": "two", "tools": ["drop_*"] }])),
    )
    .await;
    let session = site.session("/mcp").await;
    let call = |name: &str| {
        legacy_call("/mcp", &json!(1), name, json!({})).header("mcp-session-id", &session)
    };
    assert!(is_done(&site.ask(&call("one.get_a")).await));
    let list =
        legacy("/mcp", &json!(2), "tools/list", json!({})).header("mcp-session-id", &session);
    assert!(site.ask(&list).await.text().contains("one.get_a"));
    let filter = json!({ "notifications": { "toolsListChanged": true,
        "resourceSubscriptions": ["one+file:///pub/a"] } });
    let listen = modern("/mcp", &json!(9), "subscriptions/listen", filter.clone());
    let mut listening = wire::stream(site.gateway.address, &listen).await;
    let acknowledged = listening.event().await.unwrap();
    assert!(acknowledged.contains("acknowledged"), "{acknowledged}");
    let hear = Request::get("/mcp")
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &session);
    let mut hearing = wire::stream(site.gateway.address, &hear).await;

    site.reload(all_but(json!([{ "server": "one", "tools": ["*"] }])))
        .await;

    let mut last = acknowledged;
    while let Some(event) = listening.event().await {
        last = event;
    }
    assert!(last.contains(r#""id":9,"result""#), "{last}");
    let told = hearing.event().await.unwrap();
    assert!(told.contains("list_changed"), "{told}");
    assert!(!is_done(&site.ask(&call("one.get_a")).await));
    assert!(is_done(&site.ask(&call("two.drop_a")).await));
    let listed = site.ask(&list).await.text();
    assert!(
        !listed.contains("\"one.") && listed.contains("two.drop_a"),
        "{listed}"
    );
}

#[tokio::test]
async fn who_names_a_resource_that_is_denied_does_not_listen() {
    let site = Site::start(
        Form::Json,
        all_but(json!([{ "server": "*", "resources": ["file:///priv/*"] }])),
    )
    .await;
    let listen = |path: &str, uris: Value| {
        let filter = json!({ "notifications": { "resourceSubscriptions": uris } });
        modern(path, &json!(1), "subscriptions/listen", filter)
    };
    for (path, uris) in [
        ("/mcp/one", json!(["file:///pub/a", "file:///priv/b"])),
        ("/mcp/one", json!(["file:///pub/../priv/b"])),
        ("/mcp/one", json!(["FILE:///priv/b"])),
        ("/mcp", json!(["one+file:///pub/a", "two+file:///priv/b"])),
    ] {
        let refused = site.ask(&listen(path, uris.clone())).await;
        assert_eq!(
            refused.json()["error"]["code"],
            -32000,
            "{uris}: {refused:?}"
        );
    }
    for path in ["/mcp/one", "/mcp"] {
        let session = site.session(path).await;
        let uri = if path == "/mcp" {
            "one+file:///priv/b"
        } else {
            "file:///priv/b"
        };
        let subscribe = json!({ "uri": uri });
        let mut subscribe = legacy(path, &json!(1), "resources/subscribe", subscribe);
        if !session.is_empty() {
            subscribe = subscribe.header("mcp-session-id", &session);
        }
        let refused = site.ask(&subscribe).await;
        assert_eq!(refused.json()["error"]["code"], -32000, "{refused:?}");
    }
    for server in ["one", "two"] {
        assert!(
            site.upstream(server)
                .recorded("resources/subscribe")
                .is_empty()
        );
        let heard = site.upstream(server).recorded("subscriptions/listen");
        assert!(
            heard
                .iter()
                .all(|one| !String::from_utf8_lossy(&one.body).contains("priv"))
        );
    }
}

#[tokio::test]
async fn news_of_a_resource_that_is_denied_is_not_delivered() {
    let site = Site::start(
        Form::News,
        all_but(json!([{ "server": "*", "resources": ["file:///priv/*"] }])),
    )
    .await;
    // The server tells of both resources before it answers, and on the stream of a session.
    for path in ["/mcp/one", "/mcp"] {
        let name = if path == "/mcp" { "one.get_a" } else { "get_a" };
        let session = site.session(path).await;
        let call = legacy_call(path, &json!(1), name, json!({})).header("mcp-session-id", &session);
        let answer = site.ask(&call).await;
        let text = answer.text();
        assert!(
            text.contains("file:///pub/a") && text.contains(r#""id":1"#),
            "{path} {text}"
        );
        assert!(!text.contains("priv"), "{path} {text}");
        let hear = Request::get(path)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", &session);
        let mut hearing = wire::stream(site.gateway.address, &hear).await;
        let told = hearing.event().await.unwrap();
        assert!(told.contains("file:///pub/a"), "{path} {told}");
    }
    let modern = site
        .ask(&modern_call("/mcp/one", &json!(1), "get_a", json!({})))
        .await
        .text();
    assert!(
        modern.contains("file:///pub/a") && !modern.contains("priv"),
        "{modern}"
    );
}

/// The upstreams of a site remember what reached them.
fn reached(upstream: &Upstream, method: &str, name: &str) -> bool {
    let seen = upstream.recorded(method);
    seen.iter().any(|one| params(&one.json(), method) == name)
}
