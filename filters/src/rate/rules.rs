//! Which limits hold for a call, and whose budget each of them is.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::HashMap;

use crate::identity::Principal;
use crate::rate::window::Limit;

const MINUTE_SECONDS: u64 = 60;
const HOUR_SECONDS: u64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// How many kinds of buckets there are: the most that one call pays from, whatever their limits.
pub const KINDS: usize = Kind::ALL.len();

/// Whose budget a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// That of all callers together.
    Global,
    /// That of a client.
    Client,
    /// That of all callers of a server.
    Server,
    /// That of all callers of a tool.
    Tool,
    /// That of a client at a tool.
    ClientServerTool,
}

/// One limit, and what it is a limit of.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whose budget it is.
    pub kind: Kind,
    /// The server, where it is about one.
    pub server: Option<Arc<str>>,
    /// The server's tool, where it is about one.
    pub tool: Option<Arc<str>>,
    /// How much.
    pub limit: Limit,
    /// How it is called: `client/minute`.
    pub label: Box<str>,
}

/// All limits.
#[derive(Debug, Default)]
pub struct Rules {
    global: Vec<Arc<Rule>>,
    client: Vec<Arc<Rule>>,
    servers: HashMap<Arc<str>, ServerRules>,
}

#[derive(Debug, Default)]
struct ServerRules {
    own: Vec<Arc<Rule>>,
    tools: HashMap<Arc<str>, ToolRules>,
}

#[derive(Debug, Default)]
struct ToolRules {
    all: Vec<Arc<Rule>>,
    each: Vec<Arc<Rule>>,
}

/// What one call has to pay.
#[derive(Clone, Copy, Debug)]
pub struct Bill<'b> {
    principal: &'b Principal,
    /// In the order of [`Kind::ALL`].
    rules: [&'b [Arc<Rule>]; KINDS],
}

/// What one call has to pay one limit from.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'b> {
    /// The limit.
    pub rule: &'b Arc<Rule>,
    /// Whose it is, where each client has its own.
    pub owner: Option<&'b Principal>,
}

// === impl Kind ===

impl Kind {
    /// All, from the widest to the narrowest.
    pub const ALL: [Self; 5] = [
        Self::Global,
        Self::Client,
        Self::Server,
        Self::Tool,
        Self::ClientServerTool,
    ];

    /// How it is called in labels.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Client => "client",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::ClientServerTool => "client-server-tool",
        }
    }

    /// Its place in [`Kind::ALL`].
    #[must_use]
    pub fn place(self) -> usize {
        match self {
            Self::Global => 0,
            Self::Client => 1,
            Self::Server => 2,
            Self::Tool => 3,
            Self::ClientServerTool => 4,
        }
    }

    /// Whether each client has a budget of its own.
    #[must_use]
    pub fn is_per_client(self) -> bool {
        match self {
            Self::Client | Self::ClientServerTool => true,
            Self::Global | Self::Server | Self::Tool => false,
        }
    }
}

// === impl Rule ===

impl Rule {
    fn new(kind: Kind, server: Option<&Arc<str>>, tool: Option<&Arc<str>>, limit: Limit) -> Self {
        let window = match limit.window.as_secs() {
            MINUTE_SECONDS => "minute".to_owned(),
            HOUR_SECONDS => "hour".to_owned(),
            DAY_SECONDS => "day".to_owned(),
            seconds => format!("{seconds}s"),
        };
        Self {
            kind,
            server: server.map(Arc::clone),
            tool: tool.map(Arc::clone),
            limit,
            label: format!("{}/{window}", kind.label()).into(),
        }
    }
}

// === impl Rules ===

impl Rules {
    /// Limits of all callers together, and of each client.
    #[must_use]
    pub fn new(global: &[Limit], client: &[Limit]) -> Self {
        let mut rules = Self::default();
        add(&mut rules.global, Kind::Global, None, None, global);
        add(&mut rules.client, Kind::Client, None, None, client);
        rules
    }

    /// Adds limits of all callers of a server.
    pub fn add_server(&mut self, server: &str, limits: &[Limit]) {
        let (server, rules) = self.server(server);
        add(&mut rules.own, Kind::Server, Some(&server), None, limits);
    }

    /// Adds limits of one of a server's tools: of all its callers, and of each of them.
    pub fn add_tool(&mut self, server: &str, tool: &str, all: &[Limit], each: &[Limit]) {
        let (server, rules) = self.server(server);
        let (tool, rules) = entry(&mut rules.tools, tool);
        let (server, tool) = (Some(&server), Some(&tool));
        add(&mut rules.all, Kind::Tool, server, tool, all);
        let kind = Kind::ClientServerTool;
        add(&mut rules.each, kind, server, tool, each);
    }

