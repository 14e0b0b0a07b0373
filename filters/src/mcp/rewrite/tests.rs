use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::*;

fn naming(strategy: Strategy) -> Naming {
    Naming::new(strategy, ".", None, ["s", "2S"].map(str::to_owned))
}

/// The result as the aggregated endpoint gives it, with prefixes and server `s`.
fn mapped(method: Method, text: &str) -> Option<String> {
    let naming = naming(Strategy::Prefix);
    let ns = Namespace {
        naming: &naming,
        server: "s",
    };
    result(ns, method, text)
}

/// Rows of a method, a result, and what becomes of it.
fn check(method: Method, rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        assert_eq!(mapped(method, text).as_deref(), Some(*expected), "{text}");
    }
}

fn check_stays(method: Method, texts: &[&str]) {
    for text in texts {
        assert_eq!(mapped(method, text), None, "{text}");
    }
}

// === params ===

#[test]
fn the_target_is_replaced_and_the_rest_stays() {
    let rows = [
        (
            Method::ToolsCall,
            r#"{"arguments":{"name":"s.x","n":1.50},"name":"s.x","_meta":{"progressToken":1}}"#,
            r#"{"arguments":{"name":"s.x","n":1.50},"name":"in","_meta":{"progressToken":1}}"#,
        ),
        (
            Method::PromptsGet,
            r#"{"name":"s.\u0070"}"#,
            r#"{"name":"in"}"#,
        ),
        (
            Method::ResourcesRead,
            r#"{"uri":"s+a:b","name":"s.x"}"#,
            r#"{"uri":"in","name":"s.x"}"#,
        ),
        (
            Method::ResourcesSubscribe,
            r#"{"uri":"s+a:b"}"#,
            r#"{"uri":"in"}"#,
        ),
        (
            Method::ResourcesUnsubscribe,
            r#"{"uri":"s+a:b"}"#,
            r#"{"uri":"in"}"#,
        ),
        (
            Method::Tasks,
            r#"{"taskId":"s.1","inputResponses":{"k":{}}}"#,
            r#"{"taskId":"in","inputResponses":{"k":{}}}"#,
        ),
        (
            Method::CompletionComplete,
            r#"{"ref":{"type":"ref/prompt","name":"s.p","title":"t"},"argument":{"name":"s.p"}}"#,
            r#"{"ref":{"type":"ref/prompt","name":"in","title":"t"},"argument":{"name":"s.p"}}"#,
        ),
        (
            Method::CompletionComplete,
            r#"{"ref":{"type":"ref/resource","uri":"s+a:{x}","name":"n"},"argument":{}}"#,
            r#"{"ref":{"type":"ref/resource","uri":"in","name":"n"},"argument":{}}"#,
        ),
    ];
    for (method, text, expected) in rows {
        assert_eq!(params(method, text, "in").as_deref(), Some(expected));
    }
}

