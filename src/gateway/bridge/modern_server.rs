//! A legacy client at a modern server: the gateway says with each request what the client said when
//! it opened its session, and puts what the server needs to the client as requests of its own.

mod ask;

use std::sync::Arc;

use bytes::Bytes;
use filters::cache::task::Said;
use filters::json::object::Object;
use filters::mcp::input;
use filters::mcp::method::Method;
use filters::mcp::mirror;
use filters::mcp::revision::Era;
use filters::mcp::rewrite;
use filters::mcp::translate::{down, up};
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Answer, Body, Id};
use filters::rpc::write;
use tokio_util::sync::CancellationToken;

use crate::gateway::Ended;
use crate::gateway::bridge::modern_server::ask::{Answers, ask};
use crate::gateway::dispatch::Dispatch;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::{Way, outward};
use crate::gateway::lists::catalog;
use crate::gateway::pass::voice::go_on;
use crate::gateway::pass::{Passed, end, fail, is_wrong_era};
use crate::gateway::reply::{Reply, Wake};
use crate::state::session::{Registered, Session};
use crate::state::snapshot::Server;
use crate::upstream::CLIENT_INFO;
use crate::upstream::era::MODERN;
use crate::upstream::error::Error;
use crate::upstream::fields::Mcp;
use crate::upstream::remote::{Post, Transport};
use crate::upstream::talk::{Patience, Talk};

/// Most times a server may ask for more input during one call, as the SDKs have it.
const ROUNDS_MAX: usize = 10;
/// The code of a header that does not mirror the body (2026-07-28).
const HEADER_MISMATCH: &str = "-32020";

/// What a call to a modern server is made with.
struct Round<'a> {
    inbound: &'a Inbound,
    /// The target as the server spells it.
    target: Option<&'a str>,
    /// The params, without the envelope.
    params: String,
    capabilities: &'a str,
    client_info: &'a str,
    log_level: Option<String>,
    mirrored: Vec<(String, String)>,
    /// What the client said to what the server asked, and the state that goes with it.
    answers: Option<Answers>,
    /// Where the client can cancel the call, if it has a session.
    registered: Option<Registered>,
    /// Whether a refusal that no modern server gives is to be judged.
    judges: bool,
}

/// How a round ended.
enum Outcome {
    /// With the answer, which the client has.
    Answered,
    /// With a request for input.
    Input(String),
    /// With the refusal of a header.
    Headers,
    /// With a refusal that no modern server gives.
    WrongEra,
}

/// Serves a legacy client's message at a modern server. Without a session the client can do nothing
/// but ask.
pub(in crate::gateway) async fn serve(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    judges: bool,
) -> Result<Passed, Ended> {
    let Dispatch {
        way,
        client,
        inbound,
        inner,
        ..
    } = *dispatch;
    let Some(id) = inbound.id() else {
        reply.accept().await?;
        return Ok(Passed::Home);
    };
    let registered = client.map(|client| client.register(id, &way.server.id));
    let cancelled = registered
        .as_ref()
        .map_or_else(CancellationToken::new, |one| one.cancelled.clone());
    let mut round = Round::of(client, inbound, inner);
    round.registered = registered;
    round.judges = judges;
    let served = tokio::select! {
        biased;
        served = converse(reply, way, client, &mut round, id) => Some(served),
        // The call is dropped, and its stream with it: that cancels it.
        () = cancelled.cancelled() => None,
    };
    match served {
        Some(served) => served,
        None => {
            reply.finish().await?;
            Ok(Passed::Home)
        }
    }
}

/// Goes round by round until the call is answered.
async fn converse(
    reply: &mut Reply<'_>,
    way: &Way,
    client: Option<&Arc<Session>>,
    round: &mut Round<'_>,
    id: &str,
) -> Result<Passed, Ended> {
    round.mirror(way, false).await;
    let mut has_reread = false;
    for _ in 0..=ROUNDS_MAX {
        match round.run(reply, way).await? {
            Outcome::Answered => return Ok(Passed::Home),
            Outcome::WrongEra => return Ok(Passed::WrongEra),
            Outcome::Headers if !has_reread => {
                has_reread = true;
                round.mirror(way, true).await;
            }
            Outcome::Headers => {
                let refusal = Refusal::UpstreamBroken {
                    server: way.server.id.to_string(),
                    what: "refused the headers of a call",
                };
                reply.refuse(refusal, Some(id), None).await?;
                return Ok(Passed::Home);
            }
            Outcome::Input(result) => match ask(reply, way, client, round, &result).await? {
                Ok(answers) => round.answers = Some(answers),
                Err(refusal) => {
                    reply.refuse(refusal, Some(id), None).await?;
                    return Ok(Passed::Home);
                }
            },
        }
    }
    let refusal = Refusal::RoundsExceeded {
        server: way.server.id.to_string(),
    };
    reply.refuse(refusal, Some(id), None).await?;
    Ok(Passed::Home)
}

