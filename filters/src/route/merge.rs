//! The lists of several servers as one.
//!
//! **Invariant:** no two entries have the same outer name: what is called leads to one server or to
//! none. The same sources in the same order give the same entries in the same order.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::mcp::list;
use crate::mcp::list::Kind;
use crate::route::names::Naming;
use crate::route::names::Strategy;
use crate::route::uri;

/// One server's list.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The server's id.
    pub server: &'a str,
    /// Its items in its order, JSON text each.
    pub items: &'a [String],
}

/// One item of the merged list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id of the server that has it.
    pub server: Arc<str>,
    /// What that server calls it.
    pub inner: String,
    /// What clients call it.
    pub outer: String,
    /// The item as clients see it, JSON text.
    pub text: String,
    /// Whether all readers call it the same.
    pub is_clear: bool,
}

/// A name that two items claim: it is listed for neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The outer name.
    pub name: String,
    /// The first two servers that claim it; the same one twice where two names of one server fit to
    /// the same text.
    pub servers: [String; 2],
}

/// The merged list. It finds entries where [`merge`] put them: who shows only some of them picks
/// those from it and leaves it whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The entries, in the order of the sources and of each server's items.
    pub entries: Vec<Entry>,
    /// The names left out because they are ambiguous, in the same order.
    pub conflicts: Vec<Conflict>,
    /// Where the entry of an outer name or a long spelling is.
    index: HashMap<String, usize>,
}

impl Merged {
    /// The entry that an outer name or a long spelling leads to.
    #[must_use]
    pub fn find(&self, outer: &str) -> Option<&Entry> {
        self.entries.get(*self.index.get(outer)?)
    }
}

/// Merges the servers' lists. An item without a key is dropped, and so is one whose key its server
/// has used before.
#[must_use]
pub fn merge(kind: Kind, naming: &Naming, sources: &[Source<'_>]) -> Merged {
    let mut entries: Vec<Entry> = sources
        .iter()
        .flat_map(|source| entries_of(kind, naming, source))
        .collect();
    let conflicts = conflicts(&entries);
    let ambiguous: HashSet<&str> = conflicts.iter().map(|c| c.name.as_str()).collect();
    entries.retain(|entry| !ambiguous.contains(entry.outer.as_str()));
    Merged {
        index: index(kind, naming, &entries),
        entries,
        conflicts,
    }
}

/// What a server's item is called on the aggregated endpoint.
#[must_use]
pub fn outer(kind: Kind, naming: &Naming, server: &str, inner: &str) -> String {
    match (kind, naming.strategy()) {
        (Kind::Tools | Kind::Prompts, _) => naming.outer(server, inner).into_owned(),
        (Kind::Resources | Kind::Templates, Strategy::Prefix) => uri::outer(server, inner),
        (Kind::Resources | Kind::Templates, Strategy::None) => inner.to_owned(),
    }
}

fn entries_of(kind: Kind, naming: &Naming, source: &Source<'_>) -> Vec<Entry> {
    let server: Arc<str> = Arc::from(source.server);
    let mut seen = HashSet::new();
    let mut entries = Vec::with_capacity(source.items.len());
    for item in source.items {
        let Some(inner) = list::identify(kind, item) else {
            continue;
        };
        if !seen.insert(inner.clone()) {
            continue;
        }
        let outer = outer(kind, naming, source.server, &inner);
        let text = if outer == inner {
            item.clone()
        } else {
            list::rename(kind, item, &outer)
        };
        entries.push(Entry {
            server: Arc::clone(&server),
            inner: inner.into_owned(),
            outer,
            text,
            is_clear: list::is_clear(kind, item),
        });
    }
    entries
}

/// The outer names that more than one entry has, in the order of their first owners.
fn conflicts(entries: &[Entry]) -> Vec<Conflict> {
    let mut owners: HashMap<&str, &Entry> = HashMap::with_capacity(entries.len());
    let mut rivals: HashMap<&str, &Entry> = HashMap::new();
    for entry in entries {
        let first = *owners.entry(&entry.outer).or_insert(entry);
        if !std::ptr::eq(first, entry) {
            rivals.entry(&entry.outer).or_insert(entry);
        }
    }
    let claims = entries.iter().filter_map(|first| {
        let second = rivals.remove(first.outer.as_str())?;
        Some(Conflict {
            name: first.outer.clone(),
            servers: [first.server.to_string(), second.server.to_string()],
        })
    });
    claims.collect()
}

fn index(kind: Kind, naming: &Naming, entries: &[Entry]) -> HashMap<String, usize> {
    let mut index = HashMap::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        index.insert(entry.outer.clone(), at);
    }
    // An outer name counts before a long spelling.
    for (at, entry) in entries.iter().enumerate() {
        match kind {
            Kind::Tools | Kind::Prompts => {
                let long = naming.long(&entry.server, &entry.inner);
                index.entry(long.into_owned()).or_insert(at);
            }
            Kind::Resources | Kind::Templates => {}
        }
    }
    index
}

#[cfg(test)]
mod tests;
