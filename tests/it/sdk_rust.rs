//! The official Rust SDK works through the gateway as it works without it, in both eras.
#![expect(
    deprecated,
    reason = "the legacy era is deprecated as a whole, and testing it is the point"
)]

use futures_util::future::join_all;
use rmcp::{ServiceError, model::SubscriptionFilter};
use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    rust_client::{RustClient, typed},
    sdk::{Sdk, Server},
    within,
};

const TEXT: &str = "demo://resource/dynamic/text/7";
const UNICODE: &str = "grüße 漢字 😀 \u{2028} \"quoted\" \\ back";

/// What an error looked like, for the comparison.
fn described(error: &ServiceError) -> Value {
    let ServiceError::McpError(error) = error else {
        panic!("not a JSON-RPC error: {error}");
    };
    json!(error)
}

/// Runs every legacy scenario and returns what must be the same with and without the gateway.
pub(crate) async fn legacy(url: &str) -> Value {
    let client = RustClient::legacy(url).await;
    let info = format!("{:?}", client.service.peer_info().unwrap());
    assert!(info.contains("mcp-servers/everything"), "{info}");
    let tools = client.service.list_all_tools().await.unwrap();
    let echo = client.text("echo", json!({ "message": UNICODE })).await;
    assert_eq!(echo, format!("Echo: {UNICODE}"));
    let weather = client
        .call("get-structured-content", json!({ "location": "Chicago" }))
        .await
        .unwrap();
    assert_eq!(weather.structured_content.as_ref().unwrap()["humidity"], 82);

    let elicited = client.text("trigger-elicitation-request", json!({})).await;
    assert!(
        elicited.contains("provided the requested information"),
        "{elicited}"
    );
    assert_eq!(client.inbox.all("elicitation").len(), 1);
    let sampled = client
        .text(
            "trigger-sampling-request",
            json!({ "prompt": UNICODE, "maxTokens": 9 }),
        )
        .await;
    assert!(sampled.contains("Paris, says the model"), "{sampled}");
    assert_eq!(client.inbox.first("sampling").await["maxTokens"], 9);
    // The server asks by itself, once the GET stream should be open, and says in the log what it got.
    let updated = client
        .inbox
        .first_with("log message", "Roots updated: 1 root");
    updated.await;
    let roots = client.text("get-roots-list", json!({})).await;
    assert!(roots.contains("file:///srv/one"), "{roots}");

    let seen = (resources(&client).await, prompts(&client).await);
    progress_is_live(&client).await;
    cancellation_leaves_the_connection(&client).await;
    logging(&client).await;
    concurrent(&client, url).await;
    let unknown = client.call("no-such-tool", json!({})).await.unwrap();
    assert_eq!(unknown.is_error, Some(true));
    client.close().await;
    json!([
        info, tools, weather, elicited, sampled, roots, seen.0, seen.1, unknown
    ])
}

async fn resources(client: &RustClient) -> Value {
    let templates = client.service.list_all_resource_templates().await.unwrap();
    let read = client
        .service
        .read_resource(typed(json!({ "uri": TEXT })))
        .await
        .unwrap();
    assert!(
        json!(read)
            .to_string()
            .contains("Resource 7: This is a plaintext resource")
    );
    let missing = client
        .service
        .read_resource(typed(json!({ "uri": "demo://nowhere" })))
        .await;
    client
        .service
        .subscribe(typed(json!({ "uri": TEXT })))
        .await
        .unwrap();
    client.text("toggle-subscriber-updates", json!({})).await;
    assert_eq!(client.inbox.first("resource update").await["uri"], TEXT);
    client
        .service
        .unsubscribe(typed(json!({ "uri": TEXT })))
        .await
        .unwrap();
    client.text("toggle-subscriber-updates", json!({})).await;
    json!([templates, described(&missing.unwrap_err())])
}

async fn prompts(client: &RustClient) -> Value {
    let prompts = client.service.list_all_prompts().await.unwrap();
    let filled = json!({ "name": "args-prompt", "arguments": { "city": "Łódź", "state": "PL" } });
    let filled = client.service.get_prompt(typed(filled)).await.unwrap();
    assert!(
        json!(filled)
            .to_string()
            .contains("What's weather in Łódź, PL?")
    );
    let completion = client
        .service
        .complete_prompt_argument("completable-prompt", "department", "S", None)
        .await
        .unwrap();
    assert_eq!(completion.values, ["Sales", "Support"]);
    json!([prompts, filled])
}

/// After the first event a second call runs to its end while the first is still at work.
async fn progress_is_live(client: &RustClient) {
    let arguments = json!({ "duration": 2, "steps": 4 });
    let operation = client.call("trigger-long-running-operation", arguments);
    let meanwhile = async {
        client.inbox.first("progress").await;
        client.text("echo", json!({ "message": "meanwhile" })).await;
        client.inbox.all("progress").len()
    };
    let (result, events_meanwhile) = tokio::join!(operation, meanwhile);
    result.unwrap();
    assert!(
        events_meanwhile < 4,
        "progress arrived only with the result"
    );
    client.assert_progress(&["1.0", "2.0", "3.0", "4.0"]).await;
}

