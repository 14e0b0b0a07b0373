//! Legacy clients: sessions, their event streams, and the messages within them.
//!
//! A session has a child of its own. Where the server is declared shared, all sessions have one
//! child together: it is initialized once, without client capabilities, and its answer is repeated
//! to every client; what it asks of a client is refused, what changes in it is told to all sessions,
//! updates of a resource to those that subscribed to it. A log level that one session sets holds
//! for all.

use std::sync::Arc;

use filters::json::reader::Raw;
use filters::rpc::parse::{Id, Message, Params};
use filters::rpc::write;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::{Bridge, Call, respond, submit};
use crate::stdio::desk::Desk;
use crate::stdio::failure::Failure;
use crate::stdio::link::audience::{Audience, Member};
use crate::stdio::link::{Kind, OnDisconnect, STREAM_BYTES_MAX};
use crate::stdio::meta;
use crate::stdio::payload::Payload;
use crate::stdio::reply::{self, Events, Reply, SESSION_ID};
use crate::stdio::session::{Session, Sessions};

/// Most resources that one session of a shared child may subscribe to.
const SUBSCRIPTIONS_MAX: usize = 1024;

impl Bridge {
    pub(super) async fn legacy_call(
        &self,
        call: Call<'_>,
        session: Option<&HeaderValue>,
    ) -> Result<Response<Reply>, Failure> {
        if call.method == "initialize" && session.is_none() {
            return if self.spec.shared {
                self.join_shared(call).await
            } else {
                self.open_own(call).await
            };
        }
        let session = self.find(session)?;
        if session.is_shared()
            && let Some(result) = self.answer_for_shared(call, &session)?
        {
            let answer = write::result(call.id, &result);
            return Ok(reply::json(StatusCode::OK, Payload::whole(answer.into())));
        }
        let number = session.number;
        let ticket = submit(
            &session.link,
            call,
            Kind::Request,
            number,
            OnDisconnect::Abandon,
        )
        .await?;
        Ok(respond(&self.spec, ticket).await.response)
    }

    /// A session with a child of its own, which answers `initialize` itself.
    async fn open_own(&self, call: Call<'_>) -> Result<Response<Reply>, Failure> {
        let place = self.sessions.place()?;
        let desk = Arc::new(Desk::default());
        let audience = Audience::Session(Arc::clone(&desk));
        let tended = self.nursery.start(audience).await?;
        let link = Arc::clone(&tended.link);
        let stop = tended.halt.one.clone();
        let session = self.sessions.open(place, link, desk, Some(stop))?;
        let (sessions, id) = (Arc::clone(&self.sessions), session.id.clone());
        self.nursery.tasks.spawn(async move {
            tended.run().await;
            sessions.end(&id);
        });
        let mut opening = Opening {
            sessions: &self.sessions,
            session: &session,
            is_open: false,
        };
        let number = session.number;
        let ticket = submit(
            &session.link,
            call,
            Kind::Request,
            number,
            OnDisconnect::Abandon,
        )
        .await?;
        let answered = respond(&self.spec, ticket).await;
        let mut response = answered.response;
        let is_refused = !response.status().is_success()
            || answered.answer.is_some_and(|answer| is_error(&answer));
        if !is_refused {
            opening.is_open = true;
            name_session(&mut response, &session.id);
        }
        Ok(response)
    }

    /// A session on the shared child, which has been initialized already.
    async fn join_shared(&self, call: Call<'_>) -> Result<Response<Reply>, Failure> {
        let place = self.sessions.place()?;
        let up = self.legacy.up().await?;
        let desk = Arc::new(Desk::default());
        let session = self
            .sessions
            .open(place, Arc::clone(&up.link), Arc::clone(&desk), None)?;
        if let Audience::Sessions(members) = &up.link.audience {
            let member = Member {
                desk,
                subscriptions: Default::default(),
            };
            members.lock().insert(session.number, member);
        }
        let requested = meta::requested_version(call.message.text);
        let result = up
            .greeting
            .map(|greeting| greeting.result_for(requested))
            .unwrap_or_default();
        let answer = write::result(call.id, &result);
        let mut response = reply::json(StatusCode::OK, Payload::whole(answer.into()));
        name_session(&mut response, &session.id);
        Ok(response)
    }

