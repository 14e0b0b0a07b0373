//! What a rule looks at, and whose.

use crate::glob::Glob;
use crate::mcp::method::Method;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The arguments of tool calls.
    Calls,
    /// The arguments of prompts.
    Prompts,
    /// The URIs of resources that are read or subscribed to.
    Resources,
    /// What servers ask of clients' models, and what these answer.
    Sampling,
    /// What servers ask of users, and what these answer.
    Elicitation,
    /// The results of calls, prompts and resources.
    Results,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Calls,
        Self::Prompts,
        Self::Resources,
        Self::Sampling,
        Self::Elicitation,
        Self::Results,
    ];

    /// What the requests of a method are.
    #[must_use]
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::ToolsCall => Some(Self::Calls),
            Method::PromptsGet => Some(Self::Prompts),
            Method::ResourcesRead | Method::ResourcesSubscribe => Some(Self::Resources),
            Method::Initialize
            | Method::Ping
            | Method::ServerDiscover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourcesTemplatesList
            | Method::ResourcesUnsubscribe
            | Method::CompletionComplete
            | Method::LoggingSetLevel
            | Method::SubscriptionsListen
            | Method::Tasks
            | Method::Cancelled
            | Method::Notification
            | Method::Other => None,
        }
    }

    /// What a server asks of a client by a method of this name.
    #[must_use]
    pub fn asked(method: &str) -> Option<Self> {
        match method {
            "sampling/createMessage" => Some(Self::Sampling),
            "elicitation/create" => Some(Self::Elicitation),
            _ => None,
        }
    }

    /// As the configuration spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Results => "results",
        }
    }

    /// The kind of that spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == text)
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// Some kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// With this one.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | kind.bit())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

/// Names that are meant; nothing written means all.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Option<Vec<Glob>>);

impl Names {
    pub(super) fn compile(patterns: Option<&[String]>) -> Self {
        Self(patterns.map(|patterns| patterns.iter().map(|text| Glob::new(text)).collect()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match &self.0 {
            None => true,
            Some(globs) => globs.iter().any(|glob| glob.matches(name)),
        }
    }
}
