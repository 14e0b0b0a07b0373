use super::*;

fn one(text: &str) -> Result<Message<'_>, Invalid> {
    match payload(text.as_bytes())? {
        Payload::One(message) => Ok(message),
        Payload::Batch(_) => panic!("not one message"),
    }
}

#[test]
fn ids_are_kept_byte_for_byte() {
    for id in [
        "1",
        "\"1\"",
        "9007199254740993",
        "-7",
        "1.50",
        "\"\\u0061\"",
        "123456789012345678901234567890",
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(one(&text).unwrap().request_id().unwrap().as_json(), id);
    }
}

#[test]
fn an_id_is_a_string_or_a_number() {
    for id in ["null", "true", "{}", "[]"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert!(matches!(one(&text), Err(Invalid::Shape(_))), "{id}");
    }
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
        "x".repeat(ID_BYTES_MAX)
    );
    assert_eq!(one(&long).unwrap_err(), Invalid::Shape("`id` is too long"));
}

#[test]
fn bad_json_and_bad_shape_are_told_apart() {
    let rows: [(&[u8], bool); 10] = [
        (b"", true),
        (b"{", true),
        (b"\xff", true),
        (br#"{"jsonrpc":5,garbage}"#, true),
        (b"3", false),
        (b"\"x\"", false),
        (br#"{"jsonrpc":"1.0","id":1,"method":"x"}"#, false),
        (br#"{"jsonrpc":"2.0"}"#, false),
        (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, false),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
            false,
        ),
    ];
    for (text, syntax) in rows {
        let invalid = payload(text).unwrap_err();
        assert_eq!(invalid == Invalid::Syntax, syntax, "{text:?} {invalid:?}");
    }
}

#[test]
fn params_that_are_no_object_are_a_wrong_shape() {
    assert!(matches!(
        one(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#),
        Err(Invalid::Shape(_))
    ));
}

#[test]
fn an_array_of_the_members_in_order_is_no_message() {
    let entry = r#"["2.0",1,"ping",{}]"#;
    let expected = Invalid::Shape("a JSON-RPC message must be an object");
    assert_eq!(message(entry).unwrap_err(), expected);
}

#[test]
fn duplicate_names_are_refused() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#;
    assert!(matches!(one(text), Err(Invalid::Shape(_))));
}

#[test]
fn a_batch_holds_one_to_a_hundred_entries() {
    let batch = |n: usize| format!("[{}]", vec!["1"; n].join(","));
    assert!(matches!(
        payload(batch(0).as_bytes()),
        Err(Invalid::Shape(_))
    ));
    assert!(
        matches!(payload(batch(100).as_bytes()), Ok(Payload::Batch(entries)) if entries.len() == 100)
    );
    assert!(matches!(
        payload(batch(101).as_bytes()),
        Err(Invalid::Shape(_))
    ));
}

#[test]
fn an_error_response_may_have_no_id() {
    let text = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#;
    assert!(matches!(
        one(text).unwrap().body,
        Body::Response { id: None, .. }
    ));
}

#[test]
fn names_are_unescaped_on_demand() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"\u0061b"}}"#;
    let message = one(text).unwrap();
    assert_eq!(message.method(), Some("tools/call"));
    assert_eq!(
        string(message.params().unwrap().name.unwrap()).unwrap(),
        "ab"
    );
}

#[test]
fn what_some_readers_take_for_a_known_member_is_none() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","METHOD":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"paramſ":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"Id":2,"method":"ping"}"#,
    ] {
        assert_eq!(
            message(text).err(),
            Some(Invalid::Shape(MISSHAPEN)),
            "{text}"
        );
    }
    let ambiguous = |params: &str| {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        message(&text).unwrap().params().unwrap().has_lookalike
    };
    assert!(ambiguous(r#"{"name":"a","Name":"b"}"#) && ambiguous(r#"{"ta\u212a":1,"TaſKID":1}"#));
    assert!(!ambiguous(r#"{"name":"a","names":"b","nam":1}"#));
}
