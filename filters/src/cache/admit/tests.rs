use super::*;

fn call(result: &str) -> Result<Hints, Excluded> {
    admit(Method::ToolsCall, None, result)
}

#[test]
fn what_is_no_finished_answer_is_not_kept() {
    for (result, why) in [
        (r#"{"content":[],"isError":true}"#, Excluded::IsError),
        (
            r#"{"content":[],"is\u0045rror" : true }"#,
            Excluded::IsError,
        ),
        (r#"{"content":[],"isError":"true"}"#, Excluded::Malformed),
        (r#"{"content":[],"isError":null}"#, Excluded::Malformed),
        (r#"{"isError":true,"isError":false}"#, Excluded::Malformed),
        (
            r#"{"isError":false,"is\u0045rror":true}"#,
            Excluded::Malformed,
        ),
        (
            r#"{"resultType":"input_required","inputRequests":{}}"#,
            Excluded::InputRequired,
        ),
        (
            r#"{"resultType":"input_r\u0065quired"}"#,
            Excluded::InputRequired,
        ),
        (r#"{"resultType":"task","taskId":"1"}"#, Excluded::Task),
        (
            r#"{"task":{"taskId":"1","status":"working"}}"#,
            Excluded::Task,
        ),
        (r#"{"resultType":"partial"}"#, Excluded::Partial),
        (r#"{"resultType":""}"#, Excluded::Partial),
        (r#"{"resultType":null}"#, Excluded::Partial),
        (
            r#"{"resultType":"complete","resultType":"task"}"#,
            Excluded::Malformed,
        ),
        (
            r#"{"resultType":"input_required","isError":true}"#,
            Excluded::InputRequired,
        ),
        ("", Excluded::Malformed),
        ("null", Excluded::Malformed),
        ("[]", Excluded::Malformed),
        (r#"["complete",false]"#, Excluded::Malformed),
        ("{", Excluded::Malformed),
        (r#"{"content":[]} {}"#, Excluded::Malformed),
    ] {
        assert_eq!(call(result), Err(why), "{result}");
    }
}

#[test]
fn a_request_that_goes_on_with_another_is_not_kept() {
    for (params, why) in [
        (r#"{"name":"a","inputResponses":{}}"#, Excluded::Retry),
        (r#"{"name":"a","requestState":""}"#, Excluded::Retry),
        (r#"{"name":"a","requestState":null}"#, Excluded::Retry),
        (r#"{"request\u0053tate":"x"}"#, Excluded::Retry),
        ("[]", Excluded::Malformed),
        ("{", Excluded::Malformed),
    ] {
        let outcome = admit(Method::ToolsCall, Some(params), r#"{"content":[]}"#);
        assert_eq!(outcome, Err(why), "{params}");
        assert!(!is_first_try(Some(params)), "{params}");
    }
    let nested = Some(r#"{"name":"a","arguments":{"requestState":1,"inputResponses":2}}"#);
    assert!(admit(Method::ToolsCall, nested, "{}").is_ok() && is_first_try(nested));
    assert!(is_first_try(None));
}

#[test]
fn only_seven_methods_have_results_to_keep() {
    for name in [
        "initialize",
        "ping",
        "prompts/get",
        "completion/complete",
        "resources/subscribe",
        "logging/setLevel",
        "subscriptions/listen",
        "tasks/get",
        "notifications/x",
        "x/y",
    ] {
        let outcome = admit(Method::parse(name), None, "{}");
        assert_eq!(outcome, Err(Excluded::NotCacheable), "{name}");
    }
    for (name, result) in [
        ("server/discover", "{}"),
        ("tools/list", r#"{"tools":[]}"#),
        ("prompts/list", r#"{"prompts":[]}"#),
        ("resources/list", r#"{"resources":[]}"#),
        ("resources/templates/list", r#"{"resourceTemplates":[]}"#),
        ("resources/read", r#"{"contents":[]}"#),
        ("tools/call", "{}"),
    ] {
        assert_eq!(
            admit(Method::parse(name), None, result),
            Ok(Hints::default()),
            "{name}"
        );
    }
}

#[test]
fn a_list_without_its_list_is_not_kept() {
    for (name, result) in [
        ("tools/list", "{}"),
        ("tools/list", r#"{"tools":{}}"#),
        ("tools/list", r#"{"prompts":[]}"#),
        ("resources/templates/list", r#"{"resources":[]}"#),
        ("resources/read", r#"{"content":[]}"#),
    ] {
        let outcome = admit(Method::parse(name), None, result);
        assert_eq!(outcome, Err(Excluded::Malformed), "{name} {result}");
    }
}

#[test]
fn what_stands_in_the_content_says_nothing() {
    let result = r#"{"content":[{"type":"text","text":"{\"isError\":true,\"ttlMs\":9}","isError":true}],
        "structuredContent":{"isError":true,"resultType":"task","ttlMs":5,"cacheScope":"public","task":{}},
        "_meta":{"ttlMs":7,"isError":true}}"#;
    assert_eq!(call(result), Ok(Hints::default()));
}

#[test]
fn hints_are_read_as_the_protocol_has_them() {
    let ms = |ms| Some(Duration::from_millis(ms));
    for (result, ttl, scope) in [
        ("{}", None, None),
        (r#"{"ttlMs":0}"#, ms(0), None),
        (r#"{"ttlMs":1500}"#, ms(1500), None),
        (r#"{"ttlMs":18446744073709551615}"#, ms(u64::MAX), None),
        (r#"{"ttlMs":18446744073709551616}"#, ms(0), None),
        (r#"{"ttlMs":-1}"#, ms(0), None),
        (r#"{"ttlMs":-0}"#, ms(0), None),
        (r#"{"ttlMs":1.5}"#, ms(0), None),
        (r#"{"ttlMs":1e3}"#, ms(0), None),
        (r#"{"ttlMs":"1500"}"#, ms(0), None),
        (r#"{"ttlMs":null}"#, ms(0), None),
        (r#"{"cacheScope":"public"}"#, None, Some(Scope::Public)),
        (r#"{"cacheScope":"private"}"#, None, Some(Scope::Private)),
        (r#"{"cacheScope":"Public"}"#, None, None),
        (r#"{"cacheScope":"tenant"}"#, None, None),
        (r#"{"cacheScope":true}"#, None, None),
    ] {
        let hints = call(result).unwrap();
        assert_eq!((hints.ttl, hints.scope), (ttl, scope), "{result}");
    }
    for twice in [
        r#"{"ttlMs":1,"ttlMs":2}"#,
        r#"{"cacheScope":"private","cacheScope":"public"}"#,
    ] {
        assert_eq!(call(twice), Err(Excluded::Malformed), "{twice}");
    }
}

#[test]
fn the_span_is_where_the_number_stands() {
    for (result, number) in [
        (
            r#"{"_meta":{"ttlMs":7},"ttlMs" : 1500 ,"content":[]}"#,
            Some("1500"),
        ),
        (" {\"x\":\"é\",\"\\u0074tlMs\":0}", Some("0")),
        (r#"{"ttlMs":-1}"#, None),
        (r#"{"ttlMs":"15"}"#, None),
        ("{}", None),
    ] {
        let span = call(result).unwrap().ttl_span;
        assert_eq!(span.and_then(|span| result.get(span)), number, "{result}");
    }
}
