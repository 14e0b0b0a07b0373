//! What a child wrote, and who must hear of it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use filters::rpc::parse;

use super::*;
use crate::stdio::Program;
use crate::stdio::Reach;
use crate::stdio::Spec;
use crate::stdio::desk::BACKLOG_MAX;
use crate::stdio::link::logs::Seat;
use crate::stdio::link::ticket::Ticket;
use crate::stdio::link::{Counters, OnDisconnect, Outgoing};

fn link(audience: Audience) -> Arc<Link> {
    let spec = Arc::new(Spec::new(
        "files",
        Reach::Program(Program::new("files-server")),
    ));
    Arc::new(Link::new(spec, audience, Arc::new(Counters::default())))
}

/// A call with `extra` members besides id and method.
async fn call(link: &Arc<Link>, kind: Kind, id: &str, token: Option<&str>, log: bool) -> Ticket {
    let token_text = token.map(|token| format!(r#""progressToken":{token}"#));
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"x","params":{{"_meta":{{{}}}}}}}"#,
        token_text.unwrap_or_default()
    );
    let message = parse::message(&text).unwrap();
    let meta = meta::Meta::of(message.params().unwrap()).unwrap();
    link.call(Outgoing {
        message: &message,
        id: message.request_id().unwrap(),
        progress_token: meta.progress_token,
        wants_log: log,
        kind,
        session: 1,
        on_disconnect: OnDisconnect::Cancel,
    })
    .await
    .unwrap()
}

async fn request(link: &Arc<Link>, id: &str) -> Ticket {
    call(link, Kind::Request, id, None, false).await
}

fn wrote(link: &Link, text: &str) -> Taken {
    link.deliver(&Line::Whole(Bytes::copy_from_slice(text.as_bytes())))
}

/// Everything that has come to a mailbox, as text; an answer with its status.
fn come(mailbox: &Mailbox) -> Vec<String> {
    let cx = Context::from_waker(Waker::noop());
    let text = |payload: Payload| String::from_utf8(payload.to_vec()).unwrap();
    let mut come = Vec::new();
    while let Poll::Ready(parcel) = mailbox.poll_next(&cx) {
        match parcel {
            Parcel::Event(payload) => come.push(text(payload)),
            Parcel::Answer(payload, status) => {
                come.push(format!("{} {}", status.as_u16(), text(payload)));
            }
            Parcel::End => {
                come.push("end".to_owned());
                break;
            }
        }
    }
    come
}

