//! A small HTTP/1.1 client over a unix socket, so that tests see what is on the wire.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::DEADLINE;

pub(super) struct Client {
    socket: PathBuf,
    stream: BufReader<UnixStream>,
    pub(super) session: Option<String>,
}

/// A response whose body has not been read.
pub(super) struct Head {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
}

/// A whole response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
}

impl Client {
    pub(super) async fn connect(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            stream: BufReader::new(UnixStream::connect(socket).await.unwrap()),
            session: None,
        }
    }

    /// Another connection of the same client.
    pub(super) async fn again(&self) -> Self {
        let mut client = Self::connect(&self.socket).await;
        client.session.clone_from(&self.session);
        client
    }

    pub(super) async fn initialize(&mut self) -> Answer {
        let answer = self.post(&super::legacy(
            "0",
            "initialize",
            r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}"#,
        ))
        .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.session = Some(answer.header("mcp-session-id").unwrap().to_owned());
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(self.post(initialized).await.status, 202);
        answer
    }

    pub(super) async fn post(&mut self, body: &str) -> Answer {
        let head = self.open("POST", body).await;
        self.read(head).await
    }

    pub(super) async fn request(&mut self, method: &str) -> Answer {
        let head = self.open(method, "").await;
        self.read(head).await
    }

    /// Sends a request and reads the response's head.
    pub(super) async fn open(&mut self, method: &str, body: &str) -> Head {
        self.send(method, body).await;
        self.head().await
    }

    pub(super) async fn send(&mut self, method: &str, body: &str) {
        let session = self
            .session
            .as_ref()
            .map(|id| format!("Mcp-Session-Id: {id}\r\n"));
        let head = format!(
            "{method} /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n",
            body.len(),
            session.unwrap_or_default(),
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
        self.stream.write_all(body.as_bytes()).await.unwrap();
    }

    pub(super) async fn head(&mut self) -> Head {
        let status = self.line().await;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        Head {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers,
        }
    }

    async fn read(&mut self, head: Head) -> Answer {
        let mut text = String::new();
        if head.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await {
                text.push_str(&chunk);
            }
        } else if let Some(length) = head.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            timeout(DEADLINE, self.stream.read_exact(&mut body))
                .await
                .unwrap()
                .unwrap();
            text = String::from_utf8(body).unwrap();
        }
        Answer {
            status: head.status,
            headers: head.headers,
            text,
        }
    }

    /// The next event's JSON; nothing at the end of the stream.
    pub(super) async fn event(&mut self) -> Option<Value> {
        let chunk = self.chunk().await?;
        let data = chunk.strip_prefix("event: message\ndata: ").unwrap();
        Some(serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap())
    }

    async fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line().await, 16).unwrap();
        let mut chunk = vec![0; length + 2];
        timeout(DEADLINE, self.stream.read_exact(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(DEADLINE, self.stream.read_line(&mut line))
            .await
            .expect("no answer")
            .unwrap();
        line.trim_end().to_owned()
    }
}

impl Head {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The events of a stream that has ended.
    pub(super) fn events(&self) -> Vec<Value> {
        assert_eq!(
            self.header("content-type"),
            Some("text/event-stream"),
            "{self:?}"
        );
        self.text
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("event: message\ndata: ").unwrap())
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    pub(super) fn error(&self) -> (u16, i64, String) {
        let json = self.json();
        let message = json["error"]["message"].as_str().unwrap().to_owned();
        (
            self.status,
            json["error"]["code"].as_i64().unwrap(),
            message,
        )
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}
