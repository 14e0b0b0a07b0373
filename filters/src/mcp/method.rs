//! The methods of MCP, of every revision.

/// A method by name; anything that MCP does not define is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `initialize` (legacy)
    Initialize,
    /// `ping` (legacy)
    Ping,
    /// `server/discover` (modern)
    ServerDiscover,
    /// `tools/list`
    ToolsList,
    /// `tools/call`
    ToolsCall,
    /// `prompts/list`
    PromptsList,
    /// `prompts/get`
    PromptsGet,
    /// `resources/list`
    ResourcesList,
    /// `resources/templates/list`
    ResourcesTemplatesList,
    /// `resources/read`
    ResourcesRead,
    /// `resources/subscribe` (legacy)
    ResourcesSubscribe,
    /// `resources/unsubscribe` (legacy)
    ResourcesUnsubscribe,
    /// `completion/complete`
    CompletionComplete,
    /// `logging/setLevel` (legacy)
    LoggingSetLevel,
    /// `subscriptions/listen` (modern)
    SubscriptionsListen,
    /// `tasks/get`, `tasks/update`, `tasks/cancel` (extension), `tasks/result`, `tasks/list` (2025-11-25)
    Tasks,
    /// `notifications/cancelled`
    Cancelled,
    /// Every other `notifications/…`
    Notification,
    /// Not defined by MCP: an extension's, or a mistake.
    Other,
}

impl Method {
    /// Reads a method's name.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name {
            "initialize" => Self::Initialize,
            "ping" => Self::Ping,
            "server/discover" => Self::ServerDiscover,
            "tools/list" => Self::ToolsList,
            "tools/call" => Self::ToolsCall,
            "prompts/list" => Self::PromptsList,
            "prompts/get" => Self::PromptsGet,
            "resources/list" => Self::ResourcesList,
            "resources/templates/list" => Self::ResourcesTemplatesList,
            "resources/read" => Self::ResourcesRead,
            "resources/subscribe" => Self::ResourcesSubscribe,
            "resources/unsubscribe" => Self::ResourcesUnsubscribe,
            "completion/complete" => Self::CompletionComplete,
            "logging/setLevel" => Self::LoggingSetLevel,
            "subscriptions/listen" => Self::SubscriptionsListen,
            "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" | "tasks/list" => {
                Self::Tasks
            }
            "notifications/cancelled" => Self::Cancelled,
            other if other.starts_with("notifications/") => Self::Notification,
            _ => Self::Other,
        }
    }

    /// The metric label: a closed set, whatever clients send.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::ServerDiscover => "server/discover",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
            Self::PromptsList => "prompts/list",
            Self::PromptsGet => "prompts/get",
            Self::ResourcesList => "resources/list",
            Self::ResourcesTemplatesList => "resources/templates/list",
            Self::ResourcesRead => "resources/read",
            Self::ResourcesSubscribe => "resources/subscribe",
            Self::ResourcesUnsubscribe => "resources/unsubscribe",
            Self::CompletionComplete => "completion/complete",
            Self::LoggingSetLevel => "logging/setLevel",
            Self::SubscriptionsListen => "subscriptions/listen",
            Self::Tasks => "tasks",
            Self::Cancelled => "notifications/cancelled",
            Self::Notification => "notifications",
            Self::Other => "other",
        }
    }

    /// Whether the tasks extension of 2026-07-28 has a method of this name: [`Self::Tasks`] are those
    /// of 2025-11-25, too.
    #[must_use]
    pub fn is_of_tasks_extension(name: &str) -> bool {
        matches!(name, "tasks/get" | "tasks/update" | "tasks/cancel")
    }

    /// Whether MCP defines it as something that is asked, and answered: without an id it is no message.
    #[must_use]
    pub fn is_request(self) -> bool {
        match self {
            Self::Initialize
            | Self::Ping
            | Self::ServerDiscover
            | Self::ToolsList
            | Self::ToolsCall
            | Self::PromptsList
            | Self::PromptsGet
            | Self::ResourcesList
            | Self::ResourcesTemplatesList
            | Self::ResourcesRead
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe
            | Self::CompletionComplete
            | Self::LoggingSetLevel
            | Self::SubscriptionsListen
            | Self::Tasks => true,
            Self::Cancelled | Self::Notification | Self::Other => false,
        }
    }

    /// Whether its params name what it is about, so that it matters how they are read.
    #[must_use]
    pub fn names_something(self) -> bool {
        match self {
            Self::ToolsCall
            | Self::PromptsGet
            | Self::ResourcesRead
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe
            | Self::CompletionComplete
            | Self::SubscriptionsListen
            | Self::Tasks => true,
            Self::Initialize
            | Self::Ping
            | Self::ServerDiscover
            | Self::ToolsList
            | Self::PromptsList
            | Self::ResourcesList
            | Self::ResourcesTemplatesList
            | Self::LoggingSetLevel
            | Self::Cancelled
            | Self::Notification
            | Self::Other => false,
        }
    }

    /// Whether what it names is a resource, by its URI.
    #[must_use]
    pub fn names_resource(self) -> bool {
        matches!(
            self,
            Self::ResourcesRead | Self::ResourcesSubscribe | Self::ResourcesUnsubscribe
        )
    }

    /// Whether 2026-07-28 removed it: a modern request for it is answered 404 / -32601.
    #[must_use]
    pub fn is_removed_from_modern(self) -> bool {
        match self {
            Self::Initialize
            | Self::Ping
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe
            | Self::LoggingSetLevel => true,
            Self::ServerDiscover
            | Self::ToolsList
            | Self::ToolsCall
            | Self::PromptsList
            | Self::PromptsGet
            | Self::ResourcesList
            | Self::ResourcesTemplatesList
            | Self::ResourcesRead
            | Self::CompletionComplete
            | Self::SubscriptionsListen
            | Self::Tasks
            | Self::Cancelled
            | Self::Notification
            | Self::Other => false,
        }
    }

    /// Whether repeating it cannot change anything upstream, so that a request lost on a reused
    /// connection may be sent once more. `tools/call` is never among them: a tool may write.
    #[must_use]
    pub fn is_safe_to_repeat(self) -> bool {
        match self {
            Self::Ping
            | Self::ServerDiscover
            | Self::ToolsList
            | Self::PromptsList
            | Self::PromptsGet
            | Self::ResourcesList
            | Self::ResourcesTemplatesList
            | Self::ResourcesRead
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe
            | Self::CompletionComplete
            | Self::LoggingSetLevel
            | Self::SubscriptionsListen => true,
            Self::Initialize
            | Self::ToolsCall
            | Self::Tasks
            | Self::Cancelled
            | Self::Notification
            | Self::Other => false,
        }
    }
}
