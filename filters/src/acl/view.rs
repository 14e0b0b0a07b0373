//! What the rules say of one caller at one server.
//!
//! **Invariant:** nothing is allocated while something is decided, but for URIs that have more than
//! one spelling and for resource templates.

use std::sync::Arc;

use crate::acl::denial::{Act, Cause, Denial};
use crate::acl::explain::{List, Witness};
use crate::acl::names::Names;
use crate::acl::need::Need;
use crate::acl::spec::{self, Effect, Who};
use crate::acl::{Rules, template, uri};
use crate::identity::Principal;
use crate::mcp::list::Kind;
use crate::refusal::Refusal;

/// A thing that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A tool, by name.
    Tool(&'a str),
    /// A prompt, by name.
    Prompt(&'a str),
    /// A resource, by URI.
    Resource(&'a str),
    /// A resource template, by its text: it stands for what it may become.
    Template(&'a str),
}

impl<'a> Item<'a> {
    /// The item of a list.
    #[must_use]
    pub fn of(kind: Kind, key: &'a str) -> Self {
        match kind {
            Kind::Tools => Self::Tool(key),
            Kind::Prompts => Self::Prompt(key),
            Kind::Resources => Self::Resource(key),
            Kind::Templates => Self::Template(key),
        }
    }

    fn name(self) -> &'a str {
        match self {
            Self::Tool(name) | Self::Prompt(name) | Self::Resource(name) | Self::Template(name) => {
                name
            }
        }
    }
}

/// What was decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it is permitted.
    pub effect: Effect,
    /// The policy that matched the caller.
    pub policy: Option<&'a str>,
    /// The rule of it that decided; without one, the default did.
    pub rule: Option<Hit<'a>>,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// In which list of the policy it is.
    pub list: List,
    /// Where in it, from 0.
    pub index: usize,
    /// The pattern that matched.
    pub pattern: &'a str,
}

/// What the rules say of one caller at one server.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    default: Effect,
    policy: Option<&'a Policy>,
    server: &'a str,
}

/// Why something is not permitted.
pub(super) enum Denied {
    /// The caller may not know of the server.
    Invisible(Denial),
    /// It names nothing, though it should: what is missing.
    Unnamed(&'static str),
    /// The rules deny it.
    Item(Denial),
}

impl<'a> View<'a> {
    pub(super) fn find(rules: &'a Rules, principal: &Principal, server: &'a str) -> Self {
        Self::found(rules, principal, server, &mut ())
    }

    pub(super) fn found(
        rules: &'a Rules,
        principal: &Principal,
        server: &'a str,
        witness: &mut impl Witness,
    ) -> Self {
        let Some(on) = &rules.on else {
            return Self {
                default: Effect::Allow,
                policy: None,
                server,
            };
        };
        let policy = on.policies.iter().enumerate().find(|(index, policy)| {
            let is_match = policy.is_for(principal);
            witness.policy(*index, policy, is_match);
            is_match
        });
        Self {
            default: on.default,
            policy: policy.map(|(_, policy)| policy),
            server,
        }
    }

