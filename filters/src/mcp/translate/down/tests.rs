use super::*;

const SERVER: &str = r#"{"name":"s","version":"1","icons":[ ]}"#;

#[test]
fn a_handshake_becomes_a_discovery_of_what_the_bridge_serves() {
    let initialized = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{},"completions":{},"tasks":{},"experimental":{}},"serverInfo":{"name":"s","version":"1","icons":[ ]},"instructions":"Be kind","_meta":{"v":1}}"#;
    assert_eq!(
        discover(initialized, &["2026-07-28", "2025-11-25"]),
        r#"{"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{},"completions":{}},"instructions":"Be kind","_meta":{"v":1,"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1","icons":[ ]}},"supportedVersions":["2026-07-28","2025-11-25"],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
    );
    assert_eq!(
        discover("nonsense", &["2026-07-28"]),
        r#"{"capabilities":{},"supportedVersions":["2026-07-28"],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
    );
}

#[test]
fn a_discovery_becomes_a_handshake_that_names_the_server() {
    let discovered = |server: &str| {
        format!(
            r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}},"extensions":{{"a/b":{{}}}}}},"instructions":"i","ttlMs":9,"cacheScope":"public","_meta":{{"io.modelcontextprotocol/serverInfo":{server}}}}}"#
        )
    };
    let fallback = r#"{"name":"f","version":"0"}"#;
    let expected = |server: &str| {
        format!(
            r#"{{"capabilities":{{"tools":{{}}}},"instructions":"i","protocolVersion":"2025-06-18","serverInfo":{server}}}"#
        )
    };
    let rows = [
        (SERVER, SERVER),
        (r#"{"name":"s"}"#, fallback),
        (r#"{"name":"s","version":1}"#, fallback),
        ("null", fallback),
    ];
    for (server, named) in rows {
        assert_eq!(
            initialize(&discovered(server), Revision::V2025_06_18, fallback),
            expected(named),
            "{server}"
        );
    }
    assert_eq!(
        initialize("[]", Revision::V2025_11_25, fallback),
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"f","version":"0"}}"#
    );
}