    /// The result of what a shared child must not be asked on behalf of one session.
    fn answer_for_shared(
        &self,
        call: Call<'_>,
        session: &Session,
    ) -> Result<Option<String>, Failure> {
        let Audience::Sessions(members) = &session.link.audience else {
            return Ok(None);
        };
        let mut members = members.lock();
        let uri = || meta::uri(call.params);
        match call.method {
            "resources/subscribe" => {
                let (Some(uri), Some(member)) = (uri(), members.get_mut(&session.number)) else {
                    return Ok(None);
                };
                if member.subscriptions.len() >= SUBSCRIPTIONS_MAX {
                    return Err(Failure::TooMany {
                        what: "subscriptions of one session",
                        max: SUBSCRIPTIONS_MAX,
                    });
                }
                member.subscriptions.insert(uri.into_owned());
                Ok(None)
            }
            "resources/unsubscribe" => {
                let Some(uri) = uri() else { return Ok(None) };
                if let Some(member) = members.get_mut(&session.number) {
                    member.subscriptions.remove(&*uri);
                }
                let is_wanted = members
                    .values()
                    .any(|member| member.subscriptions.contains(&*uri));
                Ok(is_wanted.then(|| "{}".to_owned()))
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn legacy_notification(
        &self,
        message: &Message<'_>,
        method: &str,
        params: &Params<'_>,
        session: Option<&HeaderValue>,
    ) -> Result<(), Failure> {
        let session = self.find(session)?;
        let link = &session.link;
        match method {
            "notifications/cancelled" => {
                let raw = params.request_id.map(Raw::get);
                if let Some(id) = raw.and_then(Id::from_json) {
                    link.cancel(session.number, id.as_json(), message.text);
                }
                Ok(())
            }
            // Said once by the gateway, or about requests that a shared child cannot make.
            "notifications/initialized"
            | "notifications/progress"
            | "notifications/roots/list_changed"
                if session.is_shared() =>
            {
                Ok(())
            }
            _ => link.send(message.text, &mut []).await,
        }
    }

    /// The client's answer to a request of the server's, whose ids are the child's own.
    pub(super) async fn legacy_response(
        &self,
        message: &Message<'_>,
        session: Option<&HeaderValue>,
    ) -> Result<(), Failure> {
        let session = self.find(session)?;
        if session.is_shared() {
            return Ok(());
        }
        session.link.send(message.text, &mut []).await
    }

    /// GET: the session's event stream.
    pub(super) fn open_stream(&self, headers: &HeaderMap) -> Result<Response<Reply>, Failure> {
        let header = headers.get(SESSION_ID).ok_or(Failure::ClientMethod)?;
        let session = self.find(Some(header))?;
        let mailbox = session.desk.open(STREAM_BYTES_MAX)?;
        Ok(reply::events(Events::of_session(mailbox)))
    }

    /// DELETE: the end of the session.
    pub(super) fn end_session(&self, headers: &HeaderMap) -> Result<Response<Reply>, Failure> {
        let header = headers.get(SESSION_ID).ok_or(Failure::ClientMethod)?;
        let session = self.find(Some(header))?;
        self.sessions.end(&session.id);
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    fn find(&self, session: Option<&HeaderValue>) -> Result<Arc<Session>, Failure> {
        let id = session.ok_or(Failure::SessionMissing)?;
        let id = id.to_str().map_err(|_| Failure::SessionUnknown)?;
        self.sessions.find(id)
    }
}

/// A session whose client does not know it yet. Dropped before it is open, nobody ever will.
struct Opening<'a> {
    sessions: &'a Sessions,
    session: &'a Session,
    is_open: bool,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.is_open {
            self.sessions.end(&self.session.id);
        }
    }
}

fn name_session(response: &mut Response<Reply>, id: &str) {
    // An id is hexadecimal, which every header may be.
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(SESSION_ID, value);
    }
}

fn is_error(answer: &Payload) -> bool {
    let text = answer.to_vec();
    std::str::from_utf8(&text).is_ok_and(|text| meta::error_code(text).is_some())
}
