//! One connection of the load: sends calls and checks every answer.
//!
//! **Invariant:** a call counts only when status, content type, length and id of its answer are right.

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use serde::Deserialize;

use crate::http::{Body, Client, Head, Media};
use crate::load::template::Template;
use crate::load::{Load, Voice};
use crate::mcp::{self, ID_FIRST};
use crate::workload::{Era, Kept, Shape, Workload};

/// Enough to hold a small answer whole and the id of a large one.
const CHECKED_BYTES: usize = 4 * 1024;
/// Enough to hold any answer whole.
const PARSED_BYTES: usize = 2 * 1024 * 1024;
const IDS_PER_CONNECTION: u64 = 10_000_000;
/// By how many keys a connection is ahead of the one before it.
const KEYS_APART: u64 = 31;
/// A session id as long as the gateway's are.
const SESSION_OF_CONSTANT: &str = "00000000000000000000000000000000";

/// A connection and the call it repeats.
pub(crate) struct Caller {
    /// How many of its calls were answered by the gateway's cache.
    pub(crate) hits: u64,
    client: Client,
    workload: Workload,
    voice: Voice,
    template: Template,
    next_id: u64,
    body: Body,
    digits: itoa::Buffer,
}

#[derive(Deserialize)]
struct Response {
    id: u64,
    result: ToolResult,
}

#[derive(Deserialize)]
struct ToolResult {
    content: [Text; 1],
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

impl Caller {
    /// Connects; in the legacy era also introduces itself.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub(crate) async fn connect(load: &Load, index: u16) -> Result<Self> {
        let mut client = Client::connect(load.port).await?;
        let session = match (load.era, load.voice) {
            (Era::Modern, _) => None,
            (Era::Legacy, Voice::Live) => initialize(&mut client, load).await?,
            // The request has the length that it has to a gateway.
            (Era::Legacy, Voice::Constant) => Some(SESSION_OF_CONSTANT.to_owned()),
        };
        Ok(Self {
            hits: 0,
            client,
            workload: load.workload,
            voice: load.voice,
            template: Template::call(load, session.as_deref()),
            next_id: ID_FIRST + u64::from(index) * IDS_PER_CONNECTION,
            body: Body::keeping(CHECKED_BYTES),
            digits: itoa::Buffer::new(),
        })
    }

    /// One call, its answer checked by status, content type, length and id.
    ///
    /// # Errors
    /// When the answer is missing or wrong.
    pub(crate) async fn call(&mut self) -> Result<()> {
        if self.workload.kept() == Kept::Redis {
            // Neighbouring connections are far apart, so that none asks for what another just had.
            let turn = self.next_id + self.next_id / IDS_PER_CONNECTION * KEYS_APART;
            self.set_key(turn % Workload::L2_KEYS)?;
        }
        let id = self.digits.format(self.next_id);
        self.next_id += 1;
        let request = self.template.stamp(id)?;
        let head = self.client.exchange(request, &mut self.body).await?;
        self.hits += u64::from(head.is_hit);
        check(self.workload, &head, &self.body)?;
        let is_echoed =
            self.voice == Voice::Constant || mcp::find_id(&self.body.kept) == Some(id.as_bytes());
        ensure!(
            is_echoed,
            "id {id} is not echoed: {}",
            shown(&String::from_utf8_lossy(&self.body.kept))
        );
        Ok(())
    }

    /// Makes its calls those of `key`, until it is told another.
    ///
    /// # Errors
    /// When the key has more digits than there is room for.
    pub(crate) fn set_key(&mut self, key: u64) -> Result<()> {
        self.template.set_key(self.digits.format(ID_FIRST + key))
    }

    /// One call, its answer parsed and compared whole.
    ///
    /// # Errors
    /// When the answer is missing or wrong.
    pub(crate) async fn call_and_parse(&mut self) -> Result<()> {
        let id = self.next_id;
        self.body.kept_max = PARSED_BYTES;
        self.call().await?;
        self.body.kept_max = CHECKED_BYTES;
        let text = String::from_utf8_lossy(&self.body.kept);
        let message = match self.workload.shape() {
            Shape::Json => &*text,
            Shape::Events => text
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .next_back()
                .unwrap_or(""),
        };
        let response: Response = serde_json::from_str(message)
            .with_context(|| format!("not the tool's result: {}", shown(message)))?;
        let ToolResult { content: [content] } = response.result;
        ensure!(
            self.voice == Voice::Constant || response.id == id,
            "id {} was answered with id {}",
            id,
            response.id
        );
        let (bytes, wanted) = (content.text.len(), mcp::text_bytes(self.workload));
        ensure!(bytes == wanted, "the text has {bytes} bytes, not {wanted}");
        Ok(())
    }
}

/// The legacy handshake; gives the session id, if the server has sessions.
///
/// # Errors
/// When the server refuses.
pub(crate) async fn initialize(client: &mut Client, load: &Load) -> Result<Option<String>> {
    let mut body = Body::keeping(CHECKED_BYTES);
    let mut request = Template::initialize(load);
    let head = client
        .exchange(request.stamp(&ID_FIRST.to_string())?, &mut body)
        .await?;
    let text = String::from_utf8_lossy(&body.kept);
    ensure!(
        head.status == 200,
        "initialize was answered {}: {}",
        head.status,
        shown(&text)
    );
    let mut request = Template::initialized(load, head.session.as_deref());
    let accepted = client
        .exchange(request.stamp(&ID_FIRST.to_string())?, &mut body)
        .await?;
    ensure!(
        accepted.status == 202,
        "notifications/initialized was answered {}",
        accepted.status
    );
    Ok(head.session)
}

/// The cheap check of every answer, but for its id.
fn check(workload: Workload, head: &Head, body: &Body) -> Result<()> {
    let text = || shown(&String::from_utf8_lossy(&body.kept)).to_owned();
    if head.status != 200 {
        bail!("answered {}, not 200: {}", head.status, text());
    }
    match workload.shape() {
        Shape::Json => {
            ensure!(
                head.media == Media::Json,
                "the answer is not JSON: {}",
                text()
            );
            let (bytes, wanted) = (body.bytes, workload.answer_bytes());
            ensure!(
                bytes == wanted as u64,
                "{bytes} bytes, not {wanted}: {}",
                text()
            );
        }
        Shape::Events => {
            ensure!(
                head.media == Media::Events,
                "the answer is not an event stream: {}",
                text()
            );
            let events = memmem::find_iter(&body.kept, b"data:").count();
            ensure!(events == 2, "{events} events, not 2: {}", text());
        }
    }
    Ok(())
}

fn shown(text: &str) -> &str {
    text.get(..text.floor_char_boundary(300)).unwrap_or(text)
}
