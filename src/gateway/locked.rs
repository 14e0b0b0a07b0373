//! Where the tool lock meets the data plane: which tools of a server are shown, and which are called.
//!
//! **Invariant:** what a server says of its tools is judged where it goes out, whatever the way: what is
//! stored is the server's own.
//! **Invariant:** with `block`, a tool is called only if its caller's own view of the server's list was
//! read, and has the tool as it was approved.

use std::sync::Arc;
use std::time::SystemTime;

use filters::acl::screen::Shown;
use filters::lock::Mode;
use filters::lock::book::{Before, Tools};
use filters::lock::definition::Definition;
use filters::lock::refused::{Cause, Locked};
use filters::lock::screen::{Lens, Seen};
use filters::mcp::call::Call;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;

use crate::gateway::exchange::Exchange;
use crate::gateway::inbound::Inbound;
use crate::gateway::{Ended, lists, passage};
use crate::state::live::Live;
use crate::state::session::Session;
use crate::state::snapshot::{FirstUse, Profile, Server};
use crate::upstream::catalog::{Catalog, Catalogs, Listed, Listing};

/// What looks at one server's tools.
#[derive(Clone)]
pub(super) struct Eye {
    live: Arc<Live>,
    server: Arc<str>,
    catalogs: Arc<Catalogs>,
    mode: Mode,
    first_use: FirstUse,
    /// In which era its words are shown.
    era: Era,
}

/// Whether anybody looks at a server's tools.
pub(super) fn is_on(exchange: &Exchange, server: &Server) -> bool {
    let policy = exchange.snapshot.tool_lock.as_ref();
    policy.is_some_and(|policy| policy.modes.contains_key(&*server.id))
}

/// Whether a message has to wait for [`admit`].
pub(super) fn is_asked(exchange: &Exchange, server: &Server, call: &Call<'_>) -> bool {
    is_on(exchange, server)
        && match call.method {
            Method::ToolsCall => true,
            Method::ToolsList => exchange.live.lock.tools(&server.id).is_none(),
            Method::Initialize
            | Method::Ping
            | Method::ServerDiscover
            | Method::PromptsList
            | Method::PromptsGet
            | Method::ResourcesList
            | Method::ResourcesTemplatesList
            | Method::ResourcesRead
            | Method::ResourcesSubscribe
            | Method::ResourcesUnsubscribe
            | Method::CompletionComplete
            | Method::LoggingSetLevel
            | Method::SubscriptionsListen
            | Method::Tasks
            | Method::Cancelled
            | Method::Notification
            | Method::Other => false,
        }
}

/// Makes sure that a message calls nothing but what was approved. `tool` is the tool as its server
/// calls it.
///
/// # Errors
/// The refusal of what was not.
pub(super) async fn admit(
    exchange: &Exchange,
    server: &Arc<Server>,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
    tool: Option<&str>,
) -> Result<(), Ended> {
    let Some(eye) = Eye::of(exchange, server) else {
        return Ok(());
    };
    let capabilities = lists::capabilities(inbound, client);
    let catalog = lists::catalog(server, &inbound.caller, &capabilities);
    let Some(tool) = tool.filter(|_| inbound.method == Method::ToolsCall) else {
        if eye.is_first() {
            eye.trust(&catalog.list(Kind::Tools).await).await;
        }
        return Ok(());
    };
    let Some(cause) = eye.check(&catalog, tool).await else {
        return Ok(());
    };
    passage::stay(server)?;
    let metrics = &exchange.live.metrics.tool_lock;
    metrics.count_refusal(&server.id, cause.label());
    if eye.mode != Mode::Block {
        return Ok(());
    }
    let locked = Locked::new(&server.id, tool, cause);
    Err(Refusal::ToolLocked(Box::new(locked)).into())
}

/// What looks at the tools of a profile's servers, in their order; empty where nobody does.
pub(super) fn eyes(exchange: &Exchange, profile: &Profile, kind: Kind) -> Vec<Option<Eye>> {
    if kind != Kind::Tools || exchange.snapshot.tool_lock.is_none() {
        return Vec::new();
    }
    let servers = profile.servers.iter();
    servers.map(|server| Eye::of(exchange, server)).collect()
}

impl Eye {
    /// What looks at a server's tools; nothing where nobody does.
    pub(super) fn of(exchange: &Exchange, server: &Server) -> Option<Self> {
        let policy = exchange.snapshot.tool_lock.as_ref()?;
        Some(Self {
            mode: *policy.modes.get(&*server.id)?,
            first_use: policy.first_use,
            live: Arc::clone(&exchange.live),
            server: Arc::clone(&server.id),
            catalogs: Arc::clone(&server.catalogs),
            era: exchange.outcome.era.unwrap_or(Era::Legacy),
        })
    }

