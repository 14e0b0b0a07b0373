//! What servers were seen to define without approval: told of once, and kept for whoever may approve
//! it.
//!
//! **Invariant:** of one server at most [`SIGHTINGS_MAX`] definitions of at most [`BYTES_MAX`] bytes are
//! kept; those that were not seen for longest go first.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::lock::Verdict;
use filters::lock::book::Tools;
use filters::lock::definition::{Definition, Digest, Unclear};
use filters::lock::screen::Seen;
use lru::LruCache;

/// Most definitions of one server that are kept.
pub const SIGHTINGS_MAX: usize = 4096;
/// Most bytes of them.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long what was seen counts as being there.
const RECENT: Duration = Duration::from_secs(3600);
/// Longest name that is kept, in bytes.
const NAME_BYTES_MAX: usize = 1024;

/// A definition that was seen.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The tool.
    pub tool: String,
    /// Its definition.
    pub definition: Result<Arc<Definition>, Unclear>,
    /// When it was seen last.
    pub at: Instant,
}

/// What was seen, by server.
#[derive(Default)]
pub struct Ledger {
    servers: HashMap<String, Pages>,
}

/// By tool and digest; an unclear definition has none.
type Key = (String, Option<Digest>);

struct Pages {
    sightings: LruCache<Key, Sighting>,
    n_bytes: usize,
}

impl Default for Pages {
    fn default() -> Self {
        let max = NonZeroUsize::new(SIGHTINGS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self {
            sightings: LruCache::new(max),
            n_bytes: 0,
        }
    }
}

impl Ledger {
    /// Notes what was seen; whether it was not known before.
    pub fn note(&mut self, server: &str, seen: &Seen<'_>, now: Instant) -> bool {
        if seen.verdict == Verdict::Approved || seen.name.len() > NAME_BYTES_MAX {
            return false;
        }
        let pages = self.servers.entry(server.to_owned()).or_default();
        let digest = seen.definition.map(|one| one.digest).ok();
        let key = (seen.name.to_owned(), digest);
        if let Some(known) = pages.sightings.get_mut(&key) {
            known.at = now;
            return false;
        }
        pages.keep(
            key,
            Sighting {
                tool: seen.name.to_owned(),
                definition: seen.definition.map(|one| Arc::new(one.clone())),
                at: now,
            },
        );
        true
    }

    /// What was seen of a server lately.
    #[must_use]
    pub fn recent(&self, server: &str, now: Instant) -> Vec<Sighting> {
        let pages = self.servers.get(server).into_iter();
        let all = pages.flat_map(|pages| pages.sightings.iter().map(|(_, one)| one));
        let is_recent = |one: &&Sighting| now.saturating_duration_since(one.at) < RECENT;
        all.filter(is_recent).cloned().collect()
    }

    /// A definition that was seen.
    #[must_use]
    pub fn find(&self, server: &str, tool: &str, digest: Digest) -> Option<Arc<Definition>> {
        let key = (tool.to_owned(), Some(digest));
        let found = self.servers.get(server)?.sightings.peek(&key)?;
        found.definition.as_ref().ok().map(Arc::clone)
    }

    /// Forgets what is settled: of a tool that was approved as it is, whatever was seen.
    pub fn settle(&mut self, server: &str, tools: &Tools) {
        let Some(pages) = self.servers.get_mut(server) else {
            return;
        };
        let is_settled = |(name, digest): &Key| {
            let digest = digest.ok_or(Unclear);
            tools.judge(name, digest) == Verdict::Approved
        };
        let all = pages.sightings.iter().map(|(key, _)| key);
        let names = all.filter(|key| is_settled(key));
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        let all = pages.sightings.iter().map(|(key, _)| key);
        let gone = all.filter(|(name, _)| names.contains(name));
        for key in gone.cloned().collect::<Vec<_>>() {
            pages.forget(&key);
        }
    }

    /// Forgets a tool.
    pub fn forget(&mut self, server: &str, tool: &str) {
        let Some(pages) = self.servers.get_mut(server) else {
            return;
        };
        let all = pages.sightings.iter().map(|(key, _)| key);
        let gone = all.filter(|(name, _)| name == tool);
        for key in gone.cloned().collect::<Vec<_>>() {
            pages.forget(&key);
        }
    }
}

impl Pages {
    fn keep(&mut self, key: Key, sighting: Sighting) {
        self.n_bytes += weight(&sighting);
        if let Some((_, gone)) = self.sightings.push(key, sighting) {
            self.n_bytes -= weight(&gone);
        }
        while self.n_bytes > BYTES_MAX
            && let Some((_, gone)) = self.sightings.pop_lru()
        {
            self.n_bytes -= weight(&gone);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(gone) = self.sightings.pop(key) {
            self.n_bytes -= weight(&gone);
        }
    }
}

fn weight(sighting: &Sighting) -> usize {
    let definition = sighting.definition.as_ref().map_or(0, |one| one.text.len());
    definition + 2 * sighting.tool.len()
}

#[cfg(test)]
mod tests {
    use filters::lock::book::Before;

    use super::*;

    fn defined(name: &str, text: &str) -> Definition {
        Definition::read(&format!(r#"{{"name":"{name}","t":"{text}"}}"#)).unwrap()
    }

    fn seen(definition: &Definition) -> Seen<'_> {
        Seen {
            name: &definition.name,
            verdict: Verdict::Changed,
            definition: Ok(definition),
        }
    }

    #[test]
    fn a_change_is_news_once() {
        let mut ledger = Ledger::default();
        let (one, other) = (defined("t", "1"), defined("t", "2"));
        let now = Instant::now();
        assert!(ledger.note("s", &seen(&one), now));
        assert!(!ledger.note("s", &seen(&one), now));
        assert!(ledger.note("s", &seen(&other), now));
        assert!(ledger.note("s2", &seen(&one), now));
        assert_eq!(ledger.recent("s", now).len(), 2);
        assert!(ledger.recent("s", now + RECENT).is_empty());
        assert_eq!(ledger.find("s", "t", one.digest).as_deref(), Some(&one));
    }

    #[test]
    fn what_was_approved_is_news_when_it_changes_again() {
        let mut ledger = Ledger::default();
        let (one, other) = (defined("t", "1"), defined("t", "2"));
        let now = Instant::now();
        ledger.note("s", &seen(&one), now);
        ledger.note("s", &seen(&other), now);
        let mut tools = Tools::default();
        tools.approve(&other, "", Before::Replaced).unwrap();
        ledger.settle("s", &tools);
        assert!(ledger.recent("s", now).is_empty());
        assert!(ledger.note("s", &seen(&one), now));
    }

    #[test]
    fn so_many_are_kept_and_the_oldest_goes() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        for n in 0..=SIGHTINGS_MAX {
            ledger.note("s", &seen(&defined(&format!("t{n}"), "")), now);
        }
        assert_eq!(ledger.recent("s", now).len(), SIGHTINGS_MAX);
        let first = defined("t0", "");
        assert_eq!(ledger.find("s", "t0", first.digest), None);
        let large = "x".repeat(200 * 1024);
        for n in 0..200 {
            ledger.note("s", &seen(&defined(&format!("l{n}"), &large)), now);
        }
        let pages = ledger.servers.get("s").unwrap();
        let kept: usize = pages.sightings.iter().map(|(_, one)| weight(one)).sum();
        assert_eq!(pages.n_bytes, kept);
        assert!(
            (BYTES_MAX - 210 * 1024..=BYTES_MAX).contains(&kept),
            "{kept}"
        );
    }
}
