//! What the entries in Redis depend on.
//!
//! A server's versions are a hash: `*` for all that it gives, `m:<method>`, `t:<tool>`, `r:<uri>` and
//! `k:<key>`. Each is a token that was never used before, or empty where nothing was invalidated yet.
//! A stamp is what concerns one entry, joined; an entry is good while its stamp is what the versions
//! say. So nothing counts up, and what Redis forgets makes entries invalid, never valid.
//!
//! Each tool and URI that is about to be fetched has a field, so that wildcards find what they cover.

use std::collections::BTreeSet;
use std::time::Instant;

use filters::cache::invalidate::Reach;
use filters::cache::key::Key;
use filters::glob::Glob;
use filters::mcp::method::Method;

use crate::cache::entry::Origin;
use crate::cache::redis::value;

/// The most fields of a server's versions. Beyond, names are no longer noted, and a wildcard, or
/// a name that was not noted, makes all of the server invalid.
pub(super) const FIELDS_MAX: usize = 10_000;

/// The field that says that there were more names than fields.
const MORE: &str = "more";

/// What was known of an origin when it was looked up: a result that is fetched after it is stored only if
/// nothing that concerns it was invalidated since.
#[derive(Clone, Debug)]
pub struct Versions {
    stamps: Vec<(Key, Box<str>)>,
    clock: Clock,
}

/// What the clock of Redis showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Milliseconds.
    pub(super) ms: u64,
    /// When it was known: no earlier than when it showed that.
    pub(super) at: Instant,
}

impl Clock {
    /// What it shows at `then`, or a little before.
    pub(super) fn at(self, then: Instant) -> u64 {
        let later = value::milliseconds(then.saturating_duration_since(self.at));
        self.ms.saturating_add(later)
    }
}

impl Versions {
    pub(super) fn new(keys: &[Key], stamps: Vec<String>, clock: Clock) -> Self {
        let stamps = stamps.into_iter().map(Into::into);
        Self {
            stamps: keys.iter().copied().zip(stamps).collect(),
            clock,
        }
    }

    /// The clock of Redis, as of the look-up.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The stamp of an entry; none if it was not looked up, or could not be.
    pub(super) fn stamp(&self, key: &Key) -> Option<&str> {
        let mut stamps = self.stamps.iter();
        stamps.find_map(|(known, stamp)| (known == key).then_some(&**stamp))
    }
}

/// The field that an entry's method has.
pub(super) fn method_field(method: Method) -> String {
    format!("m:{}", method.label())
}

/// The field that an entry's target has; empty if none.
pub(super) fn target_field(origin: &Origin) -> String {
    match (origin.method, origin.target.as_deref()) {
        (Method::ToolsCall, Some(tool)) => tool_field(tool),
        (Method::ResourcesRead, Some(uri)) => resource_field(uri),
        (_, _) => String::new(),
    }
}

/// The field that an entry has by itself.
pub(super) fn key_field(key: &Key) -> String {
    format!("k:{}", key.hex())
}

fn tool_field(tool: &str) -> String {
    format!("t:{tool}")
}

fn resource_field(uri: &str) -> String {
    format!("r:{uri}")
}

/// What gets new versions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bump<'r> {
    /// Whether it is everything.
    pub(super) is_whole: bool,
    /// The fields, otherwise.
    pub(super) fields: BTreeSet<String>,
    /// Entries that can be dropped right away.
    pub(super) keys: Vec<Key>,
    tools: Vec<&'r Glob>,
    resources: Vec<&'r Glob>,
}

impl<'r> Bump<'r> {
    /// What `reach` names.
    pub(super) fn of(reach: &'r Reach) -> Self {
        let mut bump = Self::default();
        bump.add(reach);
        bump
    }

