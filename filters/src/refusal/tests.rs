use super::*;
use crate::lock::refused::Cause;
use crate::rpc::parse::Id;

#[test]
fn own_codes_stay_out_of_the_reserved_range() {
    let own = Refusal::UpstreamUnavailable { server: "s".into() };
    assert!(!(-32768..=-32000).contains(&own.code()));
}

#[test]
fn mcp_conduits_clients_are_told_of_policy_with_200_and_of_all_else_as_ever() {
    let unauthenticated = Refusal::Unauthenticated(denial::Denial::Missing);
    let throttled = Refusal::AuthThrottled { seconds: 7 };
    let scope = Refusal::ScopeInsufficient {
        required: "tools:call".into(),
    };
    let rows = [
        (&unauthenticated, 401, 200),
        (&throttled, 429, 200),
        (&scope, 403, 200),
        (&Refusal::OriginForbidden, 403, 403),
        (&Refusal::SessionUnknown, 404, 404),
        (&Refusal::AuthUnavailable, 503, 503),
    ];
    for (refusal, own, compatible) in rows {
        assert_eq!(refusal.status_in(Statuses::Own), own, "{refusal:?}");
        assert_eq!(refusal.status_in(Statuses::Always200), compatible);
    }
    assert_eq!(throttled.retry_after_seconds(), Some(7));
}

#[test]
fn an_unsupported_version_names_what_is_supported_and_what_was_asked() {
    let refusal = Refusal::VersionUnsupported {
        requested: "1999-01-01\"".into(),
    };
    assert_eq!(
        refusal.to_json(Id::from_json("7")),
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"unsupported protocol version: 1999-01-01\"; use 2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26 or 2024-11-05","data":{"supported":["2026-07-28"],"requested":"1999-01-01\""}}}"#
    );
}

#[test]
fn a_used_up_limit_is_told_in_the_words_of_mcp_conduit() {
    let refusal = Refusal::RateLimited {
        label: "client/minute".into(),
        limit: 10,
        retry_after: 42,
    };
    assert_eq!(refusal.status(), 429);
    assert_eq!(refusal.retry_after_seconds(), Some(42));
    assert_eq!(
        refusal.to_json(Id::from_json("7")),
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"Rate limit exceeded: client/minute. Retry after 42 seconds"}}"#
    );
}

#[test]
fn a_question_is_told_as_a_result_to_whom_it_can_be_put() {
    let notice = Notice {
        message: "m".into(),
        approval: "a1".into(),
        is_approved: false,
        age_seconds: 0,
        expires_at: "2026-11-24T01:00:00Z".into(),
    };
    let refusal = Refusal::ApprovalAsked(Box::new(Asked {
        notice,
        state: "sealed".into(),
    }));
    let told = refusal.to_json(Id::from_json("7"));
    let start = r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required""#;
    assert!(told.starts_with(start), "{told}");
    assert!(told.contains(r#""requestState":"sealed""#), "{told}");
    let error = refusal.to_json(None);
    assert!(error.contains(r#""code":-32011"#), "{error}");
    assert!(!error.contains("sealed"), "{error}");
}

#[test]
fn a_settled_approval_is_not_to_be_sent_again() {
    let told = |is_open| {
        let approval = Approval {
            rule: "r".into(),
            message: "m".into(),
            request: "a1".into(),
            status: "rejected",
            is_open,
            expires_at: "2026-11-24T01:00:00Z".into(),
        };
        Refusal::ApprovalRequired(Box::new(approval))
            .message()
            .into_owned()
    };
    assert!(told(true).contains("X-Conduit-Approval-Id"));
    assert!(!told(false).contains("X-Conduit-Approval-Id"));
}

#[test]
fn a_locked_tool_is_told_with_its_server_and_what_to_do() {
    let refusal = |cause| Refusal::ToolLocked(Box::new(Locked::new("s", "t\u{1b}", cause)));
    for cause in [
        Cause::Changed,
        Cause::Added,
        Cause::Removed,
        Cause::Unclear,
        Cause::Unread,
    ] {
        let message = refusal(cause).message();
        for part in [r#"tool "t\u{1b}" of server "s""#, "`conduit lock approve"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert_eq!(refusal(Cause::Changed).status(), 200);
    assert_eq!(refusal(Cause::Changed).code(), -31403);
    assert_eq!(refusal(Cause::Unread).status(), 503);
    assert_eq!(refusal(Cause::Unread).code(), -31503);
}

#[test]
fn a_strangers_text_is_repeated_in_part_only() {
    let refusal = Refusal::MethodNotFound {
        method: "é".repeat(10_000),
    };
    assert_eq!(refusal.message().chars().filter(|&c| c == 'é').count(), 64);
}