/// A legacy client's message as a modern request of this id: its body and its further headers.
pub(in crate::gateway) async fn request(
    way: &Way,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
    inner: Option<&str>,
    id: &str,
) -> (Bytes, Vec<(String, String)>) {
    let mut round = Round::of(client, inbound, inner);
    round.mirror(way, false).await;
    (round.body(id).into(), round.mirrored)
}

impl<'a> Round<'a> {
    /// The first round of a message.
    fn of(client: Option<&'a Arc<Session>>, inbound: &'a Inbound, inner: Option<&'a str>) -> Self {
        let respelled =
            inner.and_then(|inner| rewrite::params(inbound.method, inbound.params(), inner));
        Self {
            inbound,
            target: inner.or(inbound.target.as_deref()),
            params: respelled.unwrap_or_else(|| inbound.params().to_owned()),
            capabilities: client.map_or("{}", |client| &client.opening.capabilities),
            client_info: client
                .and_then(|client| client.opening.client_info.as_deref())
                .unwrap_or(CLIENT_INFO),
            log_level: client.and_then(|client| client.log_level()),
            mirrored: Vec::new(),
            answers: None,
            registered: None,
            judges: false,
        }
    }

    /// The message, with all that the client said when it opened its session.
    fn body(&self, id: &str) -> String {
        let envelope = up::Envelope {
            revision: MODERN,
            capabilities: self.capabilities,
            client_info: Some(self.client_info),
            log_level: self.log_level.as_deref(),
        };
        let mut params = up::modern_params(Some(&self.params), &envelope);
        if let Some((answers, state)) = &self.answers {
            params = up::retry_params(&params, answers, state.as_deref());
        }
        up::request(id, &self.inbound.name, Some(&params))
    }

    /// Finds out which arguments stand in headers, too.
    async fn mirror(&mut self, way: &Way, anew: bool) {
        if self.inbound.method != Method::ToolsCall {
            return;
        }
        let Some(tool) = self.target else { return };
        let catalog = catalog(&way.server, &self.inbound.caller, self.capabilities);
        if anew {
            catalog.reread(filters::mcp::list::Kind::Tools).await;
        }
        let mirrors = catalog.mirrors(tool).await;
        let params = Object::read(&self.params);
        let arguments = params.as_ref().and_then(|params| params.get("arguments"));
        self.mirrored = mirrors.map_or_else(Vec::new, |mirrors| mirrors.emit(arguments));
    }

