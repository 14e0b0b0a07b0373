//! Guardrails on the way of a message: what is said to a server, and what it says.
//!
//! Every way to a server goes through here once its caller may go it: [`look`] where a message passes
//! as it is, [`enter`] where it is taken apart. What may concern its answer is a [`Watch`]: such an
//! answer is read whole, and looked at where all answers are given (`gateway::reply`), also one from
//! the cache, which stores what servers say as they say it.
//!
//! **Invariant:** a server that no rule is about costs one lookup; nothing is parsed then.
//! **Invariant:** arguments and results are never logged here, only names.

mod hearing;
mod hold;
mod rounds;
mod tell;
mod watch;
mod webhook;

use std::borrow::Cow;
use std::sync::Arc;

use filters::guard::scope::Kind;
use filters::json::object::Object;
use filters::mcp::call::Call;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Answer, Body};

use crate::gateway::exchange::Exchange;
pub(super) use crate::gateway::guard::hearing::Hearing;
pub(super) use crate::gateway::guard::watch::Watch;
use crate::gateway::inbound::{self, Inbound};
use crate::gateway::link::Way;
use crate::gateway::lists;
use crate::gateway::reply::Reply;
use crate::state::session::{Reply as Answered, Session};
use crate::state::snapshot::{Server, Snapshot};

/// A message that guardrails are about, and went through.
pub(super) struct Seen {
    /// What it says instead.
    pub(super) change: Option<Change>,
    /// What looks at its answer.
    pub(super) watch: Option<Watch>,
}

/// What a message says instead.
pub(super) enum Change {
    /// A request: its params, JSON text.
    Params(String),
    /// A client's answer.
    Answer(Answered),
}

impl Seen {
    /// The message as it goes on.
    pub(super) async fn apply(
        self,
        inbound: Inbound,
        server: &Server,
        client: Option<&Arc<Session>>,
    ) -> Inbound {
        let inbound = match self.change {
            Some(change) => changed(inbound, change, server, client).await,
            None => inbound,
        };
        inbound.inspected()
    }
}

/// Looks at a message to one server. Nothing where it passes as it is, and its answer, too.
///
/// # Errors
/// Where a guardrail refuses or holds it.
pub(super) fn look(
    exchange: &mut Exchange,
    server: &Arc<Server>,
    call: &Call<'_>,
) -> Result<Option<Seen>, Refusal> {
    let is_round = call.era == Era::Modern && call.is_request();
    let params = call.message.params_text;
    if exchange.snapshot.guard.reach(&server.id).is_empty()
        && !(is_round && rounds::may_return(exchange, params))
    {
        return Ok(None);
    }
    let target = call.target.as_ref().map(|target| target.name());
    let mut watch = Watch::of(exchange, server, call.method, target).in_rounds(is_round);
    let change = match &call.message.body {
        Body::Response { answer, .. } => watch
            .client_answer(None, &owned(answer))
            .map(Change::Answer),
        Body::Request { .. } | Body::Notification { .. } => {
            watch.request(exchange, params)?.map(Change::Params)
        }
    };
    watch.note(exchange.spent.as_ref());
    let watch = Some(watch).filter(|watch| call.is_request() && watch.concerns_answer());
    let is_clear = change.is_none() && watch.is_none();
    Ok((!is_clear).then_some(Seen { change, watch }))
}

/// Looks at a message that was taken apart, unless that was done, and has its answer looked at.
/// `inner` is what it is aimed at, as the server spells it, where that is not as the client does.
///
/// # Errors
/// Where a guardrail refuses or holds it.
pub(super) async fn enter<'i>(
    reply: &mut Reply<'_>,
    way: &Way,
    client: Option<&Arc<Session>>,
    inbound: &'i Inbound,
    inner: Option<&str>,
) -> Result<Cow<'i, Inbound>, Refusal> {
    let server = &way.server;
    let is_round = inbound.era == Era::Modern && inbound.id().is_some();
    let params = inbound.params.as_deref();
    if reply.exchange.snapshot.guard.reach(&server.id).is_empty()
        && !(is_round && rounds::may_return(reply.exchange, params))
        && reply.exchange.spent.is_none()
    {
        return Ok(Cow::Borrowed(inbound));
    }
    let target = inner.or(inbound.target.as_deref());
    let watch = Watch::of(reply.exchange, server, inbound.method, target);
    let mut watch = watch.in_rounds(is_round);
    let change = match &inbound.kind {
        _ if inbound.is_inspected => None,
        inbound::Kind::Response(_, answer) => watch.client_answer(None, answer).map(Change::Answer),
        inbound::Kind::Request(_) | inbound::Kind::Notification => {
            watch.request(reply.exchange, params)?.map(Change::Params)
        }
    };
    watch.note(reply.exchange.spent.as_ref());
    if inbound.id().is_some() && watch.concerns_answer() {
        reply.watch = Some(Box::new(watch));
    }
    Ok(match change {
        None => Cow::Borrowed(inbound),
        Some(change) => Cow::Owned(changed(inbound.clone(), change, server, client).await),
    })
}

/// Whether a server may be asked to tell of one of its resources, in a message to several.
///
/// # Errors
/// Where a guardrail refuses or holds it.
pub(super) fn admits_uri(
    exchange: &mut Exchange,
    server: &Arc<Server>,
    uri: &str,
) -> Result<bool, Refusal> {
    if exchange.snapshot.guard.reach(&server.id).is_empty() {
        return Ok(true);
    }
    Watch::of(exchange, server, Method::ResourcesSubscribe, Some(uri)).admits_uri(exchange, uri)
}

