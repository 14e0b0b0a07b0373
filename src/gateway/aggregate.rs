//! Several servers as one: each message goes to the server that has what it names, or is answered
//! here.

use std::sync::Arc;

use filters::mcp::call::Call;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::mcp::rewrite::{self, Reference};
use filters::refusal::Refusal;
use filters::route::names::Strategy;
use filters::route::uri;

use crate::gateway::Ended;
use crate::gateway::access;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::inbound::{self, Inbound};
use crate::gateway::limits::Want;
use crate::gateway::link::Way;
use crate::gateway::reply::Reply;
use crate::gateway::screen::Screen;
use crate::gateway::{deliver, guard, handshake, limits, listen, lists, local, locked};
use crate::state::session::Session;
use crate::state::snapshot::{Profile, Server};

/// What a message names to find its server by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Tool,
    Prompt,
    Resource,
    Reference,
    Task,
}

impl Aim {
    fn of(method: Method) -> Option<Self> {
        match method {
            Method::ToolsCall => Some(Self::Tool),
            Method::PromptsGet => Some(Self::Prompt),
            Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
                Some(Self::Resource)
            }
            Method::CompletionComplete => Some(Self::Reference),
            Method::Tasks => Some(Self::Task),
            Method::Initialize
            | Method::Ping
            | Method::ServerDiscover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourcesTemplatesList
            | Method::LoggingSetLevel
            | Method::SubscriptionsListen
            | Method::Cancelled
            | Method::Notification
            | Method::Other => None,
        }
    }

    /// What is wrong where it names nothing.
    fn missing(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "`name` is missing",
            Self::Resource => "`uri` is missing",
            Self::Reference => "`ref` must name a prompt or a resource template",
            Self::Task => "`taskId` is missing",
        }
    }
}

/// Serves one message at several servers.
pub(super) async fn serve(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
    call: &Call<'_>,
    scope: &str,
) -> Result<(), Ended> {
    // What goes to one server is charged once that is known.
    if Aim::of(inbound.method).is_none()
        && let Some(refusal) = limits::charge_in(reply, call, Want::default()).await?
    {
        return reply.refuse(refusal, inbound.id(), None).await;
    }
    reply.screen = Screen::several(reply.exchange, profile, inbound.id());
    match (&inbound.kind, inbound.method) {
        (inbound::Kind::Response(id, answer), _) => {
            deliver::response(reply, client, id.as_deref(), answer.clone()).await
        }
        (inbound::Kind::Notification, Method::Cancelled | Method::Notification) => {
            deliver::notification(reply, client, inbound).await
        }
        // What names one server's things is not for all of them, and nobody was asked whether it may.
        (inbound::Kind::Notification, _) => reply.accept().await,
        (_, Method::Initialize) => handshake::aggregate(reply, profile, inbound, scope).await,
        (_, Method::ServerDiscover) => handshake::discover(reply, profile, inbound).await,
        (_, Method::Ping) => local::result(reply, inbound, "{}").await,
        (_, Method::LoggingSetLevel) => match client {
            Some(client) => local::set_level(reply, client, inbound).await,
            None => local::result(reply, inbound, "{}").await,
        },
        (_, Method::SubscriptionsListen) => listen::several(reply, profile, inbound).await,
        // Tasks are offered here as the extension has them, and to nobody else.
        (_, Method::Tasks)
            if inbound.era == Era::Legacy || !Method::is_of_tasks_extension(&inbound.name) =>
        {
            local::unknown_method(reply, inbound).await
        }
        (_, method) => match (Aim::of(method), Kind::of(method)) {
            (Some(aim), _) => forward(reply, profile, client, inbound, call, aim).await,
            (None, Some(kind)) => {
                Box::pin(lists::serve(reply, profile, client, inbound, kind)).await
            }
            (None, None) => local::unknown_method(reply, inbound).await,
        },
    }
}

/// Sends a message to the server that has what it names.
async fn forward(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
    call: &Call<'_>,
    aim: Aim,
) -> Result<(), Ended> {
    let (server, inner) = match direct(profile, inbound, aim) {
        Some(found) => found,
        None => match Box::pin(look_up(reply, profile, client, inbound, aim)).await {
            Ok(found) => found,
            Err(refusal) => {
                // Looking for what is not there is not free.
                let limited = limits::charge_in(reply, call, Want::default()).await?;
                let refusal = limited.unwrap_or(refusal);
                return reply.refuse(refusal, inbound.id(), None).await;
            }
        },
    };
    reply.exchange.outcome.server = Some(Arc::clone(&server.id));
    reply.exchange.outcome.target = Some(inner.clone());
    let exchange = &reply.exchange;
    let permit = access::permit(exchange, &server, Some(call), Some(&inner))?;
    let tool = (aim == Aim::Tool).then_some(&*inner);
    if tool.is_some() && locked::is_on(exchange, &server) {
        Box::pin(locked::admit(exchange, &server, client, inbound, tool)).await?;
    }
    let way = Way {
        server,
        naming: Some(Arc::clone(&profile.naming)),
    };
    let inbound = &*guard::enter(reply, &way, client, inbound, Some(&inner)).await?;
    let want = Want {
        server: Some(&way.server.id),
        tool,
    };
    if let Some(refusal) = limits::charge_in(reply, call, want).await? {
        return reply.refuse(refusal, inbound.id(), None).await;
    }
    let _active = reply.exchange.live.metrics.track(&way.server.id);
    let dispatch = Dispatch {
        way: &way,
        client,
        inbound,
        inner: Some(&inner),
        permit,
    };
    dispatch.run(reply).await
}

