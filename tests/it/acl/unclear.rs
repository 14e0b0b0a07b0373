//! What a server writes so that readers may take it for different things: nobody from whom anything is
//! hidden is shown it, and whoever waits for an answer is told so.

use serde_json::{Value, json};

use crate::acl::all_but;
use crate::support::gateway::Gateway;
use crate::support::message::{legacy_call, modern, modern_call, post};
use crate::support::upstream::{Step, Upstream, answer, chunk, end, friendly, sse_head};
use crate::support::wire::{self, Answer, Request};

/// How a server writes what it says.
#[derive(Clone, Copy)]
enum Form {
    Document,
    Stream,
}

/// A gateway before a server that answers lists and calls with exactly this.
struct Liar {
    gateway: Gateway,
    _server: Upstream,
}

impl Liar {
    async fn start(form: Form, said: Vec<u8>, acl: Value) -> Self {
        let server = Upstream::start(move |request| match &*request.rpc_method() {
            "tools/list" | "tools/call" => match form {
                Form::Document => answer("200 OK", &[("content-type", "application/json")], &said),
                Form::Stream => vec![sse_head(), Step::Write(chunk(&said)), end()],
            },
            _ => friendly(request),
        })
        .await;
        let servers = json!([{ "id": "one", "url": server.url() }]);
        let gateway = Gateway::with(json!({ "servers": servers, "acl": acl })).await;
        Self {
            gateway,
            _server: server,
        }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// How much was kept back because nobody can tell what it is.
    async fn n_unclear(&self) -> usize {
        let metrics = self.ask(&Request::get("/conduit/metrics")).await.text();
        let name = r#"conduit_acl_unclear_messages_total{server="one"} "#;
        let mut lines = metrics.lines();
        let count = lines.find_map(|line| line.strip_prefix(name));
        count.map_or(0, |count| count.parse().unwrap())
    }
}

fn no_secrets() -> Value {
    all_but(json!([{ "server": "one", "tools": ["drop_*"], "resources": ["file:///priv/*"] }]))
}

fn list(path: &str) -> Request {
    modern(path, &json!(1), "tools/list", json!({}))
}

/// Legacy clients may ask for a list in a batch.
fn batch() -> Request {
    let entry = json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }]);
    post("/mcp/one", entry.to_string()).header("mcp-protocol-version", "2025-03-26")
}

fn event(data: &[u8]) -> Vec<u8> {
    [b"data: ", data, b"\n\n"].concat()
}

const SECRET: &[u8] = br#"{"tools":[{"name":"drop_a","inputSchema":{"type":"object"}}]}"#;

