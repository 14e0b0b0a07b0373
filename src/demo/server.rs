//! The handler rmcp calls: one per legacy session, one per request in the modern era. All of them
//! share one [`World`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::router::{prompt::PromptRouter, tool::ToolRouter},
    model::{
        CacheScope, CompleteRequestParams, CompleteResult, Implementation,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, RequestStateCodec,
        ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, UnsubscribeRequestParams,
    },
    prompt_handler,
    service::{NotificationContext, RequestContext, SubscriptionContext},
    tool_handler,
};
use tokio_util::sync::CancellationToken;

use super::{Error, audience::Audience, caller::Caller, notes::Notes, prompts, resources};

/// How long a client may keep what does not change, in milliseconds.
pub(super) const LIST_TTL_MS: u64 = 300_000;
const KEY_BYTES: usize = RequestStateCodec::MIN_KEY_LENGTH;

/// What the whole process shares.
pub(super) struct World {
    pub(super) notes: Notes,
    pub(super) audience: Audience,
    /// Stdio: its one client has closed stdin. HTTP: never, each client leaves by itself.
    pub(super) client_gone: CancellationToken,
    tools: ToolRouter<Server>,
    prompts: PromptRouter<Server>,
    seal: RequestStateCodec,
    last_session: AtomicU64,
}

impl World {
    /// An empty world with a key of its own.
    pub(super) fn new() -> Result<Self, Error> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(Error::Randomness)?;
        Ok(Self {
            notes: Notes::default(),
            audience: Audience::default(),
            client_gone: CancellationToken::new(),
            tools: Server::tool_router(),
            prompts: Server::prompt_router(),
            seal: RequestStateCodec::new_unchecked(key),
            last_session: AtomicU64::new(0),
        })
    }
}

/// See the module.
pub(super) struct Server {
    world: Arc<World>,
    session: u64,
    level: Mutex<LoggingLevel>,
}

impl Server {
    pub(super) fn new(world: Arc<World>) -> Self {
        let session = world.last_session.fetch_add(1, Ordering::Relaxed);
        Self {
            world,
            session,
            level: Mutex::new(LoggingLevel::Info),
        }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    pub(super) fn caller<'a>(&self, request: &'a RequestContext<RoleServer>) -> Caller<'a> {
        Caller::new(request, &self.level)
    }

    /// State for the client to carry, proof against its changes.
    pub(super) fn seal(&self, subject: &str) -> String {
        self.world.seal.seal(subject.as_bytes())
    }

    /// Refuses state that we did not seal, or sealed for something else.
    pub(super) fn check_seal(&self, sealed: &str, subject: &str) -> Result<(), ErrorData> {
        match self.world.seal.open(sealed) {
            Ok(opened) if opened == subject.as_bytes() => Ok(()),
            Ok(_) | Err(_) => Err(ErrorData::invalid_params(
                "the requestState is not from this call",
                None,
            )),
        }
    }
}

#[tool_handler(router = self.world.tools)]
#[prompt_handler(router = self.world.prompts)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_tools()
            .build();
        let name = Implementation::new("conduit-demo", env!("CARGO_PKG_VERSION"))
            .with_title("Conduit demo");
        ServerConfig::new(capabilities)
            .with_server_info(name)
            .with_instructions(
                "A demo. `remember` and `forget` change the notes; `demo://notes` shows them all.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.world.tools.list_all())
            .with_ttl_ms(LIST_TTL_MS)
            .with_cache_scope(CacheScope::Public))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        prompts::complete(&request, &self.world.notes)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        *self.level.lock() = request.level;
        Ok(())
    }

    // === resources ===

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(
            ListResourcesResult::with_all_items(resources::all(&self.world.notes))
                .with_ttl_ms(0)
                .with_cache_scope(CacheScope::Public),
        )
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(
            ListResourceTemplatesResult::with_all_items(resources::templates())
                .with_ttl_ms(LIST_TTL_MS)
                .with_cache_scope(CacheScope::Public),
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri, &self.world.notes).map(Into::into)
    }

    // === changes ===

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.world.audience.join(self.session, context.peer);
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.world
            .audience
            .subscribe(self.session, request.uri, context.peer)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.world.audience.unsubscribe(self.session, request.uri);
        Ok(())
    }

    /// rmcp cuts this down to what `get_info` advertises.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, stream: SubscriptionContext) -> Result<(), ErrorData> {
        let client_gone = &self.world.client_gone;
        self.world.audience.seat(stream, client_gone).await
    }
}