/// The server that a name itself tells, and its own name for it.
fn direct(profile: &Profile, inbound: &Inbound, aim: Aim) -> Option<(Arc<Server>, String)> {
    let naming = &profile.naming;
    let (server, inner) = match aim {
        Aim::Task => rewrite::task_split(naming, inbound.target.as_deref()?)?,
        // A shortened name can look like a long one: the lists decide.
        Aim::Tool | Aim::Prompt if !naming.is_limited() => {
            naming.split(inbound.target.as_deref()?)?
        }
        Aim::Resource => return of_uri(profile, inbound.target.as_deref()?),
        Aim::Tool | Aim::Prompt | Aim::Reference => return None,
    };
    Some((Arc::clone(profile.server(server)?), inner.to_owned()))
}

fn of_uri(profile: &Profile, outer: &str) -> Option<(Arc<Server>, String)> {
    if profile.naming.strategy() == Strategy::None {
        return None;
    }
    let (server, inner) = uri::split(outer)?;
    Some((Arc::clone(profile.server(&server)?), inner.to_owned()))
}

/// Looks a name up in the lists.
async fn look_up(
    reply: &Reply<'_>,
    profile: &Arc<Profile>,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
    aim: Aim,
) -> Result<(Arc<Server>, String), Refusal> {
    let naming = &profile.naming;
    let (kind, name) = match aim {
        Aim::Tool => (Kind::Tools, inbound.target.clone()),
        Aim::Prompt => (Kind::Prompts, inbound.target.clone()),
        Aim::Reference => match rewrite::reference(inbound.params()) {
            Some(Reference::Prompt(name)) => (Kind::Prompts, Some(name)),
            Some(Reference::Resource(uri)) => match of_uri(profile, &uri) {
                Some(found) => return Ok(found),
                None => (Kind::Templates, Some(uri)),
            },
            None => (Kind::Prompts, None),
        },
        Aim::Task => {
            let what = aim.missing();
            return Err(match inbound.target.clone() {
                Some(name) => Refusal::TargetUnknown { kind: "task", name },
                None => Refusal::ParamsInvalid { what },
            });
        }
        Aim::Resource => (Kind::Resources, inbound.target.clone()),
    };
    let Some(name) = name else {
        return Err(Refusal::ParamsInvalid {
            what: aim.missing(),
        });
    };
    let named = || {
        let (server, inner) = naming.split(&name)?;
        Some((Arc::clone(profile.server(server)?), inner.to_owned()))
    };
    let is_named = matches!(kind, Kind::Tools | Kind::Prompts);
    if is_named
        && !naming.is_limited()
        && let Some(found) = named()
    {
        return Ok(found);
    }
    let capabilities = lists::capabilities(inbound, client);
    let deadline = reply.exchange.snapshot.lists.deadline;
    let caller = &inbound.caller;
    let eyes = locked::eyes(reply.exchange, profile, kind);
    let resolved = lists::resolve(profile, caller, &capabilities, kind, &name, deadline, &eyes);
    let found = resolved.await;
    match found {
        Err(Refusal::TargetUnknown { .. }) if is_named => named().ok_or(Refusal::TargetUnknown {
            kind: if kind == Kind::Tools {
                "tool"
            } else {
                "prompt"
            },
            name,
        }),
        // A resource that no list shows may come from a template, which only one server can have.
        Err(Refusal::TargetUnknown { .. }) if kind == Kind::Resources => {
            by_template(profile, caller, &capabilities, name, deadline).await
        }
        found => found,
    }
}

/// The one server whose templates begin like a URI that no list shows.
async fn by_template(
    profile: &Arc<Profile>,
    caller: &crate::upstream::fields::Caller,
    capabilities: &str,
    uri: String,
    deadline: std::time::Duration,
) -> Result<(Arc<Server>, String), Refusal> {
    let whole = lists::read(
        profile,
        caller,
        capabilities,
        Kind::Templates,
        deadline,
        &[],
    )
    .await;
    let begins = |template: &str| {
        let literal = template.split('{').next().unwrap_or_default();
        !literal.is_empty() && uri.starts_with(literal)
    };
    let entries = whole.merged.entries.iter();
    let longest = entries
        .filter(|entry| begins(&entry.inner))
        .max_by_key(|entry| entry.inner.find('{').unwrap_or(entry.inner.len()));
    match longest.and_then(|entry| profile.server(&entry.server)) {
        Some(server) => Ok((Arc::clone(server), uri)),
        None => Err(Refusal::TargetUnknown {
            kind: "resource",
            name: uri,
        }),
    }
}
