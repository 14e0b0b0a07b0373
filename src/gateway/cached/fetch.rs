//! One fetch on behalf of all who want the same: it belongs to none of them, and goes on whoever
//! leaves.
//!
//! **Invariant:** a server that asks something back, or that refuses the session, the headers or the
//! era, did nothing that counts: whoever waits asks for themselves then, on the way that knows how to
//! deal with it.

use std::sync::Arc;

use bytes::Bytes;
use filters::json::object::Object;
use filters::mcp::input;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::mcp::rewrite;
use filters::mcp::translate::up;
use filters::rpc::parse::{self, Answer, Body};
use tokio::sync::mpsc;

use crate::cache::Page;
use crate::gateway::Ended;
use crate::gateway::bridge::legacy_server::relay::{answer_at_once, notification, question};
use crate::gateway::bridge::{legacy_server, modern_server};
use crate::gateway::cached::fetched::Fetched;
use crate::gateway::cached::order::Order;
use crate::gateway::inbound::{Context, Inbound};
use crate::gateway::link::{self, Unlinked, Way};
use crate::gateway::pass::voice::{self, Voice};
use crate::gateway::pass::{is_wrong_era, respell};
use crate::state::live::Live;
use crate::state::parked::Call;
use crate::state::session::Link;
use crate::upstream::era::{self, MODERN, Standing};
use crate::upstream::error::Error;
use crate::upstream::fields::{Caller, Mcp};
use crate::upstream::group::Group;
use crate::upstream::remote::Post;
use crate::upstream::session::Session as Upstream;
use crate::upstream::session::open::OpenError;
use crate::upstream::session::stream::answer_ping;
use crate::upstream::talk::{Patience, Talk};

/// The code of a header that does not mirror the body (2026-07-28).
const HEADER_MISMATCH: &str = "-32020";

/// Everything that a fetch needs once nobody who asked for it may be left.
pub(super) struct Errand {
    way: Way,
    method: Method,
    name: String,
    target: Option<String>,
    caller: Caller,
    /// The id that the request has with the server, JSON text.
    id: String,
    body: Bytes,
    via: Via,
    /// Where the first caller hears what comes before the answer.
    aside: mpsc::Sender<String>,
}

/// How the server is asked.
enum Via {
    /// By a request that carries everything, with these further headers.
    Modern(Vec<(String, String)>),
    /// In the session of the caller that asked first.
    Session(Arc<Upstream>),
    /// In a session of those who have none.
    Group(Arc<Group>, Box<Context>),
    /// Without a session: the server has none. What the first caller says it speaks, and its further
    /// headers.
    Bare(Option<String>, Vec<(String, String)>),
}

impl Errand {
    /// What is needed to ask; nothing where the server is not asked this at all. `aside` hears what
    /// comes before the answer.
    ///
    /// # Errors
    /// Why the server cannot be asked.
    pub(super) async fn prepare(
        live: &Arc<Live>,
        order: &Order,
        aside: mpsc::Sender<String>,
    ) -> Result<Option<Self>, Ended> {
        let Order {
            way,
            client,
            inbound,
            inner,
        } = order;
        let (client, inner) = (client.as_ref(), inner.as_deref());
        let remote = &way.server.remote;
        // An id of the gateway's: in a client's own session it must be none of the client's.
        let id = format!("\"conduit-fetch-{}\"", remote.serial());
        let (via, body) = match (inbound.era, client) {
            (Era::Modern, _) => match era::decide(remote, &inbound.caller, Era::Modern).await {
                Era::Modern => (
                    Via::Modern(inbound.mirrored.clone()),
                    respell(inbound, inner)?,
                ),
                // A legacy server said it all when its session was opened.
                Era::Legacy if inbound.method == Method::ServerDiscover => return Ok(None),
                Era::Legacy => {
                    let context = inbound.context();
                    let group = legacy_server::group(way, inbound, &context.capabilities)
                        .map_err(|error| failed(remote.id(), &error))?;
                    let body = legacy_server::translate(inbound, inner, &context, &id);
                    (Via::Group(group, Box::new(context)), body.into())
                }
            },
            (Era::Legacy, Some(client)) => {
                let link = match link::find(live, client, way, &inbound.caller).await {
                    Ok(link) => link,
                    // What the server says of its caller's credential is for that one alone.
                    Err(Unlinked::Session(_)) => return Ok(None),
                    Err(Unlinked::Ended(ended)) => return Err(ended),
                };
                match link {
                    Link::Legacy(upstream) => {
                        (Via::Session(upstream), request(inbound, inner, &id))
                    }
                    Link::Modern => {
                        let (body, mirrored) =
                            modern_server::request(way, Some(client), inbound, inner, &id).await;
                        (Via::Modern(mirrored), body)
                    }
                }
            }
            (Era::Legacy, None) if remote.eras.serves(Era::Legacy) != Standing::No => {
                let (version, mirrored) = (inbound.bare.version.clone(), inbound.mirrored.clone());
                (Via::Bare(version, mirrored), request(inbound, inner, &id))
            }
            (Era::Legacy, None) => {
                let (body, mirrored) =
                    modern_server::request(way, client, inbound, inner, &id).await;
                (Via::Modern(mirrored), body)
            }
        };
        Ok(Some(Self {
            way: way.clone(),
            method: inbound.method,
            name: inbound.name.clone(),
            target: inner.or(inbound.target.as_deref()).map(str::to_owned),
            caller: inbound.caller.clone(),
            id,
            body,
            via,
            aside,
        }))
    }