    /// What a call has to pay: of `tool` only where it is `tools/call`, of `server` only where it is
    /// about one.
    #[must_use]
    pub fn bill<'b>(
        &'b self,
        principal: &'b Principal,
        server: Option<&str>,
        tool: Option<&str>,
    ) -> Bill<'b> {
        let server = server.and_then(|server| self.servers.get(server));
        let tool = server.zip(tool);
        let tool = tool.and_then(|(server, tool)| server.tools.get(tool));
        Bill {
            principal,
            rules: [
                &self.global,
                &self.client,
                server.map_or(&[], |server| &server.own),
                tool.map_or(&[], |tool| &tool.all),
                tool.map_or(&[], |tool| &tool.each),
            ],
        }
    }

    /// What is counted for a client, wherever it calls.
    #[must_use]
    pub fn of_client<'b>(&'b self, principal: &'b Principal) -> Vec<Bucket<'b>> {
        let tools = self
            .servers
            .values()
            .flat_map(|server| server.tools.values());
        let mut each: Vec<_> = tools.flat_map(|tool| &tool.each).collect();
        each.sort_by_key(|rule| (rule.server.clone(), rule.tool.clone(), rule.limit.window));
        let rules = self.client.iter().chain(each);
        rules
            .map(|rule| Bucket {
                rule,
                owner: Some(principal),
            })
            .collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.global.is_empty() && self.client.is_empty() && self.servers.is_empty()
    }

    fn server(&mut self, server: &str) -> (Arc<str>, &mut ServerRules) {
        entry(&mut self.servers, server)
    }
}

/// The value of a name, and the name as all who have it share it.
fn entry<'m, V: Default>(map: &'m mut HashMap<Arc<str>, V>, name: &str) -> (Arc<str>, &'m mut V) {
    match map.entry(Arc::from(name)) {
        Entry::Occupied(entry) => (Arc::clone(entry.key()), entry.into_mut()),
        Entry::Vacant(entry) => (Arc::clone(entry.key()), entry.insert(V::default())),
    }
}

/// Of two limits over the same time only the stricter one matters.
fn add(
    rules: &mut Vec<Arc<Rule>>,
    kind: Kind,
    server: Option<&Arc<str>>,
    tool: Option<&Arc<str>>,
    limits: &[Limit],
) {
    for limit in limits {
        let rule = Arc::new(Rule::new(kind, server, tool, *limit));
        match rules
            .iter_mut()
            .find(|known| known.limit.window == limit.window)
        {
            Some(known) if known.limit.n_calls <= limit.n_calls => {}
            Some(known) => *known = rule,
            None => rules.push(rule),
        }
    }
}

// === impl Bucket ===

impl Bucket<'_> {
    /// The same limit, as nobody's own.
    #[must_use]
    pub fn unowned(&self) -> Self {
        Self {
            owner: None,
            ..*self
        }
    }
}

// === impl Bill ===

impl<'b> Bill<'b> {
    /// Everything that has to pay, from the widest to the narrowest.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket<'b>> + use<'b> {
        let principal = self.principal;
        let rules = self.rules.into_iter().flatten();
        rules.map(move |rule| Bucket {
            rule,
            owner: rule.kind.is_per_client().then_some(principal),
        })
    }

    /// One bucket of each kind that has to pay: those of one kind have the same owner.
    pub fn owners(&self) -> impl Iterator<Item = Bucket<'b>> + use<'b> {
        let principal = self.principal;
        let rules = self.rules.into_iter().filter_map(<[_]>::first);
        rules.map(move |rule| Bucket {
            rule,
            owner: rule.kind.is_per_client().then_some(principal),
        })
    }

    /// Whether nothing has to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.iter().all(|rules| rules.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn limit(n_calls: u32, seconds: u64) -> Limit {
        Limit {
            n_calls,
            window: Duration::from_secs(seconds),
        }
    }

    fn labels(rules: &Rules, server: Option<&str>, tool: Option<&str>) -> Vec<String> {
        let anyone = Principal::anonymous();
        let bill = rules.bill(&anyone, server, tool);
        let buckets = bill.buckets();
        buckets
            .map(|bucket| format!("{}={}", bucket.rule.label, bucket.rule.limit.n_calls))
            .collect()
    }

    #[test]
    fn a_call_pays_each_limit_that_is_about_it_once() {
        let mut rules = Rules::new(&[limit(9, 60), limit(99, 3600)], &[limit(8, 86_400)]);
        rules.add_server("s", &[limit(7, 60)]);
        rules.add_tool("s", "t", &[limit(6, 10)], &[limit(5, 60)]);
        let wide = ["global/minute=9", "global/hour=99", "client/day=8"];
        assert_eq!(labels(&rules, None, None), wide);
        assert_eq!(labels(&rules, Some("other"), Some("t")), wide);
        let server = [&wide[..], &["server/minute=7"]].concat();
        assert_eq!(labels(&rules, Some("s"), None), server);
        assert_eq!(labels(&rules, Some("s"), Some("other")), server);
        let tool = ["tool/10s=6", "client-server-tool/minute=5"];
        let all = [&server[..], &tool].concat();
        assert_eq!(labels(&rules, Some("s"), Some("t")), all);
    }

    #[test]
    fn of_two_limits_over_the_same_time_the_stricter_one_counts() {
        let mut rules = Rules::default();
        assert!(rules.is_empty());
        rules.add_server("s", &[limit(7, 60)]);
        rules.add_server("s", &[limit(3, 60), limit(5, 60)]);
        assert_eq!(labels(&rules, Some("s"), None), ["server/minute=3"]);
    }

    #[test]
    fn a_clients_own_buckets_are_its_own_and_no_others() {
        let mut rules = Rules::new(&[limit(9, 60)], &[limit(8, 60)]);
        rules.add_server("s", &[limit(7, 60)]);
        rules.add_tool("s", "t", &[limit(6, 60)], &[limit(5, 60)]);
        let anyone = Principal::anonymous();
        let of_client = rules.of_client(&anyone);
        let labels: Vec<_> = of_client.iter().map(|bucket| &*bucket.rule.label).collect();
        assert_eq!(labels, ["client/minute", "client-server-tool/minute"]);
    }
}
