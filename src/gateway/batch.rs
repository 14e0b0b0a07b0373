//! JSON-RPC batches, for clients of 2025-03-26 and before (E49).
//!
//! Each entry travels as a message of its own, so that a server of any revision can answer it, and
//! all travel at once. Where every answer comes alone, the client gets one JSON array in the order
//! of its entries. Where a server has something to say before an answer (progress, a request of its
//! own), nothing may be lost: the client gets an event stream instead, with each message as it comes.
//!
//! **Invariant:** every request of the batch gets exactly one answer; a bad entry gets its own error
//! and spoils no neighbour.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::mcp::call::Call;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::rate::fare;
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Body as Rpc, Id};
use filters::sse::write;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::gateway::batch::author::Author;
use crate::gateway::batch::reading::Reading;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields::{self, Client};
use crate::gateway::guard::{self, Watch};
use crate::gateway::limits::Want;
use crate::gateway::relay::client_gone;
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, access, answer, front, limits, locked};
use crate::state::session::Session as ClientSession;
use crate::state::snapshot::Server;
use crate::telemetry::outcome::Status;
use crate::upstream::relay::Request;

mod author;
pub(super) mod entry;
mod reading;

/// Messages that wait for a slow client before the entries have to.
const WAITING_MAX: usize = 64;

/// Where a batch goes, and for whom.
pub(super) struct Way<'a> {
    pub(super) server: &'a Arc<Server>,
    /// The session that the client is in.
    pub(super) client: Option<&'a Arc<ClientSession>>,
    /// The id of the session with the server.
    pub(super) upstream: Option<&'a str>,
}

