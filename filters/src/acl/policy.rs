//! Policies, ready to be asked.

use std::sync::Arc;

use crate::acl::names::Names;
use crate::acl::spec::{self, Who};
use crate::acl::template;
use crate::acl::view::Item;
use crate::glob::Glob;
use crate::identity::Principal;
use crate::mcp::list::Kind;
use crate::uri::{self, Readings};

/// What some callers may do.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) name: Box<str>,
    clients: Option<Names>,
    tenants: Option<Names>,
    roles: Option<Names>,
    scopes: Option<Names>,
    pub(super) allow: Box<[Rule]>,
    pub(super) deny: Box<[Rule]>,
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
        let deny: Box<[Rule]> = spec.deny.iter().map(Rule::compile).collect();
        let mut allow: Box<[Rule]> = spec.allow.iter().map(Rule::compile).collect();
        for rule in &mut allow {
            rule.left = LEFT.map(|kind| rule.is_left_by(&deny, kind));
        }
        Self {
            name: spec.name.as_str().into(),
            clients: names(clients),
            tenants: names(tenants),
            roles: names(roles),
            scopes: names(scopes),
            allow,
            deny,
        }
    }

    /// Whether it is for a caller.
    pub(super) fn is_for(&self, principal: &Principal) -> bool {
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
    pub(super) server: Glob,
    tools: Option<Names>,
    prompts: Option<Names>,
    resources: Option<Uris>,
    /// Whether it allows something of each of [`LEFT`] that no rule of its policy denies, at whatever
    /// server.
    left: [bool; 3],
}

/// What is known of an allowing rule beforehand.
const LEFT: [Kind; 3] = [Kind::Tools, Kind::Prompts, Kind::Resources];

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

/// An item with what else it may be taken for.
pub(super) struct Subject<'a> {
    item: Item<'a>,
    readings: Readings,
}

impl<'a> Subject<'a> {
    pub(super) fn of(item: Item<'a>) -> Self {
        let readings = match item {
            Item::Resource(uri) => Readings::of(uri),
            Item::Tool(_) | Item::Prompt(_) | Item::Template(_) => Readings::default(),
        };
        Self { item, readings }
    }
}

impl Rule {
    fn compile(spec: &spec::Rule) -> Self {
        let names = |written: &Option<Vec<String>>| written.as_ref().map(Names::compile);
        let is_whole = spec.is_of_whole_servers();
        let resources = spec.resources.as_deref().map(Uris::compile);
        Self {
            server: Glob::new(&spec.server),
            tools: names(&spec.tools),
            prompts: names(&spec.prompts).or_else(|| is_whole.then(|| Names::compile(["*"]))),
            resources: resources.or_else(|| is_whole.then(|| Uris::compile(&["*"]))),
            left: [false; 3],
        }
    }

    fn is_left_by(&self, deny: &[Self], kind: Kind) -> bool {
        let is_left = |allowed: &str| {
            let denied = deny.iter().filter_map(|rule| rule.names(kind));
            let mut denied = denied.flat_map(Names::patterns);
            !denied.any(|denied| template::contains(denied, allowed))
        };
        let names = self.names(kind);
        names.is_some_and(|names| names.patterns().any(is_left))
    }

    /// Whether it certainly allows something of a kind that no rule of its policy denies.
    pub(super) fn is_left(&self, kind: Kind) -> bool {
        let [tools, prompts, resources] = self.left;
        match kind {
            Kind::Tools => tools,
            Kind::Prompts => prompts,
            Kind::Resources | Kind::Templates => resources,
        }
    }

    /// What it says of a kind; nothing where it says nothing.
    pub(super) fn names(&self, kind: Kind) -> Option<&Names> {
        let names = match kind {
            Kind::Tools => self.tools.as_ref(),
            Kind::Prompts => self.prompts.as_ref(),
            Kind::Resources | Kind::Templates => self.resources.as_ref().map(|uris| &uris.written),
        };
        names.filter(|names| names.patterns().next().is_some())
    }

    /// The pattern by which it denies an item: any spelling of it will do.
    pub(super) fn denies(&self, subject: &Subject<'_>) -> Option<&str> {
        match subject.item {
            Item::Tool(name) => self.tools.as_ref()?.find(name),
            Item::Prompt(name) => self.prompts.as_ref()?.find(name),
            Item::Resource(uri) => {
                let uris = self.resources.as_ref()?;
                let Readings { whole, place } = &subject.readings;
                let found = uris.written.find(uri).or_else(|| uris.canonical.find(uri));
                let mut others = whole.iter().chain(place);
                found.or_else(|| others.find_map(|other| uris.canonical.find(other)))
            }
            Item::Template(text) => {
                let mut patterns = self.resources.as_ref()?.written.patterns();
                patterns.find(|pattern| template::covers(pattern, text))
            }
        }
    }

    /// The pattern by which it allows an item as it is written. A template is only allowed by a
    /// pattern that `is_left`, of which not all is denied.
    pub(super) fn allows(
        &self,
        subject: &Subject<'_>,
        is_left: impl Fn(&str) -> bool,
    ) -> Option<&str> {
        match subject.item {
            Item::Tool(name) => self.tools.as_ref()?.find(name),
            Item::Prompt(name) => self.prompts.as_ref()?.find(name),
            Item::Resource(uri) => self.resources.as_ref()?.written.find(uri),
            Item::Template(text) => {
                let mut patterns = self.resources.as_ref()?.written.patterns();
                patterns.find(|pattern| template::overlaps(pattern, text) && is_left(pattern))
            }
        }
    }

    /// Whether it allows an item as it may be read, too.
    pub(super) fn allows_otherwise(&self, subject: &Subject<'_>) -> bool {
        let whole = &subject.readings.whole;
        let Some(uris) = self.resources.as_ref() else {
            return whole.is_empty();
        };
        whole
            .iter()
            .all(|other| uris.canonical.find(other).is_some())
    }

    /// The servers that it is about, as written.
    pub(super) fn server(&self) -> &str {
        self.server.as_str()
    }
}
