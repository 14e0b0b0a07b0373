//! What an answer from the cache looks like to whoever gets it.

use serde_json::{Value, json};

use super::ask::{Ask, call, read};
use super::site::{Place, Say, Speech};
use super::{Bed, control, forget, told};
use crate::support::message::post;
use crate::support::until;
use crate::support::upstream::{end, event, sse_head};
use crate::support::wire::{self, Answer, Request};

/// A server whose read-only tools are cached for an hour.
fn cached(id: &str) -> Place {
    Place::new(id).cache(json!({ "default_ttl": 3600 }))
}

fn status(answer: &Answer) -> &str {
    answer.headers.get("x-conduit-cache-status").unwrap_or("-")
}

#[tokio::test]
async fn everybody_gets_their_own_id_byte_for_byte() {
    let bed = Bed::plain(vec![cached("s")]).await;
    let first = bed.ask("s", &call("read", "{}").id(r#""first""#)).await;
    let wanted = first.text();
    for id in [
        "0",
        "-1",
        "9007199254740993",
        "-123456789012345678901234567890",
        "1.50",
        "1E400",
        r#""""#,
        r#""1""#,
        r#""\u0041\n\"\\\/é😀\ud83d\ude00""#,
    ] {
        let answer = bed.ask("s", &call("read", "{}").id(id)).await;
        assert_eq!(status(&answer), "HIT", "{id}");
        let wanted = wanted.replacen(r#""first""#, id, 1);
        assert_eq!(answer.text(), wanted);
    }
    assert_eq!(bed.site.count("s", "tools/call", "read"), 1);
}

#[tokio::test]
async fn a_result_is_given_as_the_server_wrote_it() {
    let odd = r##"{ "content":[{"type":"text","text":"#1."}],"structuredContent":{"n":9007199254740993,"f":1.0},
        "_meta":{"x":{"y":1e2}},"resultType":"complete"}"##;
    let place = cached("s").says(move |asked| {
        if asked.method != "tools/call" {
            return Say::Usual;
        }
        let text = format!(
            r#"{{"jsonrpc":"2.0","result":{odd},"id":{}}}"#,
            asked.message["id"]
        );
        let json = [("content-type", "application/json")];
        Say::Steps(crate::support::upstream::answer(
            "200 OK",
            &json,
            text.as_bytes(),
        ))
    });
    let bed = Bed::plain(vec![place]).await;
    for wanted in ["MISS", "HIT"] {
        let answer = bed.ask("s", &call("read", "{}")).await;
        assert_eq!(status(&answer), wanted);
        assert_eq!(
            answer.text(),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{odd}}}"#)
        );
        assert_eq!(answer.headers.get("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn each_era_gets_its_own_envelope_whichever_stored_it() {
    let speeches = [
        (Speech::ModernJson, "mj"),
        (Speech::ModernSse, "ms"),
        (Speech::LegacyJson, "lj"),
        (Speech::LegacySse, "ls"),
    ];
    let places = speeches.map(|(speech, id)| {
        let place = cached(id).speaks(speech);
        place.cache(json!({ "default_ttl": 3600, "list_ttl": 3600 }))
    });
    let bed = Bed::plain(places.into()).await;
    for (_, id) in speeches {
        for ask in [call("read", "{}"), Ask::new("tools/list")] {
            for asks in [
                [ask.clone(), ask.clone().legacy()],
                [ask.clone().legacy(), ask],
            ] {
                forget(&bed.gateway, "").await;
                for (ask, wanted) in asks.iter().zip(["MISS", "HIT"]) {
                    let answer = bed.ask(id, ask).await;
                    assert_eq!(status(&answer), wanted, "{id}: {ask:?}");
                    envelope(&answer.last_json()["result"], ask);
                }
            }
        }
    }
}

/// What an era has, and the other has not.
fn envelope(result: &Value, ask: &Ask) {
    let has = |name: &str| !result[name].is_null();
    let is_modern = ask.is_modern();
    assert_eq!(has("resultType"), is_modern, "{ask:?}: {result}");
    if ask.method() == "tools/list" && !is_modern {
        assert!(!has("ttlMs") && !has("cacheScope"), "{ask:?}: {result}");
    }
}

#[tokio::test]
async fn the_time_that_is_left_counts_down_and_is_never_more_than_was_promised() {
    let promised = 60_000;
    let place = Place::new("s").says(move |_| Say::With(json!({ "ttlMs": promised })));
    let bed = Bed::plain(vec![place]).await;
    let first = bed.ask("s", &read("r:1")).await.json();
    let mut before = first["result"]["ttlMs"].as_u64().unwrap();
    assert!(before <= promised, "{first}");
    for _ in 0..3 {
        before = until("less time to be left", || async {
            let answer = bed.ask("s", &read("r:1")).await;
            assert_eq!(status(&answer), "HIT");
            let left = answer.json()["result"]["ttlMs"].as_u64().unwrap();
            assert!(left <= before, "{left} after {before}");
            (left < before).then_some(left)
        })
        .await;
    }
}

#[tokio::test]
async fn what_an_operator_made_last_is_promised_to_nobody() {
    let place = Place::new("s").cache(json!({ "list_ttl": 3600 }));
    let place = place.says(|_| Say::With(json!({ "ttlMs": 20, "cacheScope": "public" })));
    let bed = Bed::plain(vec![place]).await;
    let list = Ask::new("tools/list");
    assert_eq!(bed.tells("s", &list).await, "MISS #1");
    until("the server's own time to be over", || async {
        let answer = bed.ask("s", &list).await;
        assert_eq!(status(&answer), "HIT");
        (answer.json()["result"]["ttlMs"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_standard_header_says_the_same() {
    let bed = Bed::plain(vec![cached("s")]).await;
    let header = |answer: &Answer| answer.headers.get("cache-status").map(str::to_owned);
    let ask = call("read", "{}");
    let missed = header(&bed.ask("s", &ask).await).unwrap();
    assert_eq!(missed, "Conduit; fwd=uri-miss; stored");
    let hit = header(&bed.ask("s", &ask).await).unwrap();
    let left: u64 = hit
        .strip_prefix("Conduit; hit; ttl=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((3000..=3600).contains(&left), "{hit}");
    assert_eq!(header(&bed.ask("s", &call("plain", "{}")).await), None);
}

#[tokio::test]
async fn all_endpoints_share_and_each_spells_names_its_own_way() {
    let link = |asked: &super::site::Asked<'_>| match asked.method {
        "tools/call" => Say::With(json!({ "content": [
            { "type": "text", "text": format!("#{}.", asked.n) },
            { "type": "resource_link", "uri": "r:1", "name": "r" },
        ] })),
        "resources/read" => Say::With(json!({ "ttlMs": 60_000 })),
        _ => Say::Usual,
    };
    let places = vec![cached("one").says(link), cached("two").says(link)];
    let site = super::Site::start(places).await;
    let mut config = super::config(&site, json!({}), None);
    config["connect"]["profiles"] = json!([{ "id": "both", "server_ids": ["one", "two"] }]);
    let gateway = super::Gateway::with(config).await;
    let ask = |path: &'static str, ask: Ask| {
        let address = gateway.address;
        async move { wire::ask(address, &ask.request(path)).await }
    };
    let places = [
        ("/mcp", "one.", "one+r:1"),
        ("/mcp/one", "", "r:1"),
        ("/mcp/profile/both", "one.", "one+r:1"),
    ];
    for (at, (path, prefix, uri)) in places.into_iter().enumerate() {
        let wanted = if at == 0 { "MISS #1" } else { "HIT #1" };
        // A legacy client would need a session where there are several servers.
        let eras = if path == "/mcp/one" { 2 } else { 1 };
        for legacy in [false, true].into_iter().take(eras) {
            let as_era = |ask: Ask| if legacy { ask.legacy() } else { ask };
            let wanted = if legacy { "HIT #1" } else { wanted };
            let call = call(&format!("{prefix}read"), "{}");
            let answer = ask(path, as_era(call)).await;
            assert_eq!(told(&answer), wanted, "{path}");
            let content = &answer.last_json()["result"]["content"];
            assert_eq!(content[1]["uri"], uri, "{path}");
            let answer = ask(path, as_era(read(uri))).await;
            assert_eq!(told(&answer), wanted, "{path}");
            assert_eq!(answer.last_json()["result"]["contents"][0]["uri"], uri);
        }
    }
    // Another server's tool of the same name is another tool.
    assert_eq!(told(&ask("/mcp", call("two.read", "{}")).await), "MISS #1");
}

#[tokio::test]
async fn what_comes_before_the_answer_is_the_first_callers_alone() {
    let place = cached("s").says(|asked| {
        if asked.method != "tools/call" {
            return Say::Usual;
        }
        let token = &asked.params()["_meta"]["progressToken"];
        let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
            "params": { "progressToken": token, "progress": 1, "message": "halfway" } });
        let answer = json!({ "jsonrpc": "2.0", "id": asked.message["id"], "result": {
            "content": [{ "type": "text", "text": format!("#{}.", asked.n) }],
            "resultType": "complete" } });
        Say::Steps(vec![sse_head(), event(&progress), event(&answer), end()])
    });
    let bed = Bed::plain(vec![place]).await;
    let ask = |token: &str| call("read", "{}").meta(&format!(r#""progressToken":"{token}""#));
    let first = bed.ask("s", &ask("mine")).await;
    let text = first.text();
    assert!(text.contains("halfway") && text.contains("mine"), "{text}");
    assert!(text.contains("#1."), "{text}");
    let second = bed.ask("s", &ask("yours")).await;
    assert_eq!(told(&second), "HIT #1");
    assert!(!second.text().contains("halfway"), "{}", second.text());
}

#[tokio::test]
async fn entries_of_a_batch_at_all_servers_are_answered_from_the_cache() {
    let bed = Bed::plain(vec![cached("s").speaks(Speech::LegacyJson)]).await;
    let entry = |id: u32, arguments: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"s.read","arguments":{arguments}}}}}"#
        )
    };
    let batch = [entry(1, "{}"), entry(2, r#"{"a":1}"#), entry(3, "{}")].join(",");
    let request = post("/mcp", format!("[{batch}]")).header("mcp-protocol-version", "2025-03-26");
    for _ in 0..2 {
        let answers = wire::ask(bed.gateway.address, &request).await.json();
        let answers = answers.as_array().unwrap();
        let told: Vec<Value> = answers
            .iter()
            .map(|one| json!([one["id"], one["result"]["content"][0]["text"]]))
            .collect();
        let wanted = [json!([1, "#1."]), json!([2, "#2."]), json!([3, "#1."])];
        assert_eq!(told, wanted);
    }
    assert_eq!(bed.site.count("s", "tools/call", "read"), 2);
}

/// A batch of one call of a tool without arguments.
fn batch_of(tool: &str) -> Request {
    let call = format!(
        r#"[{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}]"#
    );
    post("/mcp/s", call).header("mcp-protocol-version", "2025-03-26")
}

#[tokio::test]
async fn a_batch_makes_stale_what_tools_of_its_caller_alone_destroy() {
    let place = cached("s").speaks(Speech::LegacyJson).says(|asked| {
        let is_known = asked.request.headers.get("authorization").is_some();
        match asked.method {
            "tools/list" if !is_known => {
                Say::Error(json!({ "code": -32000, "message": "whose tools?" }))
            }
            _ => Say::Usual,
        }
    });
    let bed = Bed::plain(vec![place.config("forward_authorization", json!(true))]).await;
    let read = call("read", "{}").legacy().by("alice");
    assert_eq!(bed.tells("s", &read).await, "MISS #1");
    assert_eq!(bed.tells("s", &read).await, "HIT #1");
    let batch = batch_of("destroy").header("authorization", "Bearer alice");
    let answers = wire::ask(bed.gateway.address, &batch).await.json();
    assert_eq!(answers[0]["result"]["content"][0]["text"], "#1.");
    assert_eq!(bed.tells("s", &read).await, "MISS #2");
}

#[tokio::test]
async fn a_change_that_is_told_before_the_answer_of_a_batch_makes_a_list_stale() {
    let place = Place::new("s").speaks(Speech::LegacyJson).says(|asked| {
        if asked.method != "tools/call" {
            return Say::Usual;
        }
        let change = json!({ "jsonrpc": "2.0", "method": "notifications/prompts/list_changed" });
        let answer = json!({ "jsonrpc": "2.0", "id": asked.message["id"],
            "result": { "content": [] } });
        Say::Steps(vec![sse_head(), event(&change), event(&answer), end()])
    });
    let bed = Bed::plain(vec![place.cache(json!({ "list_ttl": 3600 }))]).await;
    let list = Ask::new("prompts/list").legacy();
    assert_eq!(bed.tells("s", &list).await, "MISS #1");
    assert_eq!(bed.tells("s", &list).await, "HIT #1");
    let text = wire::ask(bed.gateway.address, &batch_of("plain"))
        .await
        .text();
    assert!(text.contains("list_changed"), "{text}");
    assert_eq!(bed.tells("s", &list).await, "MISS #2");
}

#[tokio::test]
async fn refusals_say_nothing_of_the_cache() {
    let bed = Bed::plain(vec![cached("s")]).await;
    assert_eq!(bed.tells("s", &call("read", "{}")).await, "MISS #1");
    let refused = call("read", "{}").request("/mcp/s").without("mcp-name");
    let answer = wire::ask(bed.gateway.address, &refused).await;
    assert_eq!((answer.status, status(&answer)), (400, "-"));
    let unknown = bed.ask("t", &call("read", "{}")).await;
    assert_eq!((unknown.status, status(&unknown)), (404, "-"));
}

#[tokio::test]
async fn a_list_that_is_found_changed_is_not_given_again() {
    let bed = Bed::plain(vec![Place::new("s").cache(json!({ "list_ttl": 3600 }))]).await;
    let list = Ask::new("tools/list");
    for wanted in ["MISS #1", "HIT #1"] {
        assert_eq!(bed.tells("s", &list).await, wanted);
    }
    // The server tells nobody of the change: the second reading is another than the first.
    for _ in 0..2 {
        let refresh = Request::post("/conduit/servers/s/refresh");
        control(&bed.gateway, refresh).await;
    }
    assert_eq!(bed.tells("s", &list).await, "MISS #4");
}
