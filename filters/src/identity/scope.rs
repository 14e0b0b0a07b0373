//! Which scopes a caller's credential must carry, by server and by tool.
//!
//! **Invariant:** a refusal names all scopes that the call needs, so that a client asks for them once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::{Principal, Proof};
use crate::refusal::Refusal;

/// The compiled rules. Without any, every check is over at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    everywhere: Vec<Arc<str>>,
    servers: HashMap<String, Server>,
}

/// What one server needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// For every message to it.
    pub all: Vec<Arc<str>>,
    /// For calls of tools whose name matches, beyond that.
    pub tools: Vec<(Glob, Vec<Arc<str>>)>,
}

impl Rules {
    /// Rules of scopes that are needed everywhere, and at some servers by their ids.
    #[must_use]
    pub fn new(everywhere: Vec<Arc<str>>, servers: HashMap<String, Server>) -> Self {
        let servers = servers.into_iter();
        let is_said = |server: &Server| !(server.all.is_empty() && server.tools.is_empty());
        Self {
            everywhere,
            servers: servers.filter(|(_, server)| is_said(server)).collect(),
        }
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.everywhere.is_empty() && self.servers.is_empty()
    }

    /// All scopes that are named anywhere.
    #[must_use]
    pub fn all(&self) -> BTreeSet<&str> {
        let servers = self.servers.values().flat_map(|server| {
            let tools = server.tools.iter().flat_map(|(_, needed)| needed);
            server.all.iter().chain(tools)
        });
        let all = self.everywhere.iter().chain(servers);
        all.map(|scope| &**scope).collect()
    }

    /// Whether `principal` may send a message to `server`, or to several where there is none, or call a
    /// tool of it. Where nobody is authenticated nobody is asked.
    ///
    /// # Errors
    /// [`Refusal::ScopeInsufficient`] with all that is needed.
    pub fn check(
        &self,
        principal: &Principal,
        server: Option<&str>,
        tool: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.is_empty() || principal.proof == Proof::None {
            return Ok(());
        }
        let mut needed = self.needed(server, tool);
        if needed.all(|scope| principal.scopes.contains(scope)) {
            return Ok(());
        }
        Err(Refusal::ScopeInsufficient {
            required: self.required(server, tool),
        })
    }

    /// All scopes that are needed, divided by spaces, each once.
    #[must_use]
    pub fn required(&self, server: Option<&str>, tool: Option<&str>) -> String {
        let mut required: Vec<&str> = Vec::new();
        for scope in self.needed(server, tool) {
            if !required.contains(&&**scope) {
                required.push(scope);
            }
        }
        required.join(" ")
    }

    fn needed<'a>(
        &'a self,
        server: Option<&str>,
        tool: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<str>> {
        let server = server.and_then(|id| self.servers.get(id));
        let all = server.map(|server| server.all.as_slice());
        let tools = server.map(|server| server.tools.as_slice());
        let tools = tools.unwrap_or_default().iter();
        let of_tool = tools
            .filter(move |(pattern, _)| tool.is_some_and(|tool| pattern.matches(tool)))
            .flat_map(|(_, needed)| needed);
        self.everywhere
            .iter()
            .chain(all.unwrap_or_default())
            .chain(of_tool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let scopes = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        let server = Server {
            all: scopes(&["s"]),
            tools: vec![
                (Glob::new("write_*"), scopes(&["w", "s"])),
                (Glob::new("*_all"), scopes(&["all"])),
            ],
        };
        let servers = [
            ("a".to_owned(), server),
            ("b".to_owned(), Server::default()),
        ];
        Rules::new(scopes(&["base"]), servers.into())
    }

    fn check(scopes: &[&str], server: Option<&str>, tool: Option<&str>) -> Option<String> {
        let principal = Principal {
            scopes: scopes.iter().map(|name| Arc::from(*name)).collect(),
            proof: Proof::Jwt,
            ..Principal::anonymous()
        };
        match rules().check(&principal, server, tool) {
            Ok(()) => None,
            Err(Refusal::ScopeInsufficient { required }) => Some(required),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_names_all_scopes_of_the_call_at_once() {
        let refused = check(&["s"], Some("a"), Some("write_all"));
        assert_eq!(refused.as_deref(), Some("base s w all"));
        assert_eq!(
            check(&[], Some("b"), Some("write_all")).as_deref(),
            Some("base")
        );
        assert_eq!(check(&[], None, None).as_deref(), Some("base"));
        assert_eq!(check(&["BASE"], None, None).as_deref(), Some("base"));
    }

    #[test]
    fn who_has_all_scopes_passes_whatever_else_there_is() {
        let all = ["all", "w", "s", "base", "x"];
        assert_eq!(check(&all, Some("a"), Some("write_all")), None);
        assert_eq!(check(&["base", "s"], Some("a"), Some("read")), None);
        assert_eq!(check(&["base"], Some("unknown"), None), None);
    }

    #[test]
    fn nobody_is_asked_where_nobody_is_authenticated() {
        let anyone = Principal::anonymous();
        assert_eq!(rules().check(&anyone, Some("a"), Some("write_all")), Ok(()));
    }

    #[test]
    fn all_scopes_are_known_without_being_asked_for() {
        let all: Vec<_> = rules().all().into_iter().map(str::to_owned).collect();
        assert_eq!(all, ["all", "base", "s", "w"]);
    }
}