    /// Asks the server, and reads up to its answer.
    pub(super) async fn run(self) -> Fetched {
        let era = match &self.via {
            Via::Modern(_) => Era::Modern,
            Via::Session(_) | Via::Group(..) | Via::Bare(..) => Era::Legacy,
        };
        let mut ear = match self.send().await {
            Ok(ear) => ear,
            Err(Fault::Upstream(Error::SessionLost)) => return Fetched::Lost,
            Err(Fault::Alone) => return Fetched::Alone,
            Err(Fault::Upstream(error)) => return Fetched::Failed(error),
        };
        loop {
            let message = match ear.next().await {
                Ok(Some(message)) => message,
                Ok(None) => return self.nothing(ear.talk(), Bytes::new()),
                Err(Error::TooLong) => {
                    self.cancel(
                        &ear,
                        "it is asked for once more, by whom it can be passed on to",
                    );
                    return Fetched::Large;
                }
                Err(error) => {
                    if matches!(error, Error::Timeout(_)) {
                        self.cancel(&ear, "timed out at the gateway");
                    }
                    return Fetched::Failed(error);
                }
            };
            let is_stream = ear.talk().is_stream();
            let Ok(text) = std::str::from_utf8(&message) else {
                continue;
            };
            match parse::message(text).map(|message| message.body) {
                Ok(Body::Response { answer, .. }) => return self.conclude(era, ear.talk(), answer),
                Ok(Body::Notification { method, .. }) => self.tell(&ear, &method, text),
                Ok(Body::Request { .. }) if era == Era::Modern => {}
                Ok(Body::Request { .. }) if self.answer_at_once(&ear, &message).await => {}
                Ok(Body::Request { .. }) => {
                    // What it asks is for one caller to answer.
                    self.cancel(&ear, "asked for what several callers cannot be asked");
                    return Fetched::Asks;
                }
                Err(_) if is_stream => {}
                Err(_) => return self.nothing(ear.talk(), message),
            }
        }
    }

    async fn send(&self) -> Result<Ear, Fault> {
        let remote = &self.way.server.remote;
        let deadline = remote.deadline();
        let is_repeatable = self.method.is_safe_to_repeat();
        let post = |mcp| Post { mcp, is_repeatable };
        let patience = Patience::Call { deadline };
        let body = self.body.clone();
        Ok(match &self.via {
            Via::Modern(mirrored) => {
                let mcp = Mcp {
                    era: Era::Modern,
                    revision: Some(MODERN),
                    method: Some(&self.name),
                    name: self.target.as_deref(),
                    params: mirrored,
                    session: None,
                    last_event: None,
                    accept: None,
                };
                let sent = remote.post(&self.caller, post(mcp), body, patience);
                Ear::Voice(Box::new(Voice::Plain(sent.await?)))
            }
            Via::Bare(version, mirrored) => {
                let mcp = Mcp {
                    revision: version.as_deref(),
                    params: mirrored,
                    ..Mcp::BARE
                };
                let sent = remote.post(&self.caller, post(mcp), body, patience);
                Ear::Voice(Box::new(Voice::Plain(sent.await?)))
            }
            Via::Session(upstream) => {
                let sent = upstream.send(&self.caller, body, &self.name, is_repeatable, deadline);
                let talk = sent.await?;
                Ear::Voice(Box::new(Voice::in_session(
                    Arc::clone(upstream),
                    talk,
                    None,
                )))
            }
            Via::Group(group, context) => {
                let needs_own = group.capabilities() != "{}" || context.log_level.is_some();
                let lease = if needs_own {
                    group.take(deadline).await
                } else {
                    group.share().await
                };
                // Why no session can be opened is told to whoever asks alone.
                let lease = lease.map_err(|error| match error {
                    OpenError::Upstream(error) => Fault::Upstream(error),
                    OpenError::Refused { .. } | OpenError::Disagreed { .. } => Fault::Alone,
                })?;
                let notices = lease.session.notices();
                if let Some(level) = &context.log_level {
                    lease.session.set_log_level(level).await?;
                }
                let sent =
                    lease
                        .session
                        .send(&self.caller, body, &self.name, is_repeatable, deadline);
                let talk = sent.await?;
                Ear::Call(Box::new(Call {
                    lease,
                    talk,
                    n_resumes: 0,
                    id: self.id.clone(),
                    notices,
                }))
            }
        })
    }

