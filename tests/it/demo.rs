//! The demo server as clients of both eras see it, over HTTP.
#![expect(deprecated, reason = "the demo still logs, and so its client listens")]

use std::time::Duration;

use conduit::demo::listener::Listener;
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient, ServiceError,
    ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig,
        ElicitRequestParams, ElicitResult, ElicitationAction, ErrorCode, GetPromptRequestParams,
        Implementation, InputResponses, LoggingMessageNotificationParam, ProgressNotificationParam,
        ProtocolVersion, ReadResourceRequestParams, ResourceContents,
        ResourceUpdatedNotificationParam, SubscribeRequestParams, SubscriptionFilter, object,
    },
    service::{NotificationContext, RequestContext, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Nothing here takes long; a test that waits longer has failed.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
}

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

// === the server ===

/// A demo server on a port of its own.
struct Demo {
    url: String,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Demo {
    async fn start() -> Self {
        let listener = Listener::bind(0).await.unwrap();
        let url = listener.url();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(listener.serve(stop.clone()));
        Self { url, stop, serving }
    }

    async fn client(&self, era: Era) -> (Client, UnboundedReceiver<Heard>) {
        let (heard, hears) = unbounded_channel();
        let user = User { era, heard };
        let transport = StreamableHttpClientTransport::from_uri(self.url.as_str());
        let client = match era {
            Era::Legacy => user.serve(transport).await,
            Era::Modern => {
                let lifecycle = ClientLifecycleMode::Discover {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                };
                user.serve_with_lifecycle(transport, lifecycle).await
            }
        };
        (client.unwrap(), hears)
    }
}

// === the client ===

type Client = RunningService<RoleClient, User>;

/// A notification that reached the client.
#[derive(Debug, PartialEq)]
enum Heard {
    Progress(f64, Option<f64>),
    Log(Value),
    Updated(String),
}

/// A client whose user books for four, in the name of Ada.
struct User {
    era: Era,
    heard: UnboundedSender<Heard>,
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        let version = match self.era {
            Era::Legacy => ProtocolVersion::V_2025_11_25,
            Era::Modern => ProtocolVersion::V_2026_07_28,
        };
        ClientConfig::new(capabilities, Implementation::new("test", "1"))
            .with_protocol_version(version)
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = json!({ "guests": 4, "name": "Ada" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard
            .send(Heard::Progress(progress.progress, progress.total))
            .unwrap();
    }

    async fn on_logging_message(
        &self,
        message: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.send(Heard::Log(message.data)).unwrap();
    }

    async fn on_resource_updated(
        &self,
        updated: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.heard.send(Heard::Updated(updated.uri)).unwrap();
    }
}

fn tool(name: &'static str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(name).with_arguments(object(arguments))
}

async fn call(client: &Client, name: &'static str, arguments: Value) -> CallToolResult {
    timeout(DEADLINE, client.call_tool(tool(name, arguments)))
        .await
        .unwrap()
        .unwrap()
}

fn text(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

async fn next<T>(hears: &mut UnboundedReceiver<T>) -> T {
    timeout(DEADLINE, hears.recv()).await.unwrap().unwrap()
}

fn error_of<T>(result: Result<T, ServiceError>) -> ErrorData {
    match result {
        Err(ServiceError::McpError(error)) => error,
        Err(other) => panic!("not an answer of the server: {other}"),
        Ok(_) => panic!("an answer where an error was due"),
    }
}

// === tools ===

#[tokio::test]
async fn every_tool_says_what_it_does_to_the_world() {
    let demo = Demo::start().await;
    for era in ERAS {
        let (client, _hears) = demo.client(era).await;
        let tools = client.list_all_tools().await.unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        let expected = [
            "add",
            "book_table",
            "echo",
            "forget",
            "now",
            "remember",
            "slow",
        ];
        assert_eq!(names, expected, "{era:?}");
        for tool in &tools {
            let annotations = tool.annotations.as_ref().unwrap();
            assert!(
                tool.title.is_some() && tool.description.is_some(),
                "{}",
                tool.name
            );
            assert_eq!(annotations.open_world_hint, Some(false), "{}", tool.name);
            let writes = ["book_table", "forget", "remember"].contains(&tool.name.as_ref());
            assert_eq!(annotations.read_only_hint, Some(!writes), "{}", tool.name);
            assert_eq!(
                annotations.destructive_hint,
                Some(tool.name == "forget"),
                "{}",
                tool.name
            );
        }
    }
}

#[tokio::test]
async fn add_answers_with_structure() {
    let demo = Demo::start().await;
    for era in ERAS {
        let (client, _hears) = demo.client(era).await;
        let result = call(&client, "add", json!({ "a": 1.5, "b": 2 })).await;
        assert_eq!(
            result.structured_content,
            Some(json!({ "sum": 3.5 })),
            "{era:?}"
        );
    }
}

#[tokio::test]
async fn slow_reports_every_step() {
    let demo = Demo::start().await;
    for era in ERAS {
        let (client, mut hears) = demo.client(era).await;
        let result = call(&client, "slow", json!({ "seconds": 0.03, "steps": 3 })).await;
        assert_eq!(text(&result), "worked for 0.03 s in 3 steps");
        for step in [1.0, 2.0, 3.0] {
            assert_eq!(
                next(&mut hears).await,
                Heard::Progress(step, Some(3.0)),
                "{era:?}"
            );
        }
    }
}

#[tokio::test]
async fn slow_refuses_to_work_for_hours() {
    let demo = Demo::start().await;
    let (client, _hears) = demo.client(Era::Modern).await;
    let result = call(&client, "slow", json!({ "seconds": 3600 })).await;
    assert_eq!(result.is_error, Some(true));
}

#[tokio::test]
async fn booking_asks_the_user() {
    let demo = Demo::start().await;
    for era in ERAS {
        let (client, _hears) = demo.client(era).await;
        let result = call(&client, "book_table", json!({ "restaurant": "Chez Nous" })).await;
        let booked = "A table for 4 at Chez Nous is booked under the name Ada.";
        assert_eq!(text(&result), booked, "{era:?}");
    }
}

#[tokio::test]
async fn an_answer_counts_only_for_the_question_it_was_given_to() {
    let demo = Demo::start().await;
    let (client, _hears) = demo.client(Era::Modern).await;
    let asked = client
        .call_tool_once(tool("book_table", json!({ "restaurant": "A" })))
        .await;
    let CallToolResponse::InputRequired(asked) = asked.unwrap() else {
        panic!("no question was asked")
    };
    let key = asked.input_requests.unwrap().into_keys().next().unwrap();
    let answer = json!({ "action": "accept", "content": { "guests": 2, "name": "Eve" } });
    let retry = |restaurant: &str, state: Option<String>| {
        let mut request = tool("book_table", json!({ "restaurant": restaurant }));
        request.input_responses = Some(InputResponses::from([(key.clone(), answer.clone())]));
        request.request_state = state;
        request
    };
    let state = asked.request_state.unwrap();

    for forged in [
        retry("B", Some(state.clone())),
        retry("A", Some(format!("{state}x"))),
        retry("A", None),
    ] {
        let error = error_of(client.call_tool_once(forged).await);
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    }
    let honest = client.call_tool(retry("A", Some(state))).await.unwrap();
    assert_eq!(
        text(&honest),
        "A table for 2 at A is booked under the name Eve."
    );
}

// === notes ===

#[tokio::test]
async fn a_note_comes_and_goes_as_a_resource() {
    let demo = Demo::start().await;
    for era in ERAS {
        let (client, _hears) = demo.client(era).await;
        let read = || client.read_resource(ReadResourceRequestParams::new("demo://note/milk"));

        let result = call(
            &client,
            "remember",
            json!({ "name": "milk", "text": "two" }),
        )
        .await;
        assert_eq!(text(&result), "remembered as demo://note/milk", "{era:?}");
        let contents = read().await.unwrap().contents;
        assert_eq!(
            contents,
            [ResourceContents::text("two", "demo://note/milk")]
        );
        let listed = client.list_all_resources().await.unwrap();
        assert!(
            listed
                .iter()
                .any(|resource| resource.uri == "demo://note/milk")
        );

        let again = call(
            &client,
            "remember",
            json!({ "name": "milk", "text": "six" }),
        )
        .await;
        assert_eq!(again.is_error, Some(true));

        call(&client, "forget", json!({ "name": "milk" })).await;
        let error = error_of(read().await);
        let code = match era {
            Era::Legacy => ErrorCode::RESOURCE_NOT_FOUND,
            Era::Modern => ErrorCode::INVALID_PARAMS,
        };
        assert_eq!(
            (error.code, error.data),
            (code, Some(json!({ "uri": "demo://note/milk" })))
        );
    }
}

#[tokio::test]
async fn a_legacy_subscriber_hears_of_a_new_note() {
    let demo = Demo::start().await;
    let (client, mut hears) = demo.client(Era::Legacy).await;
    client
        .subscribe(SubscribeRequestParams::new("demo://notes"))
        .await
        .unwrap();
    call(
        &client,
        "remember",
        json!({ "name": "milk", "text": "two" }),
    )
    .await;
    // The two travel on different streams, in no order.
    let heard = [next(&mut hears).await, next(&mut hears).await];
    assert!(
        heard.contains(&Heard::Updated("demo://notes".to_owned())),
        "{heard:?}"
    );
    assert!(
        heard.contains(&Heard::Log(json!("remembered milk"))),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_modern_listener_hears_what_it_asked_for_and_no_more() {
    let demo = Demo::start().await;
    let (client, _hears) = demo.client(Era::Modern).await;
    let filter = SubscriptionFilter::builder()
        .tools_list_changed()
        .resources_list_changed()
        .resource_subscriptions(["demo://note/milk"])
        .build();
    let mut stream = client.listen(filter).await.unwrap();
    // The tools never change, so that part is not promised.
    let promised = SubscriptionFilter::builder()
        .resources_list_changed()
        .resource_subscriptions(["demo://note/milk"])
        .build();
    assert_eq!(stream.acknowledged(), &promised);

    for name in ["eggs", "milk"] {
        call(&client, "remember", json!({ "name": name, "text": "" })).await;
    }
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let notification = timeout(DEADLINE, stream.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let sent = serde_json::to_value(notification).unwrap();
        heard.push((sent["method"].clone(), sent["params"]["uri"].clone()));
    }
    let list = (json!("notifications/resources/list_changed"), Value::Null);
    let note = (
        json!("notifications/resources/updated"),
        json!("demo://note/milk"),
    );
    assert_eq!(heard, [list.clone(), list, note]);
}

// === prompts ===

#[tokio::test]
async fn a_prompt_takes_its_argument() {
    let demo = Demo::start().await;
    for era in ERAS {
        let (client, _hears) = demo.client(era).await;
        let arguments = object(json!({ "name": "Ada", "language": "danish" }));
        let request = GetPromptRequestParams::new("greet").with_arguments(arguments);
        let prompt = client.get_prompt(request).await.unwrap();
        let said = &prompt.messages[0].content.as_text().unwrap().text;
        assert!(
            said.contains("Ada") && said.contains("danish"),
            "{era:?}: {said}"
        );

        let completed = client
            .complete_prompt_simple("greet", "language", "s")
            .await
            .unwrap();
        assert_eq!(completed, ["spanish"], "{era:?}");
    }
}

// === transport ===

#[tokio::test]
async fn a_web_page_from_elsewhere_is_refused() {
    let demo = Demo::start().await;
    let address = demo
        .url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/mcp")
        .unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
                   Content-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn it_stops_when_told_though_a_stream_is_open() {
    let demo = Demo::start().await;
    let (legacy, _hears) = demo.client(Era::Legacy).await;
    let (modern, _hears) = demo.client(Era::Modern).await;
    let filter = SubscriptionFilter::builder()
        .resources_list_changed()
        .build();
    let _stream = modern.listen(filter).await.unwrap();
    demo.stop.cancel();
    timeout(DEADLINE, demo.serving).await.unwrap().unwrap();
    drop((legacy, modern));
}
