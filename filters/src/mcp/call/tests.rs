use super::*;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

fn headers<'a>(version: &'a str, method: &'a str, name: &'a str) -> Headers<'a> {
    let some = |value: &'a str| (!value.is_empty()).then_some(value);
    Headers {
        protocol_version: some(version),
        method: some(method),
        name: some(name),
    }
}

fn classify(text: &str, headers: &Headers<'_>) -> Result<(Era, Method), (u16, i32)> {
    Call::classify(parse::message(text).unwrap(), headers)
        .map(|call| (call.era, call.method))
        .map_err(|refusal| (refusal.status(), refusal.code()))
}

#[test]
fn the_body_decides_the_era() {
    let modern = request("tools/list", META);
    let bare = request("tools/list", "");
    let list = |era| Ok((era, Method::ToolsList));
    assert_eq!(
        classify(&modern, &headers("2026-07-28", "tools/list", "")),
        list(Era::Modern)
    );
    assert_eq!(classify(&bare, &headers("", "", "")), list(Era::Legacy));
    assert_eq!(
        classify(&bare, &headers("2025-11-25", "", "")),
        list(Era::Legacy)
    );
    assert_eq!(
        classify(&bare, &headers("2026-07-28", "tools/list", "")),
        Err((400, -32602))
    );
}

#[test]
fn initialize_is_legacy_without_a_claim_and_removed_with_one() {
    let bare = request("initialize", r#""protocolVersion":"2025-11-25""#);
    let claimed = request("initialize", META);
    assert_eq!(
        classify(&bare, &headers("", "", "")),
        Ok((Era::Legacy, Method::Initialize))
    );
    assert_eq!(
        classify(&claimed, &headers("2026-07-28", "initialize", "")),
        Err((404, -32601))
    );
}

#[test]
fn what_is_a_request_is_refused_without_an_id_in_both_eras_and_before_all_else() {
    let all = [
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "logging/setLevel",
        "subscriptions/listen",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
        "tasks/result",
        "tasks/list",
    ];
    for method in all {
        for meta in ["", META, r#""_meta":7"#] {
            let text = request(method, meta).replace(r#""id":1,"#, "");
            let refused = Call::classify(parse::message(&text).unwrap(), &Headers::default());
            let method = method.to_owned();
            let told = refused.unwrap_err();
            assert_eq!(told, Refusal::ClientIdMissing { method });
        }
    }
}

#[test]
fn what_is_no_request_of_mcps_may_come_without_an_id() {
    for method in [
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/x",
        "x/y",
        "tools/call2",
        "Tools/Call",
    ] {
        let text = request(method, "").replace(r#""id":1,"#, "");
        assert!(classify(&text, &headers("", "", "")).is_ok(), "{method}");
    }
}

#[test]
fn removed_methods_are_not_found_in_the_modern_era() {
    for method in [
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
    ] {
        let text = request(method, META);
        assert_eq!(
            classify(&text, &headers("2026-07-28", method, "")),
            Err((404, -32601))
        );
    }
}

#[test]
fn each_rung_of_the_ladder_has_its_own_answer() {
    let call = |meta: &str| request("tools/call", &format!(r#""name":"echo",{meta}"#));
    let good = headers("2026-07-28", "tools/call", "echo");
    let no_caps = META.replace(r#","io.modelcontextprotocol/clientCapabilities":{}"#, "");
    let odd_caps = META.replace("Capabilities\":{}", "Capabilities\":[]");
    let unknown = META.replace("2026-07-28", "2099-01-01");
    let rows = [
        (call(META), headers("", "tools/call", "echo"), (400, -32020)),
        (
            call(META),
            headers("2025-11-25", "tools/call", "echo"),
            (400, -32020),
        ),
        (call(META), headers("2026-07-28", "", "echo"), (400, -32020)),
        (
            call(META),
            headers("2026-07-28", "Tools/Call", "echo"),
            (400, -32020),
        ),
        (
            call(META),
            headers("2026-07-28", "tools/call", ""),
            (400, -32020),
        ),
        (
            call(META),
            headers("2026-07-28", "tools/call", "Echo"),
            (400, -32020),
        ),
        (
            call(META),
            headers("2026-07-28", "tools/call", "=?base64?%%?="),
            (400, -32020),
        ),
        (call(&no_caps), good, (400, -32602)),
        (call(&odd_caps), good, (400, -32602)),
        (
            call(&META.replace("\"2026-07-28\"", "3")),
            good,
            (400, -32602),
        ),
        (
            call(&unknown),
            headers("2099-01-01", "tools/call", "echo"),
            (400, -32022),
        ),
    ];
    for (text, headers, expected) in rows {
        assert_eq!(
            classify(&text, &headers),
            Err(expected),
            "{text} {headers:?}"
        );
    }
    let encoded = headers("2026-07-28", "tools/call", "=?base64?ZWNobw==?=");
    assert_eq!(
        classify(&call(META), &encoded),
        Ok((Era::Modern, Method::ToolsCall))
    );
}

#[test]
fn a_legacy_version_header_must_name_a_known_revision_after_the_handshake() {
    let list = request("tools/list", "");
    assert_eq!(
        classify(&list, &headers("1999-01-01", "", "")),
        Err((400, -32022))
    );
    let initialize = request("initialize", "");
    assert!(classify(&initialize, &headers("1999-01-01", "", "")).is_ok());
}

#[test]
fn a_missing_name_is_left_to_the_server() {
    let text = request("tools/call", META);
    assert!(classify(&text, &headers("2026-07-28", "tools/call", "")).is_ok());
}

#[test]
fn a_meta_that_two_readers_could_take_differently_is_refused() {
    let twice = META.replace(
        "_meta\":{",
        "_meta\":{\"io.modelcontextprotocol/protocolVersion\":1,",
    );
    let odd_key = META.replace("_meta\":{", r#"_meta":{"\ud800":1,"#);
    for meta in [twice, odd_key] {
        let text = request("tools/list", &meta);
        for version in ["", "2026-07-28"] {
            let refused = classify(&text, &headers(version, "tools/list", ""));
            assert_eq!(refused, Err((400, -32600)), "{text}");
        }
    }
}