    /// Sends the call; what comes of it belongs to nobody yet.
    fn send(
        &self,
        way: &Way,
    ) -> impl Future<Output = Result<Talk, Error>> + Send + 'static + use<> {
        let remote = &way.server.remote;
        let body = self.body(&remote.serial().to_string());
        let post = Post {
            mcp: Mcp {
                era: Era::Modern,
                revision: Some(MODERN),
                method: Some(&self.inbound.name),
                name: self.target,
                params: &self.mirrored,
                session: None,
                last_event: None,
                accept: None,
            },
            is_repeatable: self.inbound.method.is_safe_to_repeat(),
        };
        let patience = Patience::Call {
            deadline: remote.deadline(),
        };
        let request = remote.request(&self.inbound.caller, &post, body);
        let cluster = Arc::clone(&remote.cluster);
        async move { Talk::begin(&cluster, request, patience).await }
    }

    /// Sends the call once and relays what comes before its answer.
    async fn run(&mut self, reply: &mut Reply<'_>, way: &Way) -> Result<Outcome, Ended> {
        let id = self.inbound.id();
        let mut sent = Box::pin(self.send(way));
        let mut talk = match reply.wait(sent.as_mut()).await {
            Ok(Wake::Done(Ok(talk))) => talk,
            Ok(Wake::Done(Err(error))) => {
                fail(reply, way, id, &error).await?;
                return Ok(Outcome::Answered);
            }
            Ok(Wake::Gone) | Err(_) => {
                let rest = async move {
                    if let Ok(talk) = sent.await {
                        unheard(talk).await;
                    }
                };
                go_on(reply, way, unless_cancelled(self.registered.take(), rest));
                return Err(Ended::ClientGone);
            }
        };
        reply.exchange.outcome.replica = Some(talk.replica);
        loop {
            let message = match reply.wait(talk.next()).await {
                Ok(Wake::Done(Ok(Some(message)))) => message,
                Ok(Wake::Done(Ok(None))) => {
                    let said = Bytes::new();
                    end::refused(reply, way, self.inbound, &mut talk, said, false).await?;
                    return Ok(Outcome::Answered);
                }
                Ok(Wake::Done(Err(error))) => {
                    fail(reply, way, id, &error).await?;
                    return Ok(Outcome::Answered);
                }
                // A legacy client that leaves cancels nothing: the call goes on, unheard.
                Ok(Wake::Gone) | Err(_) => {
                    let rest = unheard(talk);
                    go_on(reply, way, unless_cancelled(self.registered.take(), rest));
                    return Err(Ended::ClientGone);
                }
            };
            let Ok(text) = std::str::from_utf8(&message) else {
                continue;
            };
            match parse::message(text).map(|message| message.body) {
                Ok(Body::Response { answer, .. }) => {
                    return self.conclude(reply, way, &talk, answer).await;
                }
                Ok(Body::Notification { .. }) => {
                    let told = match outward(way, text) {
                        Some(event) => reply.event(&event).await,
                        None => Ok(()),
                    };
                    if told.is_err() {
                        let rest = unheard(talk);
                        go_on(reply, way, unless_cancelled(self.registered.take(), rest));
                        return Err(Ended::ClientGone);
                    }
                }
                // The modern era has no requests of servers.
                Ok(Body::Request { .. }) => {}
                Err(_) if talk.is_stream() => {}
                Err(_) => {
                    end::refused(reply, way, self.inbound, &mut talk, message, false).await?;
                    return Ok(Outcome::Answered);
                }
            }
        }
    }

    async fn conclude(
        &self,
        reply: &mut Reply<'_>,
        way: &Way,
        talk: &Talk,
        answer: Answer<'_>,
    ) -> Result<Outcome, Ended> {
        let Some(id) = self.inbound.id().and_then(Id::from_json) else {
            return Err(Refusal::Internal.into());
        };
        match answer {
            Answer::Result(result) => {
                if input::required(result.get()).is_some() {
                    return Ok(Outcome::Input(result.get().to_owned()));
                }
                if !down::is_complete(result.get()) {
                    reply.settle(Said::Result(result.get())).await;
                    let refusal = Refusal::UpstreamBroken {
                        server: way.server.id.to_string(),
                        what: "answered with a task, or what else no client of this revision takes",
                    };
                    reply.refuse(refusal, self.inbound.id(), None).await?;
                    return Ok(Outcome::Answered);
                }
                let respelled = way.namespace().and_then(|namespace| {
                    rewrite::result(namespace, self.inbound.method, result.get())
                });
                let result = respelled.as_deref().unwrap_or_else(|| result.get());
                let screened = screen(&way.server, self.inbound.method, result);
                let result = screened.as_deref().unwrap_or(result);
                let result = down::legacy_result(self.inbound.method, result);
                reply.answer(200, write::result(id, &result)).await?;
            }
            Answer::Error(error) => {
                let object = Object::read(error.get()).unwrap_or_default();
                if talk.status == 400 && object.get("code") == Some(HEADER_MISMATCH) {
                    return Ok(Outcome::Headers);
                }
                let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{}}}"#, error.get());
                if self.judges && is_wrong_era(Era::Modern, talk.status, &answer) {
                    return Ok(Outcome::WrongEra);
                }
                let error = down::legacy_error(self.inbound.method, error.get());
                let text = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#,
                    id.as_json()
                );
                let told = talk.challenge.as_ref();
                let status = end::challenge(reply, way, talk.status, told);
                reply.answer(status.unwrap_or(200), text).await?;
            }
        }
        Ok(Outcome::Answered)
    }
}

/// An HTTP client must leave out tools whose `x-mcp-header` is invalid (E64).
pub(in crate::gateway) fn screen(server: &Server, method: Method, result: &str) -> Option<String> {
    if method != Method::ToolsList || server.remote.transport == Transport::Pipe {
        return None;
    }
    let (kept, invalid) = mirror::keep_valid(result)?;
    for (tool, error) in invalid {
        tracing::warn!(
            server.id = %server.id,
            tool.name = %tool,
            %error,
            "Tool left out: its x-mcp-header is invalid"
        );
    }
    Some(kept)
}

/// What is left of a call whose client left, until the client cancels it after all.
async fn unless_cancelled(registered: Option<Registered>, rest: impl Future<Output = ()>) {
    match registered {
        Some(registered) => {
            registered.cancelled.run_until_cancelled(rest).await;
        }
        None => rest.await,
    }
}

/// Reads an answer that nobody awaits any more to its end.
async fn unheard(talk: Talk) {
    if let Err(error) = talk.discard().await {
        tracing::debug!(%error, "An abandoned call failed");
    }
}