/// The message with what it says instead.
async fn changed(
    mut inbound: Inbound,
    change: Change,
    server: &Server,
    client: Option<&Arc<Session>>,
) -> Inbound {
    let text = String::from_utf8_lossy(&inbound.text).into_owned();
    let mut message = Object::read(&text).unwrap_or_default();
    match change {
        Change::Params(params) => {
            if inbound.era == Era::Modern
                && inbound.method == Method::ToolsCall
                && arguments(&params) != arguments(inbound.params())
            {
                mirror(&mut inbound, &params, server, client).await;
            }
            message.set("params", params.clone());
            inbound.params = Some(params);
        }
        Change::Answer(answer) => {
            put(&mut message, &answer);
            if let inbound::Kind::Response(id, _) = inbound.kind {
                inbound.kind = inbound::Kind::Response(id, answer);
            }
        }
    }
    inbound.text = message.write().into();
    inbound
}

/// Puts another answer into a response.
fn put(message: &mut Object<'_>, answer: &Answered) {
    match answer {
        Answered::Result(result) => message.set("result", result.clone()),
        Answered::Error(error) => {
            message.remove("result");
            message.set("error", error.clone());
        }
    }
}

/// The text of a message with what it says instead, where it passes as it is otherwise.
pub(super) fn respelled(text: &str, change: &Change) -> String {
    let mut message = Object::read(text).unwrap_or_default();
    match change {
        Change::Params(params) => message.set("params", params.clone()),
        Change::Answer(answer) => put(&mut message, answer),
    }
    message.write()
}

/// The arguments in the params of a call, JSON text.
fn arguments(params: &str) -> Option<String> {
    let params = Object::read(params)?;
    params.get("arguments").map(str::to_owned)
}

/// Has the headers say what the arguments say now (E7).
async fn mirror(
    inbound: &mut Inbound,
    params: &str,
    server: &Server,
    client: Option<&Arc<Session>>,
) {
    let Some(tool) = inbound.target.as_deref() else {
        return;
    };
    let capabilities = lists::capabilities(inbound, client);
    let catalog = lists::catalog(server, &inbound.caller, &capabilities);
    let Some(mirrors) = catalog.mirrors(tool).await else {
        return;
    };
    let before = mirrors.emit(arguments(inbound.params()).as_deref());
    let is_stale = |name: &str| {
        before
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    inbound.mirrored.retain(|(name, _)| !is_stale(name));
    inbound
        .mirrored
        .extend(mirrors.emit(arguments(params).as_deref()));
}

fn owned(answer: &Answer<'_>) -> Answered {
    match answer {
        Answer::Result(result) => Answered::Result(result.get().to_owned()),
        Answer::Error(error) => Answered::Error(error.get().to_owned()),
    }
}

/// What becomes of a server's message before its client gets it.
pub(super) enum Asked {
    /// It goes on as it is.
    AsItIs,
    /// It goes on as this.
    Becomes(String),
    /// It does not go on: its server is told so by this answer.
    Refused(String),
}

/// Looks at what a server says before it answers. `id` is what the request is answered under, if not
/// what it says itself.
pub(super) fn asked(watch: Option<&Watch>, text: &str, id: Option<&str>) -> Asked {
    let Some(watch) = watch else {
        return Asked::AsItIs;
    };
    let Ok(message) = parse::message(text) else {
        return Asked::AsItIs;
    };
    let Body::Request {
        id: theirs, method, ..
    } = &message.body
    else {
        return Asked::AsItIs;
    };
    let said = message.params_text;
    let Some(params) = said.or_else(|| Kind::asked(method).map(|_| "{}")) else {
        // It says nothing: `ping` must be answered.
        return Asked::AsItIs;
    };
    match watch.question(method, params) {
        Ok(None) => Asked::AsItIs,
        Ok(Some(params)) => Asked::Becomes(respelled(text, &Change::Params(params))),
        Err(refusal) => {
            let id = id.unwrap_or_else(|| theirs.as_json());
            Asked::Refused(refusal.to_json(parse::Id::from_json(id)))
        }
    }
}

/// What becomes of what a server tells beside its answers.
pub(super) enum Told {
    /// It goes on as it is.
    AsItIs,
    /// It goes on as this.
    Becomes(String),
    /// It does not go on.
    Hidden,
}

/// Looks at what a server tells beside its answers: progress, log messages and other news. What cannot
/// be read as a message is told nobody who is guarded: another reader may take it for one.
pub(super) fn told(watch: Option<&Watch>, text: &str) -> Told {
    let Some(watch) = watch.filter(|watch| watch.concerns_news()) else {
        return Told::AsItIs;
    };
    let Ok(message) = parse::message(text) else {
        return Told::Hidden;
    };
    match &message.body {
        Body::Notification { .. } => match watch.news(message.params_text.unwrap_or("{}")) {
            Ok(None) => Told::AsItIs,
            Ok(Some(params)) => Told::Becomes(respelled(text, &Change::Params(params))),
            Err(_) => Told::Hidden,
        },
        // Each is looked at for what it is: questions in `asked`, answers in `Watch::answer`.
        Body::Request { .. } | Body::Response { .. } => Told::AsItIs,
    }
}

/// Whether any rule is about what a server says of its own accord.
pub(super) fn hears(snapshot: &Snapshot, server: &str) -> bool {
    let reach = snapshot.guard.reach(server);
    let kinds = [Kind::Sampling, Kind::Elicitation, Kind::Results];
    kinds.into_iter().any(|kind| reach.has(kind))
}
