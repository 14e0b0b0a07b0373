//! Carries a permitted message to its server and the answer back to the client.
//!
//! **Invariant:** while an answer is awaited, the client is watched. A modern client that leaves
//! cancels its call; a legacy one does not (E22): its call goes on, unheard, within its bounds.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use filters::acl::Permit;
use filters::mcp::era;
use filters::mcp::revision::Era;
use filters::refusal::{Phase, Refusal};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora_timeout::fast_timeout::fast_timeout;

use crate::gateway::aftercare::Aftercare;
use crate::gateway::cached::heard::Heard;
use crate::gateway::cached::write::Write;
use crate::gateway::exchange::Exchange;
use crate::gateway::guard::Hearing;
use crate::gateway::pass::is_wrong_era;
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, answer, document, fields, patient, stream};
use crate::state::snapshot::Server;
use crate::telemetry::outcome::Status;
use crate::upstream::error::Error;
use crate::upstream::head::{Content, Head};
use crate::upstream::relay::{Flight, Request};

/// How long a client may take to accept a part of its answer.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A permitted message on its way.
pub(super) struct Errand {
    /// The upstream request.
    pub(super) request: Request,
    /// What kind of exchange it starts.
    pub(super) kind: Kind,
    /// The era of the message.
    pub(super) era: Era,
    /// The JSON text of a request's id.
    pub(super) id: Option<String>,
    /// That the caller may.
    pub(super) permit: Permit,
    /// What it may make stale.
    pub(super) write: Option<Write>,
    /// What of the events that come back is shown.
    pub(super) screen: Option<Screen>,
    /// What looks at them where guardrails are about them.
    pub(super) hearing: Option<Hearing>,
}

/// How an errand ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// The client has its answer.
    Home,
    /// The server does not know the session: it did nothing, and the client knows nothing of it.
    SessionLost,
    /// The server does not speak the message's era: it did nothing either.
    WrongEra,
}

/// Longest refusal of a server's that is read to find out what it means, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// What kind of exchange a message starts: what bounds it, and what its end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request that is answered and over.
    Call,
    /// `initialize`: a call that begins a session and cannot be cancelled.
    Handshake,
    /// A stream that lives until one side ends it.
    Listen,
    /// A notification or response, accepted without an answer.
    Delivery,
    /// `DELETE`: the end of a session.
    Farewell,
}

/// Carries one errand to its end.
pub(super) async fn carry(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Server,
    errand: Errand,
) -> Result<Carried, Ended> {
    let Errand {
        request,
        kind,
        era,
        id,
        permit,
        write,
        screen,
        hearing,
    } = errand;
    let mut care = Aftercare {
        live: Arc::clone(&exchange.live),
        cluster: Arc::clone(&server.cluster),
        limits: server.cluster.limits,
        kind,
        era,
        id,
        deadline: exchange.started + server.cluster.limits.total,
        // Only a legacy call is cancelled by a message of its own.
        fields: if era == Era::Legacy && kind == Kind::Call {
            request.fields.clone()
        } else {
            Vec::new()
        },
        session: request.session.clone(),
        user: exchange.user.clone().filter(|_| kind != Kind::Listen),
        retired: server.retired.clone(),
        write,
        heard: Heard::document(),
        screen,
        hearing: hearing.map(Box::new),
    };
    let _active = exchange.live.metrics.track(&server.id);
    let mut flight = Flight::new(Arc::clone(&server.cluster), request, permit);
    let head = match await_head(session.as_downstream_mut(), &mut flight, &care).await {
        Ok(head) => head,
        Err(Interrupted::ClientGone) => {
            care.abandon_flight(flight);
            return Err(Ended::ClientGone);
        }
        Err(Interrupted::Upstream(error)) => {
            note_replica(exchange, flight.replica().map(|replica| replica.index));
            return Err(care.fail(&error).await);
        }
    };
    note_replica(exchange, flight.replica().map(|replica| replica.index));
    if matches!(head.header.status.as_u16(), 400 | 404..=406 | 422) {
        return Box::pin(refused(session, exchange, server, flight, head, care)).await;
    }
    respond(session, exchange, server, flight, head, care).await?;
    Ok(Carried::Home)
}

/// Finds out what a server's refusal means before the client gets it.
async fn refused(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Server,
    flight: Flight,
    mut head: Head,
    mut care: Aftercare,
) -> Result<Carried, Ended> {
    let mut body = match flight.into_body(&mut head) {
        Ok(body) => body,
        Err(error) => return Err(care.fail(&error).await),
    };
    let status = head.header.status.as_u16();
    let mut text = BytesMut::new();
    while text.len() < REFUSAL_BYTES_MAX {
        let limit = care.limits.idle;
        match fast_timeout(limit, body.next()).await {
            Ok(Ok(Some(bytes))) => text.extend_from_slice(&bytes),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(care.fail(&error).await),
            Err(_) => return Err(care.fail(&Error::Timeout(Phase::Idle)).await),
        }
    }
    let said = String::from_utf8_lossy(&text);
    let is_loss = match care.kind {
        Kind::Listen => era::is_stream_loss,
        Kind::Call | Kind::Handshake | Kind::Delivery | Kind::Farewell => era::is_session_loss,
    };
    if care.session.is_some() && is_loss(status, &said) {
        return Ok(Carried::SessionLost);
    }
    if care.kind == Kind::Listen && care.era == Era::Legacy && status == 404 {
        // To the client, 404 would mean that its session is lost; there is only no such stream.
        let header = &mut head.header;
        header
            .set_status(405)
            .and_then(|()| header.insert_header(http::header::ALLOW, "POST, DELETE"))
            .map_err(|_| Ended::from(Refusal::Internal))?;
    }
    if is_wrong_era(care.era, status, &said) {
        return Ok(Carried::WrongEra);
    }
    let is_hushed = care.hearing.is_some();
    if is_hushed {
        text.clear();
    }
    let is_over = is_hushed || body.is_done();
    let length = is_over.then(|| u64::try_from(text.len()).unwrap_or(u64::MAX));
    let Ok(header) = client_header(session, exchange, server, head, length) else {
        return Err(care.fail(&UNFIT).await);
    };
    care.settle().await;
    exchange.outcome.status = Status::Error;
    let downstream = session.as_downstream_mut();
    let written = downstream.write_response_header(Box::new(header)).await;
    written.map_err(|_| Ended::ClientGone)?;
    downstream
        .write_response_body(text.freeze(), is_over)
        .await
        .map_err(|_| Ended::ClientGone)?;
    if !is_over {
        document::relay(session, exchange, body, care).await?;
    }
    Ok(Carried::Home)
}