    fn add(&mut self, reach: &'r Reach) {
        match reach {
            Reach::Server => self.is_whole = true,
            Reach::Method(method) => {
                self.fields.insert(method_field(*method));
            }
            Reach::Tools(globs) => self.tools.extend(globs),
            Reach::Tool(tool) => {
                self.fields.insert(tool_field(tool));
            }
            Reach::Resources(globs) => self.resources.extend(globs),
            Reach::Resource(uri) => {
                self.fields.insert(resource_field(uri));
            }
            Reach::Key(key) => {
                self.fields.insert(key_field(key));
                self.keys.push(*key);
            }
            Reach::Union(reaches) => {
                for reach in reaches {
                    self.add(reach);
                }
            }
        }
    }

    /// Whether it takes the names that were noted to know what is covered.
    pub(super) fn needs_names(&self) -> bool {
        let has_wildcards = !self.tools.is_empty() || !self.resources.is_empty();
        has_wildcards && !self.is_whole
    }

    /// Adds what wildcards cover of all fields there are.
    pub(super) fn cover(&mut self, fields: impl IntoIterator<Item = String>) {
        for field in fields {
            let is_covered = if let Some(tool) = field.strip_prefix("t:") {
                self.tools.iter().any(|glob| glob.matches(tool))
            } else if let Some(uri) = field.strip_prefix("r:") {
                self.resources.iter().any(|glob| glob.matches(uri))
            } else {
                self.is_whole |= field == MORE;
                false
            };
            if is_covered {
                self.fields.insert(field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bumped<'f>(reach: &Reach, fields: impl IntoIterator<Item = &'f str>) -> String {
        let mut bump = Bump::of(reach);
        if bump.needs_names() {
            bump.cover(fields.into_iter().map(str::to_owned));
        }
        let whole = if bump.is_whole { "all " } else { "" };
        let fields: Vec<_> = bump.fields.iter().map(String::as_str).collect();
        format!("{whole}{}", fields.join(" "))
    }

    #[test]
    fn wildcards_cover_the_names_of_their_kind() {
        let fields = [
            "run",
            "*",
            "m:tools/call",
            "t:a",
            "t:ab",
            "r:a",
            "k:a",
            "t:",
        ];
        let globs = |text: &str| vec![Glob::new(text)];
        let rows = [
            (Reach::Tools(globs("a*")), "t:a t:ab"),
            (Reach::Tools(globs("*")), "t: t:a t:ab"),
            (Reach::Tools(globs("a")), "t:a"),
            (Reach::Resources(globs("?")), "r:a"),
            (Reach::Tools(vec![]), ""),
            (Reach::Tool("*".to_owned()), "t:*"),
            (Reach::Server, "all "),
            (Reach::Method(Method::ToolsCall), "m:tools/call"),
        ];
        for (reach, expected) in rows {
            assert_eq!(bumped(&reach, fields), expected, "{reach:?}");
        }
    }

    #[test]
    fn wildcards_cover_everything_where_names_are_missing() {
        let reach = Reach::Tools(vec![Glob::new("b")]);
        assert_eq!(bumped(&reach, ["t:a", MORE]), "all ");
        // A tool of that name is none.
        assert_eq!(bumped(&reach, ["t:a", "t:more"]), "");
    }

    #[test]
    fn a_clock_shows_no_more_than_what_passed_since_it_was_seen() {
        let at = Instant::now();
        let clock = Clock { ms: 1_000, at };
        assert_eq!(clock.at(at), 1_000);
        assert_eq!(clock.at(at + Duration::from_micros(1_999)), 1_001);
        let earlier = at.checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(clock.at(earlier), 1_000);
    }

    #[test]
    fn an_entry_that_was_not_looked_up_has_no_stamp() {
        let key = |n: u8| Key::parse(&format!("{n:064x}")).unwrap();
        let keys = [key(1), key(2)];
        let clock = Clock {
            ms: 7,
            at: Instant::now(),
        };
        let versions = Versions::new(&keys, vec!["a".to_owned(), "b".to_owned()], clock);
        assert_eq!(versions.stamp(&key(2)), Some("b"));
        assert_eq!(versions.stamp(&key(3)), None);
        assert_eq!(Versions::new(&keys, vec![], clock).stamp(&key(1)), None);
    }
}
