//! The Rust SDK's client and a real server of tasks, over HTTP and as a child.

use rmcp::ServiceError;
use rmcp::model::{CallToolRequestParams, CallToolResponse};
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::rust_client::{RustClient, typed};
use crate::support::sdk::{Sdk, Server};
use crate::support::{until, within};

/// A gateway in front of two modern servers: `one` over HTTP, `two` as a child.
struct Bed {
    gateway: Gateway,
    _one: Server,
}

/// Where a server is reached, and what stands before its names and task ids there.
struct Place {
    path: &'static str,
    prefix: &'static str,
}

const PLACES: [Place; 4] = [
    Place {
        path: "/mcp",
        prefix: "one.",
    },
    Place {
        path: "/mcp",
        prefix: "two.",
    },
    Place {
        path: "/mcp/one",
        prefix: "",
    },
    Place {
        path: "/mcp/two",
        prefix: "",
    },
];

impl Bed {
    async fn start() -> Self {
        let binary = Sdk::reference_server();
        let one = Process::spawn(&binary, ["--era", "modern", "--port", "0"], &[]);
        let one = Server::announced(one).await;
        let two = json!({ "id": "two", "transport": "stdio", "command": binary,
            "args": ["--stdio", "--era", "modern"] });
        let gateway = Gateway::start(json!([{ "id": "one", "url": one.url }, two])).await;
        Self { gateway, _one: one }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.address)
    }
}

/// Calls a tool that becomes a task; the task's id.
async fn begin(client: &RustClient, tool: String, arguments: Value) -> String {
    let params = CallToolRequestParams::new(tool).with_arguments(typed(arguments));
    let called = within("the task to be made", client.service.call_tool_once(params));
    let called = called.await.unwrap();
    let CallToolResponse::Task(made) = called else {
        panic!("no task: {called:?}");
    };
    made.task.task_id
}

/// What the server says of a task.
async fn get(client: &RustClient, id: &str) -> Result<Value, ServiceError> {
    let params = typed(json!({ "taskId": id }));
    let got = within("the task", client.service.get_task(params)).await?;
    Ok(json!(got))
}

/// Polls a task until it has `status`; every word of it is of this task.
async fn reach(client: &RustClient, id: &str, status: &str) -> Value {
    until(&format!("task {id} to be {status}"), || async {
        let task = get(client, id).await.unwrap();
        assert_eq!(task["taskId"], id);
        (task["status"] == status).then_some(task)
    })
    .await
}

async fn update(client: &RustClient, id: &str, answers: Value) -> Result<(), ServiceError> {
    let params = typed(json!({ "taskId": id, "inputResponses": answers }));
    within("the update", client.service.update_task(params)).await
}

async fn cancel(client: &RustClient, id: &str) -> Result<(), ServiceError> {
    let params = typed(json!({ "taskId": id }));
    within("the cancellation", client.service.cancel_task(params)).await
}