    fn tools(&self) -> Option<Arc<Tools>> {
        self.live.lock.tools(&self.server)
    }

    /// Whether it hides anything, and does not only watch.
    pub(super) fn hides(&self) -> bool {
        self.mode == Mode::Block
    }

    /// An answer to `tools/list` as it is shown.
    pub(super) fn answer(&self, text: &str) -> Shown {
        let tools = self.tools();
        let lens = self.lens(tools.as_deref());
        lens.answer(text, |seen| self.overhear(&seen))
    }

    /// A message of which nobody knows what was asked, as it is shown.
    pub(super) fn message(&self, text: &str) -> Shown {
        let tools = self.tools();
        let lens = self.lens(tools.as_deref());
        lens.message(text, |seen| self.overhear(&seen))
    }

    /// Notes what passes by. What is new there is not in the lists yet that calls are judged by.
    fn overhear(&self, seen: &Seen<'_>) {
        if self.live.note_tool(&self.server, seen) {
            self.catalogs.nudge(Kind::Tools);
        }
    }

    fn lens<'t>(&self, tools: Option<&'t Tools>) -> Lens<'t> {
        Lens {
            tools,
            mode: self.mode,
            era: self.era,
        }
    }

    /// A list as a catalog has it, as it is shown: merged, it is translated later.
    pub(super) async fn shown(&self, listed: Listed) -> Listed {
        self.trust(&listed).await;
        let listing = listed.listing.as_ref().map(|listing| self.look(listing));
        Listed { listing, ..listed }
    }

    fn look(&self, listing: &Arc<Listing>) -> Arc<Listing> {
        let tools = self.tools();
        listing.under(tools.as_ref(), self.mode, |seen| {
            self.live.note_tool(&self.server, &seen);
        })
    }

    /// Why a tool is not to be called.
    async fn check(&self, catalog: &Arc<Catalog>, tool: &str) -> Option<Cause> {
        let listed = match self.mode {
            Mode::Off => return None,
            Mode::Warn => self.known(catalog)?,
            Mode::Block => catalog.list(Kind::Tools).await,
        };
        self.trust(&listed).await;
        let Some(listing) = listed.listing else {
            return Some(Cause::Unread);
        };
        self.look(&listing);
        let tools = self.tools();
        Cause::find(tools.as_deref(), tool, listing.fingerprint(tool))
    }

    /// The list as it is known; a call that passes anyway does not wait for it.
    fn known(&self, catalog: &Arc<Catalog>) -> Option<Listed> {
        let listing = catalog.known(Kind::Tools);
        if listing.is_none() {
            let (eye, catalog) = (self.clone(), Arc::clone(catalog));
            self.live.background.spawn(async move {
                let listed = catalog.list(Kind::Tools).await;
                eye.shown(listed).await;
            });
        }
        Some(Listed {
            listing: Some(listing?),
            failure: None,
        })
    }

    /// Whether this is the first that is seen of a server which is trusted at first.
    fn is_first(&self) -> bool {
        self.first_use == FirstUse::Trust && self.tools().is_none()
    }

    /// Approves all of a server of which nothing was approved yet, where that is configured.
    async fn trust(&self, listed: &Listed) {
        let Some(listing) = listed.listing.as_ref().filter(|_| self.is_first()) else {
            return;
        };
        // Of two definitions of one name neither is.
        let is_clear = |one: &Definition| matches!(listing.fingerprint(&one.name), Some(Ok(_)));
        let items = listing.items.iter();
        let read = items.filter_map(|item| Definition::read(item).ok());
        let definitions: Vec<Definition> = read.filter(is_clear).collect();
        let server = Arc::clone(&self.server);
        let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let amended = self.live.lock.amend(move |book| {
            if book.server(&server).is_some() {
                // Another gateway, or another request, was first.
                return Err(());
            }
            let tools = book.open(&server);
            for one in &definitions {
                tools.approve(one, &at, Before::Replaced).map_err(|_| ())?;
            }
            Ok(definitions.len())
        });
        match amended.await {
            Ok(Ok(n_tools)) => {
                tracing::info!(server.id = %self.server, n_tools, "Server's tools are approved as first seen");
            }
            Ok(Err(())) => {}
            Err(error) => {
                tracing::error!(server.id = %self.server, %error, "Server's tools cannot be approved");
            }
        }
    }
}