#[test]
fn a_target_that_stands_twice_stands_once_when_replaced() {
    let text = r#"{"ref":{"type":"ref/prompt","name":"s.a","name":"s.b"}}"#;
    assert_eq!(
        params(Method::CompletionComplete, text, "b").as_deref(),
        Some(r#"{"ref":{"type":"ref/prompt","name":"b"}}"#)
    );
}

#[test]
fn params_without_a_target_are_not_given_one() {
    let rows = [
        (Method::ToolsCall, "{}"),
        (Method::ToolsCall, "[]"),
        (Method::ToolsCall, ""),
        (Method::ToolsCall, r#"{"name":1}"#),
        (Method::ToolsCall, r#"{"uri":"a:b"}"#),
        (Method::ResourcesRead, r#"{"name":"x"}"#),
        (Method::ToolsList, r#"{"name":"x"}"#),
        (Method::Other, r#"{"name":"x"}"#),
        (Method::CompletionComplete, r#"{"ref":"x"}"#),
        (
            Method::CompletionComplete,
            r#"{"ref":{"type":"ref/prompt","uri":"x"}}"#,
        ),
        (
            Method::CompletionComplete,
            r#"{"ref":{"type":"ref/tool","name":"x"}}"#,
        ),
    ];
    for (method, text) in rows {
        assert_eq!(params(method, text, "in"), None, "{text}");
    }
}

#[test]
fn a_completion_refers_to_what_its_type_says() {
    let both = |kind: &str| {
        let text = format!(r#"{{"ref":{{"type":"{kind}","name":"n","uri":"u:\u0031"}}}}"#);
        reference(&text)
    };
    assert_eq!(both("ref/prompt"), Some(Reference::Prompt("n".to_owned())));
    assert_eq!(
        both("ref/resource"),
        Some(Reference::Resource("u:1".to_owned()))
    );
    assert_eq!(both("prompt"), None);
    assert_eq!(reference("{}"), None);
}

// === result ===

#[test]
fn uris_in_a_tools_content_are_tagged() {
    check(
        Method::ToolsCall,
        &[
            (
                r#"{"content":[{"type":"text","text":"uri"},{"type":"resource_link","uri":"a:b","name":"n","x":1e3}],"isError":false}"#,
                r#"{"content":[{"type":"text","text":"uri"},{"type":"resource_link","uri":"s+a:b","name":"n","x":1e3}],"isError":false}"#,
            ),
            (
                r#"{"content":[{"type":"resource","resource":{"uri":"a:b","text":"\"uri\""},"annotations":{}}]}"#,
                r#"{"content":[{"type":"resource","resource":{"uri":"s+a:b","text":"\"uri\""},"annotations":{}}]}"#,
            ),
        ],
    );
}

#[test]
fn uris_elsewhere_in_a_tools_result_are_the_tools_own() {
    check_stays(
        Method::ToolsCall,
        &[
            r#"{"content":[],"structuredContent":{"type":"resource_link","uri":"a:b"}}"#,
            r#"{"content":[{"type":"text","text":"t","uri":"a:b"}]}"#,
            r#"{"content":[{"type":"text","text":"{\"uri\":\"a:b\"}"}]}"#,
            r#"{"content":[{"uri":"a:b"}],"uri":"a:b"}"#,
            r#"{"content":[{"type":"resource_link","uri":7}]}"#,
            r#"{"contents":[{"uri":"a:b"}],"_meta":{"uri":"a:b"}}"#,
            r#"{"content":"uri","uri":1}"#,
        ],
    );
}

#[test]
fn uris_in_a_prompts_messages_are_tagged() {
    check(
        Method::PromptsGet,
        &[
            (
                r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"a:b"}}},{"role":"user","content":{"type":"text","text":""}}]}"#,
                r#"{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"s+a:b"}}},{"role":"user","content":{"type":"text","text":""}}]}"#,
            ),
            (
                r#"{"messages":[{"content":[{"type":"resource_link","uri":"a:b"},{"type":"x","uri":"c:d"}]}]}"#,
                r#"{"messages":[{"content":[{"type":"resource_link","uri":"s+a:b"},{"type":"x","uri":"c:d"}]}]}"#,
            ),
        ],
    );
}

#[test]
fn uris_of_a_resources_contents_are_tagged() {
    check(
        Method::ResourcesRead,
        &[(
            r#"{"ttlMs":5,"contents":[{"uri":"a:b","blob":"AA=="},{"text":"t"},{"uri":"a:c"}]}"#,
            r#"{"ttlMs":5,"contents":[{"uri":"s+a:b","blob":"AA=="},{"text":"t"},{"uri":"s+a:c"}]}"#,
        )],
    );
}

#[test]
fn a_name_written_with_escapes_is_found() {
    for name in [r"\u0075ri", r"u\u0072i", r"ur\u0069"] {
        let text = format!(r#"{{"contents":[{{"{name}":"a:b"}}]}}"#);
        check(
            Method::ResourcesRead,
            &[(&text, r#"{"contents":[{"uri":"s+a:b"}]}"#)],
        );
    }
    let text = r#"{"task\u0049d":"1"}"#;
    check(Method::Tasks, &[(text, r#"{"taskId":"s.1"}"#)]);
}

#[test]
fn what_a_server_asks_of_the_client_stays() {
    let text = r#"{"resultType":"input_required","requestState":"x","content":[{"type":"resource_link","uri":"a:b"}],"taskId":"1"}"#;
    check_stays(Method::ToolsCall, &[text]);
    check_stays(Method::ResourcesRead, &[text]);
}

#[test]
fn other_methods_and_broken_results_stay() {
    let text = r#"{"contents":[{"uri":"a:b"}],"resources":[{"uri":"a:b"}]}"#;
    for method in [
        Method::ResourcesList,
        Method::CompletionComplete,
        Method::Other,
    ] {
        check_stays(method, &[text]);
    }
    check_stays(
        Method::ResourcesRead,
        &["", "\"uri\"", "[\"uri\"]", r#"{"contents":[{"uri":"a:b"}"#],
    );
}

#[test]
fn a_server_whose_id_begins_no_scheme_is_tagged_by_its_hex() {
    let naming = naming(Strategy::Prefix);
    let ns = Namespace {
        naming: &naming,
        server: "2S",
    };
    let text = r#"{"contents":[{"uri":"a:b"}]}"#;
    assert_eq!(
        result(ns, Method::ResourcesRead, text).as_deref(),
        Some(r#"{"contents":[{"uri":"x-3253+a:b"}]}"#)
    );
}

#[test]
fn without_prefixes_uris_stay_bare_and_tasks_name_their_server() {
    let naming = naming(Strategy::None);
    let ns = Namespace {
        naming: &naming,
        server: "s",
    };
    let read = r#"{"contents":[{"uri":"a:b"}]}"#;
    assert_eq!(result(ns, Method::ResourcesRead, read), None);
    let call = r#"{"content":[{"type":"resource_link","uri":"a:b"}],"x":"\u0061"}"#;
    assert_eq!(result(ns, Method::ToolsCall, call), None);
    let updated = r#"{"uri":"a:b"}"#;
    assert_eq!(
        notification(ns, "notifications/resources/updated", updated),
        None
    );
    let task = r#"{"resultType":"task","taskId":"1"}"#;
    assert_eq!(
        result(ns, Method::ToolsCall, task).as_deref(),
        Some(r#"{"resultType":"task","taskId":"s.1"}"#)
    );
}

// === tasks ===

#[test]
fn a_task_is_named_with_its_server() {
    check(
        Method::ToolsCall,
        &[(
            r#"{"resultType":"task","taskId":"786.x","status":"working","ttlMs":60000}"#,
            r#"{"resultType":"task","taskId":"s.786.x","status":"working","ttlMs":60000}"#,
        )],
    );
    check_stays(
        Method::ToolsCall,
        &[r#"{"content":[],"structuredContent":{"taskId":"1"},"taskId":"1"}"#],
    );
}

#[test]
fn a_finished_task_has_its_result_mapped() {
    check(
        Method::Tasks,
        &[
            (
                r#"{"resultType":"complete","taskId":"1","status":"completed","result":{"content":[{"type":"resource_link","uri":"a:b"}]}}"#,
                r#"{"resultType":"complete","taskId":"s.1","status":"completed","result":{"content":[{"type":"resource_link","uri":"s+a:b"}]}}"#,
            ),
            (
                r#"{"taskId":"1","status":"input_required","inputRequests":{"k":{"params":{"uri":"a:b"}}}}"#,
                r#"{"taskId":"s.1","status":"input_required","inputRequests":{"k":{"params":{"uri":"a:b"}}}}"#,
            ),
        ],
    );
    check(
        Method::Tasks,
        &[(
            r#"{"result":{"content":[{"type":"resource_link","uri":"a:b"}]}}"#,
            r#"{"result":{"content":[{"type":"resource_link","uri":"s+a:b"}]}}"#,
        )],
    );
    check_stays(Method::Tasks, &[r#"{"resultType":"complete"}"#]);
}

#[test]
fn a_task_id_leads_back_to_its_server() {
    for strategy in [Strategy::Prefix, Strategy::None] {
        let naming = naming(strategy);
        let ns = Namespace {
            naming: &naming,
            server: "2S",
        };
        for id in ["786512e2-9e0d", "", "a.b", "2S.", "é \n"] {
            let outer = task_outer(ns, id);
            assert_eq!(task_split(&naming, &outer), Some(("2S", id)));
        }
        for foreign in ["", "1", "t.1", ".1", "S.1"] {
            assert_eq!(task_split(&naming, foreign), None, "{foreign}");
        }
    }
}

// === notification ===

#[test]
fn notifications_are_mapped_where_they_name_something() {
    let naming = naming(Strategy::Prefix);
    let ns = Namespace {
        naming: &naming,
        server: "s",
    };
    let rows = [
        (
            "notifications/resources/updated",
            r#"{"uri":"a:b","_meta":{"k":"1"}}"#,
            Some(r#"{"uri":"s+a:b","_meta":{"k":"1"}}"#),
        ),
        (
            "notifications/tasks",
            r#"{"taskId":"1","result":{"content":[{"type":"resource_link","uri":"a:b"}]}}"#,
            Some(
                r#"{"taskId":"s.1","result":{"content":[{"type":"resource_link","uri":"s+a:b"}]}}"#,
            ),
        ),
        (
            "notifications/tasks/status",
            r#"{"taskId":"1"}"#,
            Some(r#"{"taskId":"s.1"}"#),
        ),
        ("notifications/resources/updated", r#"{"uri":1}"#, None),
        ("notifications/resources/updated", "", None),
        ("notifications/message", r#"{"data":{"uri":"a:b"}}"#, None),
        ("notifications/progress", r#"{"progressToken":"uri"}"#, None),
    ];
    for (method, text, expected) in rows {
        assert_eq!(
            notification(ns, method, text).as_deref(),
            expected,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn every_uri_of_a_resource_is_mapped_and_nothing_else(
        uri in "\\PC{0,30}", other in ".{0,30}", number in proptest::num::f64::NORMAL,
    ) {
        let text = |spell: fn(&str) -> String| serde_json::json!({
            "before": { "uri": other, "n": number },
            "contents": [{ "mimeType": other, "uri": spell(&uri), "text": other }, {}],
            "z": [other],
        }).to_string();
        let outer = text(|uri| uri::outer("s", uri));
        prop_assert_eq!(mapped(Method::ResourcesRead, &text(str::to_owned)), Some(outer));
    }

    #[test]
    fn any_text_may_be_a_result(text in "[\\[\\]{}:,\"a-z\\\\0-9]{0,60}") {
        for method in [Method::ToolsCall, Method::PromptsGet, Method::ResourcesRead, Method::Tasks] {
            if let Some(answer) = mapped(method, &text) {
                prop_assert!(Object::read(&answer).is_some(), "{}", answer);
            }
        }
    }
}
