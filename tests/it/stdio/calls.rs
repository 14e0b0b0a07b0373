//! Calls and their answers.

use serde_json::json;

use super::{legacy, modern, modern_with_token, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_with_the_same_ids_get_their_own_answers() {
    let running = run(|_| {}).await;
    let mut clients = Vec::new();
    for who in 0..200 {
        let mut client = running.client().await;
        clients.push(tokio::spawn(async move {
            for id in 1..=5 {
                let value = format!(r#""value":"{who}/{id}""#);
                let answer = client
                    .post(&modern(&id.to_string(), "echo", &value))
                    .await
                    .json();
                assert_eq!(answer["id"], id);
                assert_eq!(answer["result"]["echo"], format!("{who}/{id}"));
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(running.supervisor.status().children, 1);
    running.end().await;
}

#[tokio::test]
async fn ids_and_numbers_come_back_byte_for_byte() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    for id in [
        "9007199254740993",
        "\"1\"",
        "\"\\u0061\"",
        "-1.50",
        "123456789012345678901234567890",
    ] {
        let answer = client.post(&modern(id, "fail", r#""code":-32602"#)).await;
        assert_eq!(answer.status, 200);
        assert!(
            answer.text.contains(&format!(r#""id": {id}"#)),
            "{answer:?}"
        );
        assert!(
            answer.text.contains(r#"{"big": 123456789012345678901}"#),
            "{answer:?}"
        );
    }
    running.end().await;
}

#[tokio::test]
async fn progress_goes_to_its_own_call_under_its_own_token() {
    let running = run(|_| {}).await;
    let mut calls = Vec::new();
    for who in 0..10 {
        let mut client = running.client().await;
        calls.push(tokio::spawn(async move {
            // Two clients always have the same token; the type of a token is part of it.
            let token = if who % 2 == 0 { "7" } else { "\"7\"" };
            let params = format!(r#""steps":5,"who":{who}"#);
            let answer = client
                .post(&modern_with_token("1", "progress", &params, token))
                .await;
            let events = answer.events();
            assert_eq!(events.len(), 6);
            for (step, event) in events[..5].iter().enumerate() {
                let token: serde_json::Value = serde_json::from_str(token).unwrap();
                let expected = json!({"progressToken": token, "progress": step, "who": who});
                assert_eq!(event["params"], expected);
            }
            assert_eq!(events[5]["id"], 1);
            assert_eq!(events[5]["result"]["who"], who);
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    running.end().await;
}

#[tokio::test]
async fn a_request_with_line_breaks_is_one_line_to_the_child() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    let pretty = modern("1", "echo", r#""value":"a\nb""#).replace(',', ",\r\n  ");
    let answer = client.post(&pretty).await.json();
    assert_eq!(answer["result"]["echo"], "a\nb");
    running.end().await;
}

#[tokio::test]
async fn modern_error_codes_decide_the_status_and_legacy_ones_do_not() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    let rows = [
        (-32601, 404),
        (-32700, 400),
        (-32600, 400),
        (-32020, 400),
        (-32021, 400),
        (-32022, 400),
        (-32602, 200),
        (-32000, 200),
    ];
    for (code, status) in rows {
        let answer = client
            .post(&modern("1", "fail", &format!(r#""code":{code}"#)))
            .await;
        assert_eq!(answer.error().0, status, "{code}");
        assert_eq!(answer.error().1, code);
    }
    let mut session = running.session().await;
    let answer = session.post(&legacy("1", "fail", r#""code":-32601"#)).await;
    assert_eq!(answer.status, 200);
    running.end().await;
}

#[tokio::test]
async fn bad_bodies_are_refused_and_the_next_request_is_served() {
    let running = run(|spec| spec.line_bytes_max = 64 * 1024).await;
    let mut client = running.client().await;
    assert_eq!(client.post("{").await.error().1, -32700);
    assert_eq!(client.post(r#"{"id":1}"#).await.error().1, -32600);
    let twice = modern_with_token("1", "echo", "", "1,\"progressToken\":2");
    assert_eq!(client.post(&twice).await.error().1, -32602);
    let mut other = running.client().await;
    let large = modern("1", "echo", &format!(r#""value":"{}""#, "x".repeat(70_000)));
    assert_eq!(other.post(&large).await.error().0, 413);
    assert_eq!(client.request("GET").await.status, 405);
    assert_eq!(client.request("PUT").await.header("allow"), Some("POST"));
    let answer = client.post(&modern("1", "echo", r#""value":1"#)).await;
    assert_eq!(answer.json()["result"]["echo"], 1);
    running.end().await;
}

#[tokio::test]
async fn large_messages_pass_in_both_directions() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    let value = "é".repeat(2 * 1024 * 1024);
    let answer = client
        .post(&modern("\"big\"", "echo", &format!(r#""value":"{value}""#)))
        .await;
    let answer = answer.json();
    assert_eq!(answer["id"], "big");
    assert!(answer["result"]["echo"] == value);
    running.end().await;
}