/// Dropping a call cancels it; `select!` drops it at the first event.
async fn cancellation_leaves_the_connection(client: &RustClient) {
    let before = client.inbox.all("progress").len();
    let arguments = json!({ "duration": 60, "steps": 300 });
    let started = async {
        crate::support::until("progress of the long call", || async {
            (client.inbox.all("progress").len() > before).then_some(())
        })
        .await;
    };
    tokio::select! {
        result = client.call("trigger-long-running-operation", arguments) => panic!("it ended: {result:?}"),
        () = started => {}
    }
    let echo = client
        .text("echo", json!({ "message": "still here" }))
        .await;
    assert_eq!(echo, "Echo: still here");
}

async fn logging(client: &RustClient) {
    client
        .service
        .set_level(typed(json!({ "level": "debug" })))
        .await
        .unwrap();
    client.text("toggle-simulated-logging", json!({})).await;
    client.inbox.first_with("log message", "evel").await;
    client.text("toggle-simulated-logging", json!({})).await;
}

/// 20 calls on each of two connections, which number their requests alike.
async fn concurrent(client: &RustClient, url: &str) {
    let other = RustClient::legacy(url).await;
    let calls = (0..40).map(|index| {
        let one = if index % 2 == 0 { client } else { &other };
        async move {
            let answer = one
                .text("echo", json!({ "message": format!("{index}") }))
                .await;
            assert_eq!(answer, format!("Echo: {index}"));
        }
    });
    join_all(calls).await;
    other.close().await;
}

/// Runs every modern scenario against a server with the conformance fixtures.
async fn modern(url: &str) -> Value {
    let client = RustClient::modern(url).await;
    let info = format!("{:?}", client.service.peer_info().unwrap());
    let tools = client.service.list_all_tools().await.unwrap();
    let simple = client.text("test_simple_text", json!({})).await;
    assert_eq!(simple, "This is a simple text response for testing.");
    let wrong = client.call("test_error_handling", json!({})).await.unwrap();
    assert_eq!(wrong.is_error, Some(true));
    client.text("test_tool_with_progress", json!({})).await;
    client.assert_progress(&["0.0", "50.0", "100.0"]).await;

    let elicited = client
        .text("test_input_required_result_elicitation", json!({}))
        .await;
    assert_eq!(elicited, "Hello, Ada!");
    let sampled = client
        .text("test_input_required_result_sampling", json!({}))
        .await;
    assert!(sampled.contains("Paris"), "{sampled}");
    let roots = client
        .text("test_input_required_result_list_roots", json!({}))
        .await;
    assert!(roots.contains("file:///srv/one"), "{roots}");

    let read = json!({ "uri": "test://template/123/data" });
    let read = client.service.read_resource(typed(read)).await.unwrap();
    assert!(json!(read).to_string().contains("123"));
    let missing = client
        .service
        .read_resource(typed(json!({ "uri": "test://nowhere" })))
        .await;
    let missing = described(&missing.unwrap_err());
    assert_eq!(missing["code"], -32602);
    let prompts = client.service.list_all_prompts().await.unwrap();

    let filter: SubscriptionFilter = typed(json!({ "toolsListChanged": true }));
    let mut subscription = within("the acknowledgment", client.service.listen(filter))
        .await
        .unwrap();
    assert_eq!(subscription.acknowledged().tools_list_changed, Some(true));
    client.text("test_trigger_tool_change", json!({})).await;
    let change = within("tools/list_changed", subscription.next())
        .await
        .unwrap();
    assert!(change.is_some());
    subscription.cancel().await.unwrap();
    client.close().await;
    json!([info, tools, wrong, sampled, roots, missing, prompts])
}

/// A gateway with the same server behind `/mcp/http` and behind `/mcp/stdio`.
async fn gateway(http: &Server, stdio: Value) -> Gateway {
    Gateway::start(json!([{ "id": "http", "url": http.url }, stdio])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_client_works_against_server_everything_over_http_and_stdio() {
    let sdk = Sdk::locate();
    let server = sdk.everything().await;
    let direct = legacy(&server.url).await;
    let gateway = gateway(&server, sdk.everything_stdio("stdio")).await;
    assert_eq!(legacy(&gateway.url("http")).await, direct);
    assert_eq!(legacy(&gateway.url("stdio")).await, direct);
}

#[tokio::test(flavor = "multi_thread")]
async fn modern_rust_client_works_against_the_typescript_v2_server_over_http_and_stdio() {
    let sdk = Sdk::locate();
    let server = sdk.both_eras().await;
    let direct = modern(&server.url).await;
    let gateway = gateway(&server, sdk.both_eras_stdio("stdio")).await;
    assert_eq!(modern(&gateway.url("http")).await, direct);
    assert_eq!(modern(&gateway.url("stdio")).await, direct);
}