/// A message from one entry's server.
pub(super) enum News {
    /// Something said before the answer.
    Interim(Bytes),
    /// The answer.
    Answer(usize, Bytes),
    /// The entry is refused, under this label; its answer follows.
    Refused(&'static str),
    /// The client took its request back: it wants no answer any more.
    Waived,
}

/// Serves a batch.
pub(super) async fn serve(
    session: &mut Session,
    exchange: &mut Exchange,
    way: &Way<'_>,
    entries: &[&RawValue],
) -> Result<(), Ended> {
    exchange.outcome.era = Some(Era::Legacy);
    let (sender, mut news) = mpsc::channel(WAITING_MAX);
    let mut answers: Vec<Option<Bytes>> = vec![None; entries.len()];
    let mut n_owed = 0;
    let author = Author::of(&session.req_header().headers, exchange, way);
    let author = Arc::new(author);
    for (index, entry) in entries.iter().enumerate() {
        let admitted = Box::pin(admit(session, exchange, way, &author, entry.get())).await?;
        match admitted {
            Ok(prepared) => {
                n_owed += usize::from(prepared.id.is_some());
                // A legacy client that leaves cancels nothing (E22).
                let (flight, user) = (
                    entry::fly(index, prepared, sender.clone()),
                    exchange.user.clone(),
                );
                exchange.live.detached.spawn(async move {
                    flight.await;
                    drop(user);
                });
            }
            Err(refused) => {
                exchange.note_refused(refused.label);
                if let Some(slot) = answers.get_mut(index) {
                    *slot = refused.answer;
                }
            }
        }
    }
    drop(sender);
    let mut stream = None;
    while let Some(message) = next(session, &mut news).await? {
        match message {
            News::Answer(index, text) => {
                n_owed -= 1;
                match (&mut stream, answers.get_mut(index)) {
                    (Some(()), _) => event(session, &text).await?,
                    (None, Some(slot)) => *slot = Some(text),
                    (None, None) => {}
                }
            }
            News::Refused(label) => exchange.note_refused(label),
            News::Waived => n_owed -= 1,
            News::Interim(text) => {
                if stream.is_none() {
                    stream = Some(open_stream(session, exchange).await?);
                    for answer in answers.iter_mut().filter_map(Option::take) {
                        event(session, &answer).await?;
                    }
                }
                event(session, &text).await?;
            }
        }
    }
    debug_assert_eq!(n_owed, 0, "every request was answered");
    exchange.outcome.status = Status::Success;
    match stream {
        Some(()) => session
            .as_downstream_mut()
            .write_response_body(Bytes::new(), true)
            .await
            .map_err(|_| Ended::ClientGone),
        None => conclude(session, exchange, answers.into_iter().flatten().collect()).await,
    }
}

/// An entry that is refused.
struct Refused {
    label: &'static str,
    /// Its error, if it wants an answer.
    answer: Option<Bytes>,
}

impl Refused {
    fn new(refusal: &Refusal, id: Option<Id<'_>>) -> Self {
        Self {
            label: refusal.label(),
            answer: Some(refusal.to_json(id).into()),
        }
    }
}

/// An entry that may go.
struct Prepared {
    /// What goes to its server, and that it may.
    request: Request,
    permit: Permit,
    /// What the cache is asked before.
    reading: Option<Reading>,
    server: Arc<Server>,
    id: Option<String>,
    /// The tool that it calls.
    tool: Option<String>,
    is_charged: bool,
    /// The message.
    text: Bytes,
    /// What looks at its answer.
    watch: Option<Watch>,
    author: Arc<Author>,
    /// What of the server's words is shown.
    screen: Option<Screen>,
}

/// Decides whether one entry may go.
async fn admit(
    session: &mut Session,
    exchange: &mut Exchange,
    way: &Way<'_>,
    author: &Arc<Author>,
    text: &str,
) -> Result<Result<Prepared, Refused>, Ended> {
    let prepared = match prepare(session, exchange, way, author, text) {
        Ok(prepared) => prepared,
        Err(refused) => return Ok(Err(refused)),
    };
    match unlock(session, exchange, way, prepared).await? {
        Ok(prepared) => pay(session, exchange, prepared).await,
        Err(refused) => Ok(Err(refused)),
    }
}

/// Classifies and permits one entry.
fn prepare(
    session: &Session,
    exchange: &mut Exchange,
    way: &Way<'_>,
    author: &Arc<Author>,
    text: &str,
) -> Result<Prepared, Refused> {
    let Way {
        server, upstream, ..
    } = *way;
    exchange.turn();
    let message =
        parse::message(text).map_err(|invalid| Refused::new(&Refusal::from(invalid), None))?;
    let id = message.request_id();
    let wants_none = !matches!(message.body, Rpc::Request { .. });
    let refuse = |refusal: Refusal, id| {
        let is_told = !wants_none || refusal.is_for_want_of_an_id();
        let mut refused = Refused::new(&refusal, id);
        refused.answer = refused.answer.filter(|_| is_told);
        refused
    };
    let headers = &session.req_header().headers;
    let client = Client::read(headers).map_err(|refusal| refuse(refusal, id))?;
    let call = Call::classify(message, &client.mcp).map_err(|refusal| refuse(refusal, id))?;
    if call.era == Era::Modern || call.method == Method::Initialize {
        let why = "a batch holds neither `initialize` nor messages of 2026-07-28";
        return Err(refuse(Refusal::ClientShape(why), id));
    }
    let permit = access::permit(exchange, server, Some(&call), None).map_err(|ended| {
        let refusal = match ended {
            Ended::Refused { refusal, .. } => refusal,
            Ended::ClientGone | Ended::Broken { .. } => Refusal::Internal,
        };
        refuse(refusal, id)
    })?;
    let seen = guard::look(exchange, server, &call).map_err(|refusal| refuse(refusal, id))?;
    let (change, watch) = seen.map_or((None, None), |seen| (seen.change, seen.watch));
    let body = match &change {
        Some(change) => Bytes::from(guard::respelled(text, change)),
        None => Bytes::copy_from_slice(text.as_bytes()),
    };
    let reading = match &change {
        None => Reading::of(headers, exchange, way, &call, &body, watch.as_ref()),
        // The cache is asked for what the message says now.
        Some(_) => reread(&body, &client)
            .and_then(|call| Reading::of(headers, exchange, way, &call, &body, watch.as_ref())),
    };
    let request = Request {
        verb: "POST",
        target: None,
        fields: fields::write(headers, exchange, server, call.era, upstream, true),
        body: body.clone(),
        is_repeatable: call.method.is_safe_to_repeat(),
        session: upstream.map(str::to_owned),
    };
    let is_request = matches!(call.message.body, Rpc::Request { .. });
    let is_call = call.method == Method::ToolsCall;
    let tool = call.target.as_ref().filter(|_| is_call);
    Ok(Prepared {
        reading,
        request,
        permit,
        server: Arc::clone(server),
        id: id.filter(|_| is_request).map(|id| id.as_json().to_owned()),
        tool: tool.map(|tool| tool.name().to_owned()),
        is_charged: fare::is_charged(&call),
        text: body,
        watch,
        author: Arc::clone(author),
        screen: Screen::one(exchange, server, call.method, id.map(Id::as_json)),
    })
}

/// A message that was changed, as it goes on.
fn reread<'b>(body: &'b Bytes, client: &Client<'_>) -> Option<Call<'b>> {
    let message = parse::message(str::from_utf8(body).ok()?).ok()?;
    Call::classify(message, &client.mcp).ok()
}

/// Has the tool lock look at an entry.
async fn unlock(
    session: &Session,
    exchange: &Exchange,
    way: &Way<'_>,
    prepared: Prepared,
) -> Result<Result<Prepared, Refused>, Ended> {
    if !locked::is_on(exchange, way.server) {
        return Ok(Ok(prepared));
    }
    let text = std::str::from_utf8(&prepared.text).map_err(|_| Refusal::Internal)?;
    let message = parse::message(text).map_err(Refusal::from)?;
    let headers = &session.req_header().headers;
    let call = Call::classify(message, &Client::read(headers)?.mcp)?;
    if !locked::is_asked(exchange, way.server, &call) {
        return Ok(Ok(prepared));
    }
    let inbound = front::inbound(headers, exchange, &call, prepared.text.clone());
    let tool = prepared.tool.as_deref();
    match locked::admit(exchange, way.server, way.client, &inbound, tool).await {
        Ok(()) => Ok(Ok(prepared)),
        Err(Ended::Refused { refusal, .. }) => {
            let id = prepared.id.as_deref().and_then(Id::from_json);
            let mut refused = Refused::new(&refusal, id);
            refused.answer = refused.answer.filter(|_| prepared.id.is_some());
            Ok(Err(refused))
        }
        Err(ended @ (Ended::ClientGone | Ended::Broken { .. })) => Err(ended),
    }
}

/// Charges an entry.
async fn pay(
    session: &mut Session,
    exchange: &mut Exchange,
    prepared: Prepared,
) -> Result<Result<Prepared, Refused>, Ended> {
    if !prepared.is_charged {
        return Ok(Ok(prepared));
    }
    let want = Want {
        server: Some(&prepared.server.id),
        tool: prepared.tool.as_deref(),
    };
    match limits::charge_for(session, exchange, want).await {
        Ok(()) => Ok(Ok(prepared)),
        Err(Ended::Refused { refusal, .. }) => {
            let id = prepared.id.as_deref().and_then(Id::from_json);
            let mut refused = Refused::new(&refusal, id);
            refused.answer = refused.answer.filter(|_| prepared.id.is_some());
            Ok(Err(refused))
        }
        Err(ended @ (Ended::ClientGone | Ended::Broken { .. })) => Err(ended),
    }
}

/// The next message of any entry, while the client is there.
async fn next(
    session: &mut Session,
    news: &mut mpsc::Receiver<News>,
) -> Result<Option<News>, Ended> {
    tokio::select! {
        biased;
        message = news.recv() => Ok(message),
        () = client_gone(session.as_downstream_mut()) => Err(Ended::ClientGone),
    }
}

async fn open_stream(session: &mut Session, exchange: &Exchange) -> Result<(), Ended> {
    let header = answer::stream_header(session, exchange).map_err(|_| Refusal::Internal)?;
    let written = session
        .as_downstream_mut()
        .write_response_header(Box::new(header))
        .await;
    written.map_err(|_| Ended::ClientGone)
}

async fn event(session: &mut Session, text: &[u8]) -> Result<(), Ended> {
    let text = String::from_utf8_lossy(text);
    let event = Bytes::from(write::message(&text));
    let written = session
        .as_downstream_mut()
        .write_response_body(event, false)
        .await;
    written.map_err(|_| Ended::ClientGone)
}

/// One array of all answers; nothing but 202 where none was owed.
async fn conclude(
    session: &mut Session,
    exchange: &Exchange,
    answers: Vec<Bytes>,
) -> Result<(), Ended> {
    let written = if answers.is_empty() {
        accepted(session, exchange).await
    } else {
        let text = [b"[".as_slice(), &answers.join(&b","[..]), b"]"].concat();
        answer::json(session, exchange, 200, text.into()).await
    };
    written.map_err(|_| Ended::ClientGone)
}

async fn accepted(session: &mut Session, exchange: &Exchange) -> pingora::Result<()> {
    let mut header = ResponseHeader::build_no_case(202, Some(4))?;
    answer::stamp(&mut header, exchange)?;
    answer::write(session, header, Bytes::new()).await
}