/// Answers that hold a secret for some readers only.
fn lies() -> Vec<Vec<u8>> {
    let of = |before: &[u8], after: &[u8]| {
        let head = br#"{"jsonrpc":"2.0","id":1,"#;
        [head, before, SECRET, after, b"}"].concat()
    };
    vec![
        of(br#""result":{"tools":[]},"result":"#, b""),
        of(br#""result":"#, br#","result":{"tools":[]}"#),
        of(br#""result":{"tools":[]},"Result":"#, b""),
        of(br#""result":{"tools":[]},"re\u0073ult":"#, b""),
        of(b"\"x\":\"\xff\",\"result\":", b""),
        of(br#""\ud800":1,"result":"#, b""),
        of(br#""method":"x","result":"#, b""),
        [br#"{"jsonrpc":"2.0","id":1,"RESULT":"#, SECRET, b"}"].concat(),
    ]
}

#[tokio::test]
async fn an_answer_that_readers_take_differently_is_shown_to_nobody_who_is_screened() {
    for said in lies() {
        for form in [Form::Document, Form::Stream] {
            let text = match form {
                Form::Document => said.clone(),
                Form::Stream => event(&said),
            };
            let liar = Liar::start(form, text, no_secrets()).await;
            for request in [list("/mcp/one"), batch()] {
                let given = liar.ask(&request).await;
                let shown = given.text();
                let lossy = String::from_utf8_lossy(&said).into_owned();
                assert!(!shown.contains("drop_a"), "{lossy}: {shown}");
                assert!(shown.contains(r#""id":1"#), "{lossy}: {shown}");
                // What the cache reads it writes anew, as it read it.
                let is_error = shown.contains("-31502") || shown.contains(r#"{"tools":[]}"#);
                assert!(is_error, "{lossy}: {shown}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_before_an_answer_is_shown_only_where_it_is_clear() {
    let news = r#""method":"notifications/resources/updated""#;
    let lies = [
        format!(r#"{{"jsonrpc":"2.0",{news},"params":{{"uri":"file:///pub/a","uri":"file:///priv/b"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0",{news},"params":{{"uri":"file:///pub/a","URI":"file:///priv/b"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0",{news},"params":{{"uri":["file:///priv/b"]}}}}"#),
        format!(r#"{{"jsonrpc":"2.0",{news},"Params":{{"uri":"file:///priv/b"}}}}"#),
        format!(r#"{{"jsonrpc":"2.0","method":"x",{news},"params":{{"uri":"file:///priv/b"}}}}"#),
        format!(r#"{{"\ud800":1,"jsonrpc":"2.0",{news},"params":{{"uri":"file:///priv/b"}}}}"#),
        r#"{"jsonrpc":"2.0","id":7,"result":{"resources":[]},"result":{"resources":[{"uri":"file:///priv/b"}]}}"#.to_owned(),
    ];
    let done = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"resultType":"complete"}}"#;
    let mut said = Vec::new();
    for lie in &lies {
        said.extend(event(lie.as_bytes()));
    }
    said.extend(event(
        br#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"plain"}}"#,
    ));
    said.extend(event(done.as_bytes()));
    let liar = Liar::start(Form::Stream, said, no_secrets()).await;
    let call = json!([{ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "get_a", "arguments": {} } }]);
    for request in [
        modern_call("/mcp/one", &json!(1), "get_a", json!({})),
        legacy_call("/mcp/one", &json!(1), "get_a", json!({})),
        post("/mcp/one", call.to_string()).header("mcp-protocol-version", "2025-03-26"),
    ] {
        let before = liar.n_unclear().await;
        let shown = liar.ask(&request).await.text();
        assert!(!shown.contains("priv"), "{shown}");
        assert!(shown.contains("plain"), "{shown}");
        assert!(shown.contains(r#""id":1,"result""#), "{shown}");
        assert_eq!(liar.n_unclear().await - before, lies.len(), "{shown}");
    }
}

#[tokio::test]
async fn lines_that_some_readers_find_in_a_stream_bring_nothing() {
    let news = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///priv/b"}}"#;
    let text = |said: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"data":"{said}"}}}}"#
        )
    };
    let mut said = Vec::new();
    said.extend(format!("\u{feff}data: {news}\n\n").bytes());
    said.extend(format!(": c\u{2028}data: {news}\u{2028}\u{2028}\n\n").bytes());
    said.extend(format!("id: 7\u{b}data: {news}\n\n").bytes());
    let smuggled = text(&format!(
        "\u{2028}\u{2028}data: {}",
        news.replace('"', "\\\"")
    ));
    said.extend(event(smuggled.as_bytes()));
    said.extend(event(text("plain").as_bytes()));
    let done = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"resultType":"complete"}}"#;
    said.extend(event(done.as_bytes()));
    let liar = Liar::start(Form::Stream, said, no_secrets()).await;
    let call = modern_call("/mcp/one", &json!(1), "get_a", json!({}));
    let shown = liar.ask(&call).await.text();
    // What Python's clients take for the lines of the stream.
    let lines: Vec<&str> = shown
        .split([
            '\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}',
        ])
        .map(|line| line.trim_start_matches('\u{feff}'))
        .filter(|line| line.starts_with("data:") && line.contains("priv"))
        .collect();
    let whole: Vec<_> = lines
        .iter()
        .filter(|line| !line.contains(r"\u2028"))
        .collect();
    assert!(whole.is_empty(), "{shown:?}");
    assert!(shown.contains("plain") && shown.contains(r#""id":1,"result""#));
}

#[tokio::test]
async fn an_event_that_is_too_long_to_be_read_as_a_whole_is_an_error() {
    let long = "x".repeat(17 * 1024 * 1024);
    let done = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","content":[{{"type":"text","text":"{long}"}}]}}}}"#
    );
    let liar = Liar::start(Form::Stream, event(done.as_bytes()), no_secrets()).await;
    let call = modern_call("/mcp/one", &json!(1), "get_a", json!({}));
    let given = liar.ask(&call).await;
    let told = given.last_json();
    assert_eq!(
        (&told["id"], &told["error"]["code"]),
        (&json!(1), &json!(-31502))
    );
    let liar = Liar::start(
        Form::Stream,
        event(done.as_bytes()),
        json!({ "enabled": false }),
    )
    .await;
    let given = liar.ask(&call).await;
    assert!(
        given.last_json()["result"].is_object(),
        "without a screen it passes"
    );
}

#[tokio::test]
async fn a_list_of_several_servers_leaves_out_what_has_two_names() {
    let tool = |members: &str| format!(r#"{{{members},"inputSchema":{{"type":"object"}}}}"#);
    let tools = [
        tool(r#""name":"get_a""#),
        tool(r#""name":"drop_a","name":"get_b""#),
        tool(r#""name":"get_c","Name":"drop_a""#),
    ];
    let said = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{}]}}}}"#,
        tools.join(",")
    );
    // The gateway reads lists of its own under ids of its own.
    let server = Upstream::start(move |request| match &*request.rpc_method() {
        "tools/list" => {
            let id = request.json()["id"].to_string();
            let said = said.replacen(r#""id":1"#, &format!(r#""id":{id}"#), 1);
            let json = [("content-type", "application/json")];
            answer("200 OK", &json, said.as_bytes())
        }
        _ => friendly(request),
    })
    .await;
    let servers = json!([{ "id": "one", "url": server.url() }]);
    let gateway = Gateway::with(json!({ "servers": servers, "acl": no_secrets() })).await;
    for path in ["/mcp/one", "/mcp"] {
        let shown = wire::ask(gateway.address, &list(path)).await.text();
        assert!(shown.contains("get_a"), "{path}: {shown}");
        assert!(!shown.contains("drop_a"), "{path}: {shown}");
    }
}

#[tokio::test]
async fn a_caller_from_whom_nothing_is_hidden_is_shown_what_was_said() {
    let tool = r#"{"name":"drop_a","name":"get_a","inputSchema":{"type":"object"}}"#;
    let said = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{tool}]}}}}"#
    );
    let everything = json!({ "enabled": true, "policies": [{ "clients": ["*"],
        "allow": [{ "server": "*", "tools": ["*"] }] }] });
    for acl in [json!({ "enabled": false }), everything] {
        let liar = Liar::start(Form::Document, said.clone().into_bytes(), acl).await;
        let given = liar.ask(&list("/mcp/one")).await;
        assert!(given.text().contains(tool), "{given:?}");
    }
}