async fn respond(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Server,
    flight: Flight,
    mut head: Head,
    mut care: Aftercare,
) -> Result<(), Ended> {
    let body = match flight.into_body(&mut head) {
        Ok(body) => body,
        Err(error) => return Err(care.fail(&error).await),
    };
    care.note_session(&head, &body);
    let content = head.content;
    // Where a stream is looked at, a page instead of one is given to nobody.
    let is_hushed = care.hearing.is_some() && content != Content::EventStream;
    let length = match content {
        Content::EventStream => None,
        Content::Json | Content::Other if is_hushed => Some(0),
        Content::Json | Content::Other => head.content_length,
    };
    let Ok(header) = client_header(session, exchange, server, head, length) else {
        return Err(care.fail(&UNFIT).await);
    };
    let is_ok = header.status.is_success();
    exchange.outcome.status = if is_ok {
        Status::Success
    } else {
        Status::Error
    };
    if session
        .as_downstream_mut()
        .write_response_header(Box::new(header))
        .await
        .is_err()
    {
        care.abandon_body(body);
        return Err(Ended::ClientGone);
    }
    if care.kind == Kind::Listen {
        exchange.user = None;
    }
    match content {
        // Boxed, like every path but the common one: a request's future is moved as a whole.
        Content::EventStream => Box::pin(stream::relay(session, exchange, body, care)).await,
        Content::Json | Content::Other if is_hushed => {
            let written = session
                .as_downstream_mut()
                .write_response_body(NOTHING, true);
            written.await.map_err(|_| Ended::ClientGone)
        }
        Content::Json | Content::Other => document::relay(session, exchange, body, care).await,
    }
}

enum Interrupted {
    ClientGone,
    Upstream(Error),
}

async fn await_head(
    downstream: &mut ServerSession,
    flight: &mut Flight,
    care: &Aftercare,
) -> Result<Head, Interrupted> {
    let limits = care.limits;
    let sending = async {
        // Name, TCP and TLS have their own bound inside.
        {
            let launched = pin!(flight.launch());
            patient::within(limits.connect + limits.header, launched)
                .await
                .map_err(|_| Error::Timeout(Phase::Header))??;
        }
        let left = care.deadline.saturating_duration_since(Instant::now());
        let (limit, phase) = if left < limits.header {
            (left, Phase::Total)
        } else {
            (limits.header, Phase::Header)
        };
        fast_timeout(limit, flight.head())
            .await
            .map_err(|_| Error::Timeout(phase))?
    };
    tokio::select! {
        biased;
        head = sending => head.map_err(Interrupted::Upstream),
        () = client_gone(downstream) => Err(Interrupted::ClientGone),
    }
}

/// Resolves when the client left: nobody else watches while the gateway answers.
pub(super) async fn client_gone(downstream: &mut ServerSession) {
    loop {
        match downstream.read_body_or_idle(true).await {
            // Without a body this reads nothing: it ends with the connection.
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// The head that the client gets.
fn client_header(
    session: &Session,
    exchange: &Exchange,
    server: &Server,
    head: Head,
    length: Option<u64>,
) -> pingora::Result<ResponseHeader> {
    let mut header = *head.header;
    // A client's session is with the gateway.
    header.remove_header(&fields::SESSION_ID);
    answer::stamp(&mut header, exchange)?;
    if !server.forwards_authorization {
        // A challenge of the upstream's is for the gateway's credentials, not the client's (E19).
        header.remove_header(&http::header::WWW_AUTHENTICATE);
    }
    if head.content == Content::EventStream {
        header.insert_header("x-accel-buffering", "no")?;
        if !header.headers.contains_key(http::header::CACHE_CONTROL) {
            header.insert_header(http::header::CACHE_CONTROL, "no-cache")?;
        }
    }
    match length {
        Some(_) if matches!(header.status.as_u16(), 204 | 304) => {}
        Some(length) => header.insert_header(http::header::CONTENT_LENGTH, length)?,
        None if session.req_header().version == http::Version::HTTP_11 => {
            header.insert_header(http::header::TRANSFER_ENCODING, "chunked")?;
        }
        None => {}
    }
    Ok(header)
}

pub(super) fn broken(exchange: &mut Exchange, error: &Error) -> Ended {
    exchange.outcome.error = Some(error.to_string());
    Ended::Broken {
        reason: error.to_refusal("").label(),
    }
}

fn note_replica(exchange: &mut Exchange, replica: Option<usize>) {
    exchange.outcome.replica = replica;
}

/// What is said of an answer whose head is none that a client can be given.
const UNFIT: Error = Error::NotHttp("an answer that cannot be passed on");

/// An empty body part.
pub(super) const NOTHING: Bytes = Bytes::new();
