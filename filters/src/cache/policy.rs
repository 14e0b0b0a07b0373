//! What the operator of a gateway lets it keep of one server.
//!
//! **Invariant:** calls of a tool are kept only if the tool says that it reads, or if the operator
//! named that tool; never if it says that it destroys. A tool's other hints allow nothing: repeating
//! a write from a cache loses it.
//!
//! **Invariant:** what a tool invalidates does not depend on whether its own calls are kept.

use core::time::Duration;
use std::collections::HashMap;

use crate::cache::admit::Class;
use crate::cache::admit::Scope;
use crate::cache::freshness::Lifetime;
use crate::cache::freshness::Staleness;
use crate::cache::invalidate::Reach;
use crate::glob::Glob;
use crate::json::canonical::ignored::Ignored;
use crate::json::object::Object;
use crate::mcp::method::Method;

/// How long calls of a tool that reads are kept where the operator wrote a `cache` section without a
/// time, as mcp-conduit has it.
pub const CALL_TTL_DEFAULT: Duration = Duration::from_secs(300);

/// What may be kept of one server.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether anything is.
    pub is_enabled: bool,
    /// Whether the server has a `cache` section at all. Without one, no call is kept.
    pub is_written: bool,
    /// Who shares an answer that its server does not call public or private.
    pub share: Share,
    /// How long calls of tools that read are kept; zero for not at all, nothing where it is not
    /// written.
    pub default_ttl: Option<Duration>,
    /// How long lists are kept at least.
    pub list_ttl: Option<Duration>,
    /// How long calls and resources are of use once they are stale.
    pub calls: Staleness,
    /// How long lists are.
    pub lists: Staleness,
    /// What differs for single tools, by name.
    pub tools: HashMap<String, ToolRules>,
}

/// Who shares an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Nobody: it is its authorization context's.
    #[default]
    Private,
    /// All clients of a tenant.
    Tenant,
    /// Everyone who may make the call.
    Public,
}

impl Share {
    const ALL: [Self; 3] = [Self::Private, Self::Tenant, Self::Public];

    /// Its name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Tenant => "tenant",
            Self::Public => "public",
        }
    }

    /// The share of that name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|share| share.label() == label)
    }
}

/// What the operator says of one tool.
#[derive(Clone, Debug, Default)]
pub struct ToolRules {
    /// How long its calls are kept; zero for not at all.
    pub ttl: Option<Duration>,
    /// Which of its arguments do not count.
    pub ignored: Ignored,
    /// What a call of it makes stale.
    pub invalidates: Vec<Pattern>,
    /// By which names others may invalidate its calls.
    pub tags: Vec<String>,
    /// How long its calls are of use once they are stale, where that differs from the server's.
    pub staleness: Option<Staleness>,
}

/// What an `invalidates` entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Tools by name.
    Tools(Glob),
    /// `resource:…`: resources by URI.
    Resources(Glob),
    /// `tag:…`: tools by tag.
    Tag(String),
}

/// What a tool says of itself, as far as it is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// `readOnlyHint: true`
    pub read_only: bool,
    /// `destructiveHint: true`
    pub destructive: bool,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPlan<'p> {
    /// It is sent, and its answer is not kept.
    Skip,
    /// It may be answered from the cache, and its answer kept.
    Use {
        /// For how long.
        lifetime: Lifetime,
        /// Which arguments do not count.
        ignored: &'p Ignored,
    },
}

// === impl Policy ===