#[test]
fn a_legacy_result_gains_what_the_modern_era_requires() {
    let rows = [
        (
            Method::ToolsList,
            r#"{"tools":[{"name":"t","execution":{"taskSupport":"required"}}],"nextCursor":""}"#,
            None,
            r#"{"tools":[{"name":"t","execution":{"taskSupport":"required"}}],"nextCursor":"","resultType":"complete","ttlMs":0,"cacheScope":"private"}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"content":[],"structuredContent":{"n":1.0}}"#,
            Some(r#"{"name":"s"}"#),
            r#"{"content":[],"structuredContent":{"n":1.0},"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#,
        ),
        (
            Method::ResourcesRead,
            r#"{"contents":[],"ttlMs":5,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"},"v":1}}"#,
            Some(r#"{"name":"s"}"#),
            r#"{"contents":[],"ttlMs":5,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"},"v":1},"resultType":"complete","cacheScope":"private"}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"resultType":"input_required","inputRequests":{}}"#,
            None,
            r#"{"resultType":"complete","inputRequests":{}}"#,
        ),
    ];
    for (method, result, server, expected) in rows {
        assert_eq!(modern_result(method, result, server), expected);
    }
}

#[test]
fn a_modern_result_loses_what_only_the_modern_era_has() {
    let rows = [
        (
            Method::ResourcesRead,
            r#"{"resultType":"complete","contents":[ 1 ],"ttlMs":0,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#,
            r#"{"contents":[ 1 ]}"#,
        ),
        (
            Method::PromptsGet,
            r#"{"resultType":"complete","messages":[],"_meta":{"io.modelcontextprotocol/serverInfo":{},"v":2}}"#,
            r#"{"messages":[],"_meta":{"v":2}}"#,
        ),
        (Method::Tasks, r#"{"ttlMs":1}"#, r#"{"ttlMs":1}"#),
    ];
    for (method, result, expected) in rows {
        assert_eq!(legacy_result(method, result), expected);
    }
}

#[test]
fn what_a_legacy_schema_forbids_does_not_spoil_the_answer() {
    let rows = [
        (
            Method::ToolsList,
            r#"{"tools":[{"name":"a","outputSchema":{"type":"array"}},{"name":"b","outputSchema":{ "type":"object"}},{"name":"c"}]}"#,
            r#"{"tools":[{"name":"a"},{"name":"b","outputSchema":{ "type":"object"}},{"name":"c"}]}"#,
        ),
        (
            Method::ToolsList,
            r#"{"tools":[ {"name":"b"} , 7]}"#,
            r#"{"tools":[ {"name":"b"} , 7]}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"content":[{"type":"text","text":"x"}],"structuredContent":[1]}"#,
            r#"{"content":[{"type":"text","text":"x"}]}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"content":[],"structuredContent":["q"]}"#,
            r#"{"content":[{"type":"text","text":"[\"q\"]"}]}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"content":[],"structuredContent":{ "a":1}}"#,
            r#"{"content":[],"structuredContent":{ "a":1}}"#,
        ),
    ];
    for (method, result, expected) in rows {
        assert_eq!(legacy_result(method, result), expected);
    }
}

#[test]
fn a_legacy_error_has_a_modern_code_and_status() {
    let rows = [
        (
            Method::ResourcesRead,
            r#"{"code":-32002,"message":"gone","data":{"uri":"a:b"}}"#,
            200,
            r#"{"code":-32602,"message":"gone","data":{"uri":"a:b"}}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"code":-32002,"message":"not initialized"}"#,
            200,
            r#"{"code":-32603,"message":"not initialized"}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"code":-32042,"message":"log in","data":{"elicitations":[{"url":"u"}]}}"#,
            400,
            r#"{"code":-32021,"message":"log in","data":{"elicitations":[{"url":"u"}],"requiredCapabilities":{"elicitation":{"url":{}}}}}"#,
        ),
        (
            Method::PromptsList,
            r#"{"code":-32601,"message":"m"}"#,
            404,
            r#"{"code":-32601,"message":"m"}"#,
        ),
        (
            Method::PromptsList,
            r#"{"code":-32600,"message":"m"}"#,
            400,
            r#"{"code":-32600,"message":"m"}"#,
        ),
        (
            Method::PromptsGet,
            r#"{"code":-32602,"message":"m","data":[ 1 ]}"#,
            200,
            r#"{"code":-32602,"message":"m","data":[ 1 ]}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"code":-32000,"message":"own"}"#,
            200,
            r#"{"code":-32000,"message":"own"}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"message":"m"}"#,
            200,
            r#"{"message":"m"}"#,
        ),
        (Method::ToolsCall, "7", 200, "7"),
    ];
    for (method, error, status, expected) in rows {
        assert_eq!(modern_error(method, error), (status, expected.to_owned()));
    }
}

#[test]
fn a_modern_error_has_a_legacy_code() {
    let rows = [
        (
            Method::ResourcesRead,
            r#"{"code":-32602,"message":"gone","data":{"uri":"a:b"}}"#,
            r#"{"code":-32002,"message":"gone","data":{"uri":"a:b"}}"#,
        ),
        (
            Method::ResourcesRead,
            r#"{"code":-32602,"message":"bad"}"#,
            r#"{"code":-32602,"message":"bad"}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"code":-32602,"message":"bad","data":{"uri":"a:b"}}"#,
            r#"{"code":-32602,"message":"bad","data":{"uri":"a:b"}}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"code":-32021,"message":"m","data":{"requiredCapabilities":{"sampling":{},"roots":{}}}}"#,
            r#"{"code":-32600,"message":"invalid request: the server needs client capabilities that were not declared: sampling, roots","data":{"requiredCapabilities":{"sampling":{},"roots":{}}}}"#,
        ),
        (
            Method::ToolsCall,
            r#"{"code":-32020,"message":"m"}"#,
            r#"{"code":-32603,"message":"m"}"#,
        ),
        (Method::ToolsCall, "nonsense", "nonsense"),
    ];
    for (method, error, expected) in rows {
        assert_eq!(legacy_error(method, error), expected);
    }
}

#[test]
fn only_what_a_modern_stream_may_carry_is_relayed() {
    let rows = [
        ("notifications/progress", Relay::Request),
        ("notifications/message", Relay::Log),
        ("notifications/tools/list_changed", Relay::Listen),
        ("notifications/prompts/list_changed", Relay::Listen),
        ("notifications/resources/list_changed", Relay::Listen),
        ("notifications/resources/updated", Relay::Listen),
        ("notifications/tasks/status", Relay::Drop),
        ("notifications/elicitation/complete", Relay::Drop),
        ("notifications/cancelled", Relay::Drop),
        ("notifications/own", Relay::Drop),
    ];
    for (method, expected) in rows {
        assert_eq!(modern_notification(method), expected, "{method}");
    }
}

#[test]
fn a_log_is_wanted_from_its_threshold_on() {
    let rows = [
        ("info", "info", true),
        ("debug", "info", false),
        ("emergency", "debug", true),
        ("notice", "warning", false),
        ("critical", "error", true),
        ("loud", "debug", false),
        ("error", "loud", false),
    ];
    for (level, threshold, expected) in rows {
        assert_eq!(
            is_severe_enough(level, threshold),
            expected,
            "{level} {threshold}"
        );
    }
}

#[test]
fn a_result_is_complete_unless_it_says_that_it_is_something_else() {
    for (result, expected) in [
        (r#"{"content":[]}"#, true),
        (r#"{"resultType":"complete"}"#, true),
        (r#"{"resultType":1}"#, true),
        ("[]", true),
        (r#"{"resultType":"task","taskId":"t"}"#, false),
        (r#"{"resultType":"\u0074ask"}"#, false),
        (r#"{"resultType":"of tomorrow"}"#, false),
    ] {
        assert_eq!(is_complete(result), expected, "{result}");
    }
}