/// Everything that was written to the child.
async fn told(link: &Link) -> Vec<String> {
    link.outbox.close();
    let mut written = Vec::new();
    let long = Duration::from_secs(60);
    link.outbox.drain(&mut written, long).await.unwrap();
    let text = String::from_utf8(written).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn dropped(link: &Link) -> u64 {
    link.counters
        .dropped
        .load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn an_answer_goes_to_its_call_under_the_clients_id() {
    let link = link(Audience::Requests);
    let (one, two) = (request(&link, "7").await, request(&link, "7").await);
    wrote(
        &link,
        r#"{"result":{"n":12345678901234567890},"jsonrpc":"2.0","id":2}"#,
    );
    assert_eq!(
        come(&two.mailbox),
        [
            r#"200 {"result":{"n":12345678901234567890},"jsonrpc":"2.0","id":7}"#,
            "end"
        ]
    );
    assert!(come(&one.mailbox).is_empty());
}

#[tokio::test]
async fn an_answer_to_nobody_is_nobodys() {
    let link = link(Audience::Requests);
    let ticket = request(&link, "7").await;
    for id in ["7", "\"1\"", "1.0", "01", "-1", "18446744073709551617"] {
        wrote(
            &link,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#),
        );
    }
    assert!(come(&ticket.mailbox).is_empty());
}

#[tokio::test]
async fn progress_carries_the_clients_token_and_ends_with_the_call() {
    let link = link(Audience::Requests);
    let ticket = call(&link, Kind::Request, "\"a\"", Some("\"t\""), false).await;
    let silent = request(&link, "1").await;
    let progress = |token: u8| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progress":1,"progressToken":{token}}}}}"#
        )
    };
    wrote(&link, &progress(1));
    wrote(&link, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    wrote(&link, &progress(1));
    wrote(&link, &progress(2));
    let events = come(&ticket.mailbox);
    assert!(events[0].contains(r#""progressToken":"t""#), "{events:?}");
    assert_eq!(events.len(), 3);
    assert!(come(&silent.mailbox).is_empty());
    assert_eq!(dropped(&link), 2);
    let told = told(&link).await;
    assert!(
        told[0].contains(r#""id":1,"#) && told[0].contains(r#""progressToken":1"#),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_log_message_is_for_the_only_call_that_wants_it_or_for_nobody() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"secret"}}"#;
    let link = link(Audience::Requests);
    let quiet = request(&link, "1").await;
    wrote(&link, log);
    drop(quiet);
    let asked = call(&link, Kind::Request, "2", None, true).await;
    wrote(&link, log);
    assert_eq!(come(&asked.mailbox), [log]);
    let _other = call(&link, Kind::Request, "3", None, true).await;
    wrote(&link, log);
    assert!(come(&asked.mailbox).is_empty());
    assert_eq!(dropped(&link), 2);
}

#[tokio::test]
async fn a_call_that_wants_no_log_messages_does_not_make_anothers_ambiguous() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#;
    let link = link(Audience::Requests);
    let quiet = request(&link, "1").await;
    let asked = call(&link, Kind::Request, "2", None, true).await;
    wrote(&link, log);
    assert_eq!(come(&asked.mailbox), [log]);
    assert!(come(&quiet.mailbox).is_empty());
    assert_eq!(dropped(&link), 0);
}

#[tokio::test]
async fn what_a_child_still_logs_for_a_call_that_was_given_up_is_nobodys() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}"#;
    let link = link(Audience::Requests);
    drop(call(&link, Kind::Request, "1", None, true).await);
    let next = call(&link, Kind::Request, "2", None, true).await;
    wrote(&link, log);
    assert!(come(&next.mailbox).is_empty());
    let told = told(&link).await;
    assert!(told[1].contains("notifications/cancelled"), "{told:?}");
    assert!(
        told[2].contains(r#""id":2,"method":"server/discover""#),
        "{told:?}"
    );
    wrote(&link, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    wrote(&link, log);
    assert_eq!(come(&next.mailbox), [log]);
}

#[tokio::test]
async fn a_child_has_one_seat_for_calls_that_want_log_messages() {
    let link = link(Audience::Requests);
    let seat = Seat::take(&link);
    assert!(Seat::take(&link).is_none());
    drop(seat);
    let seat = Seat::take(&link);
    let mut asked = call(&link, Kind::Request, "1", None, true).await;
    asked.hold(seat);
    wrote(&link, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert!(Seat::take(&link).is_none(), "its client is being answered");
    asked.settle();
    drop(asked);
    assert!(Seat::take(&link).is_some());
}

#[tokio::test]
async fn a_shared_child_that_asks_is_answered_without_a_client() {
    let link = link(Audience::Requests);
    let ticket = request(&link, "1").await;
    wrote(&link, r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    wrote(&link, r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#);
    assert!(come(&ticket.mailbox).is_empty());
    let told = told(&link).await;
    assert_eq!(told[1], r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);
    assert!(
        told[2].starts_with(r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32601,"#),
        "{told:?}"
    );
}

#[tokio::test]
async fn updates_are_for_subscribers_and_changes_for_all() {
    let member = |uris: &[&str]| Member {
        desk: Arc::new(Desk::default()),
        subscriptions: uris.iter().map(|uri| (*uri).to_owned()).collect(),
    };
    let (one, two) = (member(&["file:///a"]), member(&[]));
    let streams = [&one, &two].map(|member| member.desk.open(1024).unwrap());
    let members = [(1, one), (2, two)].into_iter().collect();
    let link = link(Audience::Sessions(parking_lot::Mutex::new(members)));
    let updated = |uri: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#
        )
    };
    wrote(&link, &updated("file:///a/part"));
    wrote(&link, &updated("file:///b"));
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    wrote(&link, changed);
    assert_eq!(
        come(&streams[0]),
        [updated("file:///a/part"), changed.to_owned()]
    );
    assert_eq!(come(&streams[1]), [changed]);
}

#[tokio::test]
async fn a_request_that_cannot_wait_any_longer_is_refused_to_the_server() {
    let link = link(Audience::Session(Arc::default()));
    for id in 0..=BACKLOG_MAX {
        wrote(
            &link,
            &format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#),
        );
    }
    let told = told(&link).await;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains(&format!(r#""id":{BACKLOG_MAX},"error""#)),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_unrelated_message_is_on_one_stream_the_newest_calls_first() {
    let desk = Arc::new(Desk::default());
    let stream = desk.open(1024).unwrap();
    let link = link(Audience::Session(desk));
    let (old, new) = (request(&link, "1").await, request(&link, "2").await);
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
    wrote(&link, note);
    assert_eq!(come(&new.mailbox), [note]);
    assert!(come(&old.mailbox).is_empty());
    drop(new);
    wrote(&link, note);
    assert_eq!(come(&old.mailbox), [note]);
    drop(old);
    wrote(&link, note);
    assert_eq!(come(&stream), [note]);
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_with_an_error_and_the_child_is_told() {
    let link = link(Audience::Requests);
    let ticket = call(&link, Kind::Request, "9", Some("9"), false).await;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    for _ in 0..=crate::stdio::mailbox::MESSAGES_MAX {
        wrote(&link, progress);
    }
    let events = come(&ticket.mailbox);
    let last = &events[events.len() - 2];
    assert!(
        last.starts_with(r#"503 {"jsonrpc":"2.0","id":9,"error""#),
        "{last}"
    );
    let told = told(&link).await;
    assert!(told[1].contains(r#""method":"notifications/cancelled","params":{"requestId":1,"#));
}

#[tokio::test]
async fn what_is_no_message_is_noise_and_blank_lines_are_not() {
    let link = link(Audience::Requests);
    for noise in [
        "Server started",
        "[1]",
        r#"["2.0",1,"ping"]"#,
        r#"{"a":1}"#,
        "\"x\"",
    ] {
        assert_eq!(wrote(&link, noise), Taken::Noise, "{noise}");
    }
    assert_eq!(wrote(&link, " \t"), Taken::Message);
    let latin = Line::Whole(Bytes::from_static(
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xe9\"}",
    ));
    assert_eq!(link.deliver(&latin), Taken::Noise);
}

#[test]
fn the_id_of_a_too_long_answer_is_found_at_either_end_and_only_there() {
    let heads: [(&[u8], Option<u64>); 5] = [
        (br#"{"jsonrpc":"2.0","id":7,"result":{"#, Some(7)),
        (br#" {"id" : 7 ,"jsonrpc":"2.0","re"#, Some(7)),
        (br#"{"result":{"id":7,"#, None),
        (br#"{"jsonrpc":"2.0","result":{"id":7,"#, None),
        (b"{\"id\":7\xe9,", None),
    ];
    for (head, id) in heads {
        assert_eq!(id_in_head(head), id, "{}", String::from_utf8_lossy(head));
    }
    let tails: [(&[u8], Option<u64>); 5] = [
        (br#"x"},"jsonrpc":"2.0","id":7}"#, Some(7)),
        (br#"x"}, "id" : 7 } "#, Some(7)),
        (br#""result":{"id":7}}"#, None),
        (br#""text":"\"id\":7}"}"#, None),
        (b"", None),
    ];
    for (tail, id) in tails {
        assert_eq!(id_in_tail(tail), id, "{}", String::from_utf8_lossy(tail));
    }
}