impl Policy {
    /// What becomes of a call of `tool`, which says `annotations` of itself. One that is not known
    /// says nothing.
    #[must_use]
    pub fn call(&self, tool: &str, annotations: Option<&Annotations>) -> CallPlan<'_> {
        let says = annotations.copied().unwrap_or_default();
        let rules = self.tools.get(tool);
        if !self.is_enabled || says.destructive {
            return CallPlan::Skip;
        }
        let ttl = match rules.and_then(|rules| rules.ttl) {
            Some(ttl) => ttl,
            None if says.read_only => self.read_ttl(),
            None => Duration::ZERO,
        };
        if ttl.is_zero() {
            return CallPlan::Skip;
        }
        let staleness = rules.and_then(|rules| rules.staleness);
        CallPlan::Use {
            lifetime: Lifetime::new(ttl, staleness.unwrap_or(self.calls)),
            ignored: rules.map_or(Ignored::NONE, |rules| &rules.ignored),
        }
    }

    /// How long calls of a tool that reads are kept, unless it is named.
    fn read_ttl(&self) -> Duration {
        match self.default_ttl {
            Some(ttl) => ttl,
            None if self.is_written => CALL_TTL_DEFAULT,
            None => Duration::ZERO,
        }
    }

    /// What a call of `tool` makes stale once it was really sent; mostly nothing.
    #[must_use]
    pub fn effects(&self, tool: &str, annotations: Option<&Annotations>) -> Option<Reach> {
        if !self.is_enabled {
            return None;
        }
        match self.tools.get(tool) {
            Some(rules) if !rules.invalidates.is_empty() => self.named(&rules.invalidates),
            Some(_) | None if annotations.is_some_and(|says| says.destructive) => {
                let contents = [Method::ToolsCall, Method::ResourcesRead];
                Reach::union(contents.map(Reach::Method))
            }
            Some(_) | None => None,
        }
    }

    fn named(&self, patterns: &[Pattern]) -> Option<Reach> {
        let (mut tools, mut resources) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match pattern {
                Pattern::Tools(glob) => tools.push(glob.clone()),
                Pattern::Resources(glob) => resources.push(glob.clone()),
                Pattern::Tag(_) => {}
            }
        }
        let has_tag = |rules: &ToolRules| {
            let mut named = patterns.iter();
            named.any(|pattern| match pattern {
                Pattern::Tag(tag) => rules.tags.contains(tag),
                Pattern::Tools(_) | Pattern::Resources(_) => false,
            })
        };
        let mut tagged: Vec<_> = self
            .tools
            .iter()
            .filter(|(_, rules)| has_tag(rules))
            .collect();
        tagged.sort_unstable_by_key(|(name, _)| *name);
        let mut parts = Vec::with_capacity(2 + tagged.len());
        if !tools.is_empty() {
            parts.push(Reach::Tools(tools));
        }
        if !resources.is_empty() {
            parts.push(Reach::Resources(resources));
        }
        parts.extend(tagged.iter().map(|(name, _)| Reach::Tool((*name).clone())));
        Reach::union(parts)
    }

    /// Who shares an answer to `method` whose `cacheScope` is `scope`. What a server calls private
    /// stays it, whatever the operator says. That a call is public is the operator's to say: the
    /// protocol gives servers no word for it.
    #[must_use]
    pub fn share(&self, method: Method, scope: Option<Scope>) -> Share {
        match (Class::of(method), scope) {
            (None, _) | (Some(_), Some(Scope::Private)) => Share::Private,
            (Some(Class::Catalog | Class::Read), Some(Scope::Public)) => Share::Public,
            (Some(Class::Call), Some(Scope::Public)) | (Some(_), None) => self.share,
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// Reads an `invalidates` entry; every text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(tag) = text.strip_prefix("tag:") {
            return Self::Tag(tag.to_owned());
        }
        match text.strip_prefix("resource:") {
            Some(uri) => Self::Resources(Glob::new(uri)),
            None => Self::Tools(Glob::new(text)),
        }
    }
}

// === impl Annotations ===

impl Annotations {
    /// Reads what a tool, an item of `tools/list`, says of itself. Only what it says counts, not
    /// what the protocol has for what it leaves out: `destructiveHint` would be true for most.
    #[must_use]
    pub fn read(tool: &str) -> Self {
        let tool = Object::read(tool).unwrap_or_default();
        let annotations = tool.get("annotations").and_then(Object::read);
        let says = annotations.unwrap_or_default();
        Self {
            read_only: says.get("readOnlyHint") == Some("true"),
            destructive: says.get("destructiveHint") == Some("true"),
        }
    }
}

#[cfg(test)]
mod tests;