    /// Decides one thing.
    #[must_use]
    pub fn decide(&self, item: Item<'_>) -> Decision<'a> {
        self.decided(item, &mut ())
    }

    /// Whether one thing is permitted.
    #[must_use]
    pub fn permits(&self, item: Item<'_>) -> bool {
        self.decide(item).effect == Effect::Allow
    }

    pub(super) fn decided(&self, item: Item<'_>, witness: &mut impl Witness) -> Decision<'a> {
        let Some(policy) = self.policy else {
            return self.by_default(None);
        };
        let subject = Subject::of(item);
        for (list, rules, effect) in [
            (List::Deny, &policy.deny, Effect::Deny),
            (List::Allow, &policy.allow, Effect::Allow),
        ] {
            // Another spelling may be allowed by another rule.
            let is_allowed_otherwise = || {
                let mut rules = self.here(rules);
                rules.any(|(_, rule)| rule.allows_otherwise(&subject))
            };
            for (index, rule) in rules.iter().enumerate() {
                let pattern = if rule.server.matches(self.server) {
                    match effect {
                        Effect::Deny => rule.denies(&subject),
                        Effect::Allow => rule.allows(&subject).filter(|_| is_allowed_otherwise()),
                    }
                } else {
                    None
                };
                witness.rule(list, index, rule, self.server, pattern);
                if let Some(pattern) = pattern {
                    return Decision {
                        effect,
                        policy: Some(&policy.name),
                        rule: Some(Hit {
                            list,
                            index,
                            pattern,
                        }),
                    };
                }
            }
        }
        self.by_default(Some(&policy.name))
    }

    fn by_default(&self, policy: Option<&'a str>) -> Decision<'a> {
        Decision {
            effect: self.default,
            policy,
            rule: None,
        }
    }

    /// Whether anything may be permitted there: only what certainly is nothing is none.
    #[must_use]
    pub fn is_any(&self) -> bool {
        [Kind::Tools, Kind::Prompts, Kind::Resources]
            .into_iter()
            .any(|kind| self.is_any_of(kind))
    }

    /// Whether anything of a kind may be permitted there.
    #[must_use]
    pub fn is_any_of(&self, kind: Kind) -> bool {
        let Some(policy) = self.policy else {
            return self.default == Effect::Allow;
        };
        let names = |rules: &'a [Rule]| {
            self.here(rules)
                .filter_map(move |(_, rule)| rule.names(kind))
        };
        if names(&policy.deny).any(Names::has_all) {
            return false;
        }
        let is_left = |allowed: &str| {
            let mut denied = names(&policy.deny).flat_map(Names::patterns);
            !denied.any(|denied| template::contains(denied, allowed))
        };
        self.default == Effect::Allow
            || names(&policy.allow).any(|names| names.patterns().any(is_left))
    }

    /// Whether everything of a kind is certainly permitted there.
    #[must_use]
    pub fn is_all_of(&self, kind: Kind) -> bool {
        let Some(policy) = self.policy else {
            return self.default == Effect::Allow;
        };
        let mut denied = self.here(&policy.deny);
        let is_denied = denied.any(|(_, rule)| rule.names(kind).is_some());
        let mut allowed = self.here(&policy.allow);
        let is_allowed = |rule: &Rule| rule.names(kind).is_some_and(Names::has_all);
        !is_denied && (self.default == Effect::Allow || allowed.any(|(_, rule)| is_allowed(rule)))
    }

    /// Whether everything is certainly permitted there.
    #[must_use]
    pub fn is_all(&self) -> bool {
        [Kind::Tools, Kind::Prompts, Kind::Resources]
            .into_iter()
            .all(|kind| self.is_all_of(kind))
    }

    /// The rules that are about this server.
    fn here<'p>(&self, rules: &'p [Rule]) -> impl Iterator<Item = (usize, &'p Rule)> + use<'a, 'p> {
        let server = self.server;
        let rules = rules.iter().enumerate();
        rules.filter(move |(_, rule)| rule.server.matches(server))
    }

    /// Whether the caller may do what a message needs.
    pub(super) fn grants(&self, principal: &Principal, need: &Need<'_>) -> Result<(), Denied> {
        let deny = |act, name: &str, decision: Decision<'_>| {
            Err(Denied::Item(self.denial(principal, act, name, decision)))
        };
        let default = self.by_default(self.policy.map(|policy| &*policy.name));
        if !self.is_any() {
            let denial = self.denial(principal, Act::Know, "", default);
            return Err(Denied::Invisible(denial));
        }
        match need {
            Need::Server => Ok(()),
            Need::Item(item) => {
                let item = item.as_item();
                match self.decide(item) {
                    Decision {
                        effect: Effect::Allow,
                        ..
                    } => Ok(()),
                    decision => deny(Act::of(item), item.name(), decision),
                }
            }
            Need::Listen { uris, .. } if !uris.is_empty() => {
                let mut decided = uris
                    .iter()
                    .map(|uri| (uri, self.decide(Item::Resource(uri))));
                match decided.find(|(_, decision)| decision.effect == Effect::Deny) {
                    Some((uri, decision)) => deny(Act::Read, uri, decision),
                    None => Ok(()),
                }
            }
            Need::Task
            | Need::Listen {
                has_tasks: true, ..
            } if !self.is_any_of(Kind::Tools) => deny(Act::Task, "", default),
            Need::Task | Need::Listen { .. } => Ok(()),
            // Its server says what is wrong with what names nothing.
            Need::Everything(_) | Need::Unnamed(_) if self.is_all() => Ok(()),
            Need::Everything(method) => deny(Act::Send, method, default),
            Need::Unnamed(missing) => Err(Denied::Unnamed(missing)),
        }
    }

    fn denial(
        &self,
        principal: &Principal,
        act: Act,
        name: &str,
        decision: Decision<'_>,
    ) -> Denial {
        Denial {
            client: Arc::clone(&principal.client),
            server: self.server.into(),
            act,
            name: name.into(),
            policy: decision.policy.map(Into::into),
            cause: match decision.rule {
                Some(hit) => Cause::Rule(hit.list, hit.index),
                None => Cause::Default,
            },
        }
    }
}

impl Denied {
    pub(super) fn into_refusal(self, server: &str) -> Refusal {
        match self {
            Self::Invisible(_) => Refusal::ServerUnknown {
                server: server.to_owned(),
            },
            Self::Unnamed(what) => Refusal::ParamsInvalid { what },
            Self::Item(denial) => Refusal::AccessDenied(Box::new(denial)),
        }
    }

    pub(super) fn into_denial(self) -> Option<Denial> {
        match self {
            Self::Invisible(denial) | Self::Item(denial) => Some(denial),
            Self::Unnamed(_) => None,
        }
    }
}

// === what is compiled ===

/// What some callers may do.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) name: Box<str>,
    clients: Option<Names>,
    tenants: Option<Names>,
    roles: Option<Names>,
    scopes: Option<Names>,
    allow: Box<[Rule]>,
    deny: Box<[Rule]>,
}

