//! Every refusal, and how each is told: one table, written by hand, that the code and `docs/ERRORS.md` are held
//! against.
//!
//! **Invariant:** a variant without a row does not compile, or fails here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail loudly"
)]

#[path = "refusals/page.rs"]
mod page;
#[path = "refusals/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};

use filters::mcp::revision::Era;
use filters::refusal::{Refusal, Statuses};
use filters::rpc::parse::Id;

use crate::table::{Row, rows};

/// Names the variant of a refusal, and all names there are. The match has no wildcard: a new variant has
/// to be listed here, and what is listed needs a row.
macro_rules! variants {
    ($($name:ident)*) => {
        const VARIANTS: &[&str] = &[$(stringify!($name)),*];

        fn variant(refusal: &Refusal) -> &'static str {
            match refusal {
                $(Refusal::$name { .. } => stringify!($name),)*
            }
        }
    };
}

variants! {
    ClientJson ClientDepth ClientShape ClientBatch ClientIdMissing BodyTooLarge BodyTimeout HeadTooLarge OriginForbidden
    HostForbidden ServerUnknown PathUnknown HttpMethod EnvelopeInvalid HeaderMissing HeaderMismatch
    HeaderMalformed HeaderRepeated VersionUnsupported MethodNotFound SessionMalformed SessionMissing SessionUnknown
    SessionsFull ProfileUnknown TargetUnknown TargetAmbiguous ParamsInvalid CursorInvalid StateInvalid
    CapabilityMissing ClientSilent RoundsExceeded Unauthenticated AuthThrottled AuthUnavailable
    ScopeInsufficient Guardrail ApprovalRequired ApprovalAsked ApprovalsFull RateLimited LimitsUnavailable
    ToolLocked AccessDenied UpstreamMoved UpstreamUnavailable UpstreamConnect UpstreamBroken UpstreamCredential
    UpstreamTimeout Internal
}

#[test]
fn every_refusal_has_a_row() {
    let listed: BTreeSet<&str> = rows().iter().map(|row| variant(&row.refusal)).collect();
    let wanted: BTreeSet<&str> = VARIANTS.iter().copied().collect();
    assert_eq!(listed, wanted);
    let labels: BTreeSet<&str> = rows().iter().map(|row| row.label).collect();
    for denial in filters::identity::denial::Denial::ALL {
        assert!(labels.contains(denial.label()), "{denial:?} has no row");
    }
}

#[test]
fn every_refusal_is_told_as_its_row_says() {
    for row in rows() {
        let Row {
            refusal,
            status,
            always_200,
            legacy,
            modern,
            retry,
            label,
            message,
        } = &row;
        assert_eq!(refusal.label(), *label, "{refusal:?}");
        assert_eq!(refusal.status(), *status, "{label}");
        assert_eq!(refusal.status_in(Statuses::Own), *status, "{label}");
        let compatible = refusal.status_in(Statuses::Always200);
        assert_eq!(compatible, *always_200, "{label}");
        assert_eq!(refusal.code_in(Some(Era::Legacy)), *legacy, "{label}");
        assert_eq!(refusal.code_in(Some(Era::Modern)), *modern, "{label}");
        assert_eq!(refusal.retry_after_seconds(), *retry, "{label}");
        assert_eq!(refusal.message(), *message, "{label}");
    }
}

#[test]
fn a_refusal_is_written_with_the_code_of_the_era_and_the_id_of_the_request() {
    for row in rows() {
        for (era, code) in [(Era::Legacy, row.legacy), (Era::Modern, row.modern)] {
            let text = row.refusal.to_json_in(Some(era), Id::from_json("\"7\""));
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["jsonrpc"], "2.0");
            assert_eq!(json["id"], "7");
            if let Refusal::ApprovalAsked(_) = row.refusal {
                let asked = &json["result"]["inputRequests"]["conduit_approval"]["params"];
                assert_eq!(asked["message"], row.message);
                continue;
            }
            assert_eq!(json["error"]["code"], code, "{}", row.label);
            assert_eq!(json["error"]["message"], row.message, "{}", row.label);
        }
    }
}

#[test]
fn one_label_is_one_kind_of_refusal() {
    let mut by_label: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in rows() {
        let variants = by_label.entry(row.label).or_default();
        variants.insert(variant(&row.refusal));
    }
    for (label, variants) in by_label {
        assert_eq!(variants.len(), 1, "{label} means {variants:?}");
    }
}

/// What a client reads has to name the thing, and say what to do about it: whoever writes a row decides
/// what that is. This is what can be checked of it.
#[test]
fn a_message_is_one_line_with_more_than_the_name_of_the_error() {
    for Row { message, label, .. } in rows() {
        assert!(!message.contains('\n'), "{label}: {message}");
        assert!(!message.ends_with('.'), "{label}: {message}");
        let n_words = message.split_whitespace().count();
        assert!(n_words >= 5, "{label}: {message}");
        assert!(message.len() <= 400, "{label}: {message}");
    }
}

/// E12: codes of the gateway's own lie outside what JSON-RPC and MCP reserve; what lies inside is the
/// specification's, or mcp-conduit's.
#[test]
fn no_code_is_made_up_in_the_reserved_range() {
    const SPECIFIED: [i32; 8] = [
        -32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022,
    ];
    const OF_MCP_CONDUIT: [i32; 2] = [-32000, -32011];
    for row in rows() {
        let is_own = |code: i32| !(-32768..=-32000).contains(&code);
        let is_known = |code| SPECIFIED.contains(&code) || OF_MCP_CONDUIT.contains(&code);
        assert!(is_own(row.modern) || is_known(row.modern), "{}", row.label);
        let is_legacy = row.legacy == -32002 || row.legacy == row.modern;
        assert!(is_legacy, "{}: {}", row.label, row.legacy);
    }
}