    /// Answers what is not for a client to answer; `false` where it is.
    async fn answer_at_once(&self, ear: &Ear, message: &Bytes) -> bool {
        match (ear, &self.via) {
            (Ear::Call(call), Via::Group(_, context)) => {
                let question = std::str::from_utf8(message).ok().and_then(question);
                let Some(answer) = question.and_then(|question| answer_at_once(&question, context))
                else {
                    return false;
                };
                if let Err(error) = call.lease.session.tell(answer).await {
                    tracing::debug!(%error, "A server could not be answered");
                }
                true
            }
            (Ear::Voice(_), Via::Session(session)) => answer_ping(session, message).await,
            _ => false,
        }
    }

    /// What an answer says.
    fn conclude(&self, era: Era, talk: &Talk, answer: Answer<'_>) -> Fetched {
        match answer {
            Answer::Result(result) => Fetched::Result(era, result.get().to_owned()),
            Answer::Error(error) => {
                let code =
                    Object::read(error.get()).and_then(|one| Some(one.get("code")?.to_owned()));
                let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{}}}"#, error.get());
                let is_refused = code.as_deref() == Some(HEADER_MISMATCH)
                    || is_wrong_era(era, talk.status, &text);
                if is_refused {
                    return Fetched::Again;
                }
                if era == Era::Legacy && input::url_required(error.get()).is_some() {
                    return Fetched::Asks;
                }
                let head = talk.refusal.clone();
                Fetched::Error(era, talk.status, error.get().to_owned(), head)
            }
        }
    }

    /// The server was done and had not answered: all it said is `text`.
    fn nothing(&self, talk: &Talk, text: Bytes) -> Fetched {
        let is_modern = matches!(self.via, Via::Modern(_));
        let said = String::from_utf8_lossy(&text);
        if is_modern && is_wrong_era(Era::Modern, talk.status, &said) {
            return Fetched::Again;
        }
        match talk.refusal.clone() {
            Some(head) => Fetched::Refused(Page {
                head,
                text,
                is_in_session: matches!(self.via, Via::Session(_) | Via::Group(..)),
            }),
            None if talk.is_stream() => Fetched::Failed(Error::ClosedEarly),
            None => Fetched::Failed(Error::NotHttp("no MCP answer")),
        }
    }

    /// Tells the first caller what came before the answer. Nobody else ever hears of it.
    fn tell(&self, ear: &Ear, method: &str, text: &str) {
        let told = match (ear, &self.via) {
            (Ear::Call(call), Via::Group(_, context)) => {
                notification(&self.way, context, call, method, text)
            }
            _ => link::outward(&self.way, text),
        };
        if let Some(told) = told {
            // A caller that left, or that reads too slowly, misses it.
            self.aside.try_send(told).ok();
        }
    }

    fn cancel(&self, ear: &Ear, reason: &str) {
        let session = match ear {
            Ear::Voice(voice) => match &**voice {
                Voice::Session { session, .. } => session,
                // Closing the connection says it.
                Voice::Plain(_) => return,
            },
            Ear::Call(call) => &call.lease.session,
        };
        voice::cancel(&self.way, Arc::clone(session), &self.id, reason);
    }
}

/// An answer as it comes.
enum Ear {
    Voice(Box<Voice>),
    Call(Box<Call>),
}

impl Ear {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Voice(voice) => voice.next().await,
            Self::Call(call) => call.next().await,
        }
    }

    fn talk(&self) -> &Talk {
        match self {
            Self::Voice(voice) => voice.talk(),
            Self::Call(call) => &call.talk,
        }
    }
}

/// Why a fetch did not begin.
enum Fault {
    Upstream(Error),
    Alone,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Upstream(error)
    }
}

fn failed(server: &str, error: &Error) -> Ended {
    Ended::Refused {
        refusal: error.to_refusal(server),
        id: None,
        error: Some(error.to_string()),
    }
}

/// A legacy message under the gateway's own id.
fn request(inbound: &Inbound, inner: Option<&str>, id: &str) -> Bytes {
    let respelled =
        inner.and_then(|inner| rewrite::params(inbound.method, inbound.params(), inner));
    let params = respelled.as_deref().or(inbound.params.as_deref());
    up::request(id, &inbound.name, params).into()
}
