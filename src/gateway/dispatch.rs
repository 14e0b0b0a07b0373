//! A permitted message on its way to one server, in the era that suits both.
//!
//! **Invariant:** nothing is sent without the [`Permit`] that a [`Dispatch`] is made with.

use std::sync::Arc;

use filters::acl::Permit;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;

use crate::gateway::Ended;
use crate::gateway::bridge::{legacy_server, modern_server};
use crate::gateway::cached::{self, Served};
use crate::gateway::inbound::Inbound;
use crate::gateway::link::{self, Way};
use crate::gateway::pass::{Passed, end};
use crate::gateway::reply::Reply;
use crate::gateway::{front, listen, local, pass, passage, sessions};
use crate::state::session::{Link, Session};
use crate::upstream::era::{self, Standing};

/// A message and where it goes.
pub(super) struct Dispatch<'a> {
    /// The server.
    pub(super) way: &'a Way,
    /// The session it belongs to.
    pub(super) client: Option<&'a Arc<Session>>,
    /// The message.
    pub(super) inbound: &'a Inbound,
    /// What it is aimed at, as the server spells it; nothing where that is as the client does.
    pub(super) inner: Option<&'a str>,
    /// That the caller may.
    pub(super) permit: Permit,
}

impl Dispatch<'_> {
    /// What it is aimed at, as the server spells it.
    pub(super) fn target(&self) -> Option<&str> {
        self.inner.or(self.inbound.target.as_deref())
    }

    /// Serves it to its end. A server that turns out to have changed its era meanwhile did nothing:
    /// the message is sent once more, in the other one.
    pub(super) async fn run(self, reply: &mut Reply<'_>) -> Result<(), Ended> {
        if Box::pin(cached::serve(reply, &self)).await? == Served::Home {
            return Ok(());
        }
        self.go_on(reply).await
    }

    /// Sends what the cache cannot answer.
    pub(super) async fn go_on(self, reply: &mut Reply<'_>) -> Result<(), Ended> {
        let sent = self.send(reply).await;
        let was_sent =
            !matches!(&sent, Err(Ended::Refused { refusal, .. }) if !refusal.may_have_been_sent());
        if let Some(write) = reply.write.take().filter(|_| was_sent) {
            // Nobody hears how it ends; it may have been sent all the same.
            write.give_up_later();
        }
        sent
    }

    async fn send(&self, reply: &mut Reply<'_>) -> Result<(), Ended> {
        let remote = &self.way.server.remote;
        let caller = &self.inbound.caller;
        for judges in [true, false] {
            let passed = match self.inbound.era {
                Era::Modern => match self.decide().await? {
                    Era::Modern => pass::modern(reply, self, judges).await?,
                    Era::Legacy => return Box::pin(legacy_server::serve(reply, self)).await,
                },
                Era::Legacy => self.in_session(reply, judges).await?,
            };
            match passed {
                Passed::Home => return Ok(()),
                Passed::WrongEra => {
                    remote.eras.doubt();
                    if let Some(client) = self.client {
                        client.disconnect(&self.way.server.id);
                    }
                    era::ask(remote, caller).await;
                    passage::stay(&self.way.server)?;
                }
            }
        }
        Ok(())
    }

    /// The era in which a modern client's message goes there.
    async fn decide(&self) -> Result<Era, Ended> {
        let server = &self.way.server;
        let chosen = era::decide(&server.remote, &self.inbound.caller, Era::Modern).await;
        passage::stay(server)?;
        Ok(chosen)
    }

    /// Sends a legacy client's message, in a session with the server where it has sessions.
    async fn in_session(&self, reply: &mut Reply<'_>, judges: bool) -> Result<Passed, Ended> {
        let live = Arc::clone(&reply.exchange.live);
        let Some(client) = self.client else {
            if self.way.server.remote.eras.serves(Era::Legacy) != Standing::No {
                pass::bare(reply, self).await?;
                return Ok(Passed::Home);
            }
            // Without a session the message carries all there is.
            return Box::pin(self.to_modern(reply, judges)).await;
        };
        let inbound = self.inbound;
        let link = match link::find(&live, client, self.way, &inbound.caller).await {
            Ok(link) => link,
            Err(unlinked) => {
                end::unlinked(reply, self.way, inbound.id(), unlinked).await?;
                return Ok(Passed::Home);
            }
        };
        match link {
            Link::Legacy(upstream) => {
                let target = inbound.target.as_deref();
                front::remember(&live, client, inbound.method, target, &inbound.text);
                pass::legacy(reply, self, client, upstream).await?;
                Ok(Passed::Home)
            }
            Link::Modern => Box::pin(self.to_modern(reply, judges)).await,
        }
    }

    /// Serves a legacy client's message at a modern server, as far as it does not concern the session
    /// alone.
    async fn to_modern(&self, reply: &mut Reply<'_>, judges: bool) -> Result<Passed, Ended> {
        let inbound = self.inbound;
        match (inbound.method, self.client) {
            (Method::ResourcesSubscribe, Some(client)) => {
                listen::subscribe::subscribe(reply, self, client).await?;
            }
            (Method::ResourcesUnsubscribe, Some(client)) => {
                client.unsubscribe(inbound.target.as_deref().unwrap_or_default());
                sessions::save_later(&reply.exchange.live, client);
                local::result(reply, inbound, "{}").await?;
            }
            // Those of 2025-11-25 are others than the extension's, and no modern server has them.
            (Method::Tasks, _) => local::unknown_method(reply, inbound).await?,
            (Method::Ping, _) => local::result(reply, inbound, "{}").await?,
            (Method::LoggingSetLevel, Some(client)) => {
                local::set_level(reply, client, inbound).await?;
            }
            _ => return modern_server::serve(reply, self, judges).await,
        }
        Ok(Passed::Home)
    }
}