/// The JSON-RPC code of an error.
fn code(error: &ServiceError) -> Value {
    let ServiceError::McpError(error) = error else {
        panic!("not a JSON-RPC error: {error}");
    };
    json!(error)["code"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_id_that_no_server_gave_is_refused_and_harms_no_task() {
    let bed = Bed::start().await;
    let client = RustClient::with_tasks(&bed.url("/mcp")).await;
    let id = begin(
        &client,
        "one.slow_compute".to_owned(),
        json!({ "seconds": 600 }),
    )
    .await;
    let inner = id.strip_prefix("one.").unwrap();
    for wrong in [
        String::new(),
        inner.to_owned(),
        format!("one.{id}"),
        format!("two.{inner}"),
        format!("three.{inner}"),
        format!(".{inner}"),
        "one.".to_owned(),
    ] {
        let got = get(&client, &wrong).await.unwrap_err();
        let updated = update(&client, &wrong, json!({})).await.unwrap_err();
        let cancelled = cancel(&client, &wrong).await.unwrap_err();
        for error in [got, updated, cancelled] {
            assert_eq!(code(&error), -32602, "{wrong:?}: {error}");
        }
    }
    assert_eq!(get(&client, &id).await.unwrap()["status"], "working");
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_no_tasks_is_given_none() {
    let bed = Bed::start().await;
    for Place { path, prefix } in PLACES {
        let url = bed.url(path);
        for (client, refusal) in [
            (RustClient::modern(&url).await, -32021),
            (RustClient::legacy(&url).await, -32600),
        ] {
            let call = async |tool: &str, arguments: Value| {
                let params = CallToolRequestParams::new(format!("{prefix}{tool}"))
                    .with_arguments(typed(arguments));
                within(tool, client.service.call_tool(params)).await
            };
            let computed = call("slow_compute", json!({ "seconds": 0 })).await.unwrap();
            assert_eq!(json!(computed)["content"][0]["text"], "Computed", "{path}");
            // This one cannot do without.
            let refused = call("failing_job", json!({})).await.unwrap_err();
            assert_eq!(code(&refused), refusal, "{path}: {refused}");
            client.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_polled_to_its_end_under_the_id_that_its_client_was_given() {
    let bed = Bed::start().await;
    for Place { path, prefix } in PLACES {
        let client = RustClient::with_tasks(&bed.url(path)).await;
        let arguments = json!({ "seconds": 0.1 });
        let id = begin(&client, format!("{prefix}slow_compute"), arguments).await;
        assert!(id.starts_with(prefix) && id.len() > prefix.len(), "{id}");
        assert_eq!(id.contains('.'), !prefix.is_empty(), "{path}: {id}");
        let done = reach(&client, &id, "completed").await;
        assert_eq!(done["result"]["content"][0]["text"], "Computed", "{done}");

        let id = begin(&client, format!("{prefix}failing_job"), json!({})).await;
        let done = reach(&client, &id, "completed").await;
        assert_eq!(done["result"]["isError"], true, "{done}");

        let id = begin(&client, format!("{prefix}protocol_error_job"), json!({})).await;
        let failed = reach(&client, &id, "failed").await;
        assert_eq!(failed["error"]["code"], -32603, "{failed}");
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_is_answered_by_updates() {
    let bed = Bed::start().await;
    for Place { path, prefix } in PLACES {
        let client = RustClient::with_tasks(&bed.url(path)).await;
        let answer = |value: Value| json!({ "action": "accept", "content": value });
        let id = begin(
            &client,
            format!("{prefix}confirm_delete"),
            json!({ "filename": "a.txt" }),
        )
        .await;
        let asking = reach(&client, &id, "input_required").await;
        let asked = &asking["inputRequests"]["confirm"];
        assert_eq!(asked["method"], "elicitation/create", "{asking}");
        let confirmed = json!({ "confirm": answer(json!({ "confirm": true })) });
        update(&client, &id, confirmed).await.unwrap();
        let done = reach(&client, &id, "completed").await;
        let said = &done["result"]["content"][0]["text"];
        assert_eq!(said, "a.txt: deleted", "{done}");

        // Two questions at once, answered one by one.
        let id = begin(&client, format!("{prefix}multi_input"), json!({})).await;
        until("both questions", || async {
            let asking = reach(&client, &id, "input_required").await;
            let asked = asking["inputRequests"].as_object().unwrap().len();
            (asked == 2).then_some(())
        })
        .await;
        for key in ["second", "first"] {
            let value = json!({ key: answer(json!({ "value": key })) });
            update(&client, &id, value).await.unwrap();
        }
        // The tool says what it was told, whatever that was.
        let done = reach(&client, &id, "completed").await;
        let said = done["result"]["content"][0]["text"].as_str().unwrap();
        assert!(said.contains("first") && said.contains("second"), "{done}");
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_ends_and_its_like_at_the_other_server_goes_on() {
    let bed = Bed::start().await;
    let client = RustClient::with_tasks(&bed.url("/mcp")).await;
    let mut ids = Vec::new();
    for server in ["one", "two"] {
        let tool = format!("{server}.slow_compute");
        ids.push(begin(&client, tool, json!({ "seconds": 600 })).await);
    }
    for nth in [0, 1] {
        assert_eq!(get(&client, &ids[nth]).await.unwrap()["status"], "working");
        cancel(&client, &ids[nth]).await.unwrap();
        reach(&client, &ids[nth], "cancelled").await;
    }
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_asked_first_becomes_a_task_of_the_same_server() {
    let bed = Bed::start().await;
    for Place { path, prefix } in PLACES {
        let client = RustClient::with_tasks(&bed.url(path)).await;
        let tool = format!("{prefix}test_tool_with_task");
        let params = CallToolRequestParams::new(tool.clone());
        let asked = within("the question", client.service.call_tool_once(params)).await;
        let CallToolResponse::InputRequired(_) = asked.unwrap() else {
            panic!("{path}: it did not ask");
        };
        let answers = json!({ "user_name": { "action": "accept", "content": { "name": "Ada" } } });
        let params = json!({ "name": tool, "inputResponses": answers });
        let made = client.service.call_tool_once(typed(params));
        let CallToolResponse::Task(made) = within("the task", made).await.unwrap() else {
            panic!("{path}: no task");
        };
        let done = reach(&client, &made.task.task_id, "completed").await;
        let said = &done["result"]["content"][0]["text"];
        assert_eq!(said, "Hello, Ada, from a task", "{done}");
        client.close().await;
    }
}
