use super::*;

fn after(stream: &str) -> Observer {
    let mut observer = Observer::default();
    observer.observe(stream.as_bytes());
    observer
}

#[test]
fn an_answer_is_told_from_a_request_and_a_notification() {
    let rows = [
        (
            "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
            true,
        ),
        (
            "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1}}\n\n",
            true,
        ),
        (
            "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n\n",
            false,
        ),
        (
            "data: {\"method\":\"n\",\"params\":{\"result\":1}}\n\n",
            false,
        ),
        (
            "data: {\"method\":\"n\",\"params\":\"\\\"result\\\":\"}\n\n",
            false,
        ),
        (
            "data: {\"x\":[{\"a\":1},2],\"result\":{\"method\":1}}\n\n",
            true,
        ),
        (": data: {\"result\":1}\n\n", false),
        ("data: {\"result\":1}\n", false),
        ("data: {\ndata: \"result\":1}\n\n", true),
        ("event: message\r\ndata:{ \"result\" : 1 }\r\n\r\n", true),
        ("data: {\"id\":\"a,b\",\"result\":1}\n\n", true),
        ("data: {\"result-of-something-else\":1}\n\n", false),
    ];
    for (stream, expected) in rows {
        assert_eq!(after(stream).answer().is_some(), expected, "{stream:?}");
    }
}

#[test]
fn a_comment_may_stand_only_between_events() {
    let rows = [
        ("", true),
        ("data: 1\n\n", true),
        ("data: 1\r\n\r\n", true),
        (": comment\n\n", true),
        ("data: 1\n", false),
        ("data: 1", false),
        ("dat", false),
        ("id: 1\n\nda", false),
        ("\n\n\n", true),
    ];
    for (stream, expected) in rows {
        assert_eq!(after(stream).is_between_events(), expected, "{stream:?}");
    }
}

#[test]
fn what_completes_its_events_is_told_from_what_does_not() {
    let rows = [
        ("", 0),
        ("data: 1\n\n", 9),
        ("data: 1\n\ndata: 2\n", 9),
        ("data: 1\r\n\r\ndata", 11),
        (": c\n\ndata: 1\n\nid: 3\n\nda", 21),
        ("data: 1", 0),
        ("\n\n", 2),
    ];
    for (stream, expected) in rows {
        assert_eq!(
            Observer::default().observe(stream.as_bytes()),
            expected,
            "{stream:?}"
        );
    }
}

#[test]
fn a_stream_with_event_ids_is_resumable() {
    assert!(after("id: 5\ndata:\n\n").is_resumable());
    assert!(!after("data: {\"id\":5}\n\n").is_resumable());
    assert!(!after("identity: 5\n\n").is_resumable());
}

proptest::proptest! {
    #[test]
    fn how_the_stream_is_cut_into_reads_does_not_matter(
        stream in "(data|id|event)?:? ?[{}\\[\\]\",:a-z\\\\ ]{0,12}(\r\n|\n|\r){0,3}(data: \\{\"(result|method|error)\":[0-9]\\}\n\n)?[a-z:\n\r]{0,6}",
        cuts in proptest::collection::vec(0_usize..40, 0..6),
    ) {
        let whole = after(&stream);
        let mut pieces = Observer::default();
        let mut rest = stream.as_bytes();
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            pieces.observe(head);
            rest = tail;
        }
        pieces.observe(rest);
        proptest::prop_assert_eq!(whole.answer(), pieces.answer());
        proptest::prop_assert_eq!(whole.is_between_events(), pieces.is_between_events());
        proptest::prop_assert_eq!(whole.is_resumable(), pieces.is_resumable());
    }
}
