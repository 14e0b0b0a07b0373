//! What the bridge between the eras does with any text at all: upstreams and clients are strangers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

use std::hint::black_box;

use filters::json::object::Object;
use filters::mcp::capability::{self, Need};
use filters::mcp::method::Method;
use filters::mcp::mirror::{self, Mirrors};
use filters::mcp::revision::{Era, Revision};
use filters::mcp::translate::up::Envelope;
use filters::mcp::translate::{down, up};
use filters::mcp::{era, header, input};
use proptest::prelude::*;

/// Keys that mean something to the bridge, and one that means nothing.
const KEYS: [&str; 28] = [
    "_meta",
    "capabilities",
    "clientInfo",
    "code",
    "data",
    "elicitation",
    "error",
    "extensions",
    "form",
    "inputRequests",
    "inputResponses",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/serverInfo",
    "method",
    "params",
    "progressToken",
    "properties",
    "requestState",
    "resultType",
    "roots",
    "sampling",
    "structuredContent",
    "tools",
    "url",
    "vendor",
    "x-mcp-header",
];

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-z\"\\\\é]{0,4}".prop_map(|text| filters::json::object::quoted(&text)),
        Just(r#""input_required""#.to_owned()),
        Just("-32002".to_owned()),
        Just("-32042".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let member = (proptest::sample::select(&KEYS[..]), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..3)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            proptest::collection::vec(member, 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

/// JSON that could be a message, or any text.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![3 => json(), 1 => ".{0,40}"]
}

fn is_object(text: &str) -> bool {
    Object::read(text).is_some()
}

proptest! {
    #[test]
    fn params_come_out_as_objects_without_the_other_eras_words(text in text()) {
        if let Some(legacy) = up::legacy_params(Some(&text), Some("1")) {
            let params = Object::read(&legacy).unwrap();
            prop_assert!(params.get("requestState").is_none());
            prop_assert!(params.get("inputResponses").is_none());
            let meta = params.get("_meta").and_then(Object::read).unwrap_or_default();
            prop_assert!(meta.members().all(|(key, _)| !key.ends_with("clientCapabilities")));
            prop_assert!(meta.get("progressToken").is_none_or(|token| token == "1"));
        }
        let envelope = Envelope {
            revision: "2026-07-28",
            capabilities: "{}",
            client_info: None,
            log_level: None,
        };
        let modern = up::modern_params(Some(&text), &envelope);
        let params = Object::read(&modern).unwrap();
        let meta = Object::read(params.get("_meta").unwrap()).unwrap();
        prop_assert_eq!(meta.get("io.modelcontextprotocol/clientCapabilities"), Some("{}"));
        prop_assert!(meta.get("io.modelcontextprotocol/logLevel").is_none());
        prop_assert!(is_object(&up::retry_params(&text, &[], None)));
    }

    #[test]
    fn results_come_out_as_objects(text in text()) {
        for method in [Method::ToolsList, Method::ToolsCall, Method::ResourcesRead] {
            let modern = down::modern_result(method, &text, Some("{}"));
            let legacy = down::legacy_result(method, &text);
            prop_assert_eq!(is_object(&modern), is_object(&text));
            prop_assert_eq!(is_object(&legacy), is_object(&text));
            prop_assert!(input::required(&modern).is_none());
            let (_, error) = down::modern_error(method, &text);
            let error = Object::read(&error).unwrap_or_default();
            let is_banned = matches!(error.get("code"), Some("-32002" | "-32042"));
            prop_assert!(!is_banned);
            black_box(down::legacy_error(method, &text));
        }
        prop_assert!(is_object(&down::discover(&text, &["2026-07-28"])));
        let initialized = down::initialize(&text, Revision::V2025_11_25, "{}");
        prop_assert!(is_object(&initialized));
    }

    #[test]
    fn capabilities_gain_nothing_on_their_way(text in text()) {
        let canonical = capability::canonical(&text);
        prop_assert_eq!(&capability::canonical(&canonical), &canonical);
        let legacy = capability::for_legacy(&text, Revision::V2025_11_25);
        for need in [
            Need::ElicitationForm,
            Need::ElicitationUrl,
            Need::Sampling,
            Need::SamplingTools,
            Need::Roots,
        ] {
            let declared = capability::declares(&text, need);
            prop_assert_eq!(capability::declares(&canonical, need), declared);
            prop_assert_eq!(capability::declares(&legacy, need), declared);
        }
        prop_assert!(is_object(&capability::merge_servers([text.as_str()], Era::Modern)));
    }

    #[test]
    fn input_is_read_without_a_panic_and_bound_without_the_state(text in text()) {
        for request in input::required(&text).map(|it| it.requests).unwrap_or_default() {
            prop_assert!(is_object(&request.params));
            prop_assert!(is_object(&input::legacy_params(&request, "e")));
        }
        black_box(input::responses(&text));
        black_box(input::url_required(&text));
        let bare = input::bare_params(&text);
        prop_assert_eq!(&input::bare_params(&bare), &bare);
        let retry = up::retry_params(&bare, &[("k".into(), "{}".into())], Some("\"s\""));
        prop_assert_eq!(input::bare_params(&retry), bare);
        prop_assert!(is_object(&input::write_required(&[("1", "roots/list", &text)], "s", None)));
        black_box(era::probe(200, &text));
        black_box(era::is_session_loss(400, &text));
    }

    #[test]
    fn any_value_is_mirrored_so_that_it_reads_back(value in any::<String>(), schema in text()) {
        let encoded = mirror::encode(&value);
        prop_assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let decoded = header::decode(&encoded).unwrap();
        prop_assert_eq!(decoded.as_ref(), value.as_str());
        if let Ok(mirrors) = Mirrors::read(&schema) {
            black_box(mirrors.emit(Some(&schema)));
        }
    }
}