impl Policy {
    pub(super) fn compile(spec: &spec::Policy) -> Self {
        let names = |written: &Option<Vec<String>>| written.as_ref().map(Names::compile);
        let Who {
            clients,
            tenants,
            roles,
            scopes,
        } = &spec.who;
        Self {
            name: spec.name.as_str().into(),
            clients: names(clients),
            tenants: names(tenants),
            roles: names(roles),
            scopes: names(scopes),
            allow: spec.allow.iter().map(Rule::compile).collect(),
            deny: spec.deny.iter().map(Rule::compile).collect(),
        }
    }

    fn is_for(&self, principal: &Principal) -> bool {
        let has =
            |names: &Names, held: &[Arc<str>]| held.iter().any(|one| names.find(one).is_some());
        let tenant = principal.tenant.as_slice();
        let is_one = |names: &Option<Names>, held: &[Arc<str>]| {
            names.as_ref().is_none_or(|names| has(names, held))
        };
        is_one(&self.clients, std::slice::from_ref(&principal.client))
            && is_one(&self.tenants, tenant)
            && is_one(&self.roles, &principal.roles)
            && is_one(&self.scopes, &principal.scopes)
    }
}

/// Some of what some servers have.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) server: crate::glob::Glob,
    tools: Option<Names>,
    prompts: Option<Names>,
    resources: Option<Uris>,
}

/// Patterns of URIs, in both spellings.
#[derive(Clone, Debug)]
struct Uris {
    written: Names,
    canonical: Names,
}

impl Uris {
    fn compile<T: AsRef<str>>(patterns: &[T]) -> Self {
        let canonical = patterns
            .iter()
            .map(|pattern| uri::canonical_pattern(pattern.as_ref()));
        Self {
            canonical: Names::compile(canonical),
            written: Names::compile(patterns),
        }
    }
}

/// An item with its other spelling.
struct Subject<'a> {
    item: Item<'a>,
    canonical: Option<String>,
}

impl<'a> Subject<'a> {
    fn of(item: Item<'a>) -> Self {
        let canonical = match item {
            Item::Resource(uri) => uri::canonical(uri),
            Item::Tool(_) | Item::Prompt(_) | Item::Template(_) => None,
        };
        Self { item, canonical }
    }
}

impl Rule {
    fn compile(spec: &spec::Rule) -> Self {
        let names = |written: &Option<Vec<String>>| written.as_ref().map(Names::compile);
        let is_whole = spec.is_of_whole_servers();
        let resources = spec.resources.as_deref().map(Uris::compile);
        Self {
            server: crate::glob::Glob::new(&spec.server),
            tools: names(&spec.tools),
            prompts: names(&spec.prompts).or_else(|| is_whole.then(|| Names::compile(["*"]))),
            resources: resources.or_else(|| is_whole.then(|| Uris::compile(&["*"]))),
        }
    }

    /// What it says of a kind; nothing where it says nothing.
    fn names(&self, kind: Kind) -> Option<&Names> {
        let names = match kind {
            Kind::Tools => self.tools.as_ref(),
            Kind::Prompts => self.prompts.as_ref(),
            Kind::Resources | Kind::Templates => self.resources.as_ref().map(|uris| &uris.written),
        };
        names.filter(|names| names.patterns().next().is_some())
    }

    /// The pattern by which it denies an item: any spelling of it will do.
    fn denies(&self, subject: &Subject<'_>) -> Option<&str> {
        match subject.item {
            Item::Tool(name) => self.tools.as_ref()?.find(name),
            Item::Prompt(name) => self.prompts.as_ref()?.find(name),
            Item::Resource(uri) => {
                let uris = self.resources.as_ref()?;
                let canonical = subject.canonical.as_deref().unwrap_or(uri);
                let found = uris.written.find(uri);
                found.or_else(|| uris.canonical.find(canonical))
            }
            Item::Template(text) => {
                let mut patterns = self.resources.as_ref()?.written.patterns();
                patterns.find(|pattern| template::covers(pattern, text))
            }
        }
    }

    /// The pattern by which it allows an item as it is written.
    fn allows(&self, subject: &Subject<'_>) -> Option<&str> {
        match subject.item {
            Item::Tool(name) => self.tools.as_ref()?.find(name),
            Item::Prompt(name) => self.prompts.as_ref()?.find(name),
            Item::Resource(uri) => self.resources.as_ref()?.written.find(uri),
            Item::Template(text) => {
                let mut patterns = self.resources.as_ref()?.written.patterns();
                patterns.find(|pattern| template::overlaps(pattern, text))
            }
        }
    }

    /// Whether it allows an item as it may be read, too.
    fn allows_otherwise(&self, subject: &Subject<'_>) -> bool {
        let Some(canonical) = &subject.canonical else {
            return true;
        };
        let uris = self.resources.as_ref();
        uris.is_some_and(|uris| uris.canonical.find(canonical).is_some())
    }

    /// The servers that it is about, as written.
    pub(super) fn server(&self) -> &str {
        self.server.as_str()
    }
}
