//! What is asked of Redis in one go, and how its keys are called.

use filters::cache::key::Key;

/// A script. Redis runs one at a time, and each as a whole.
#[derive(Clone, Copy)]
pub(super) enum Script {
    /// Finds entries and versions, and may take a lease.
    LookUp,
    /// Stores an entry, unless it is outdated.
    Store,
    /// Makes entries outdated, and says so.
    Bump,
    /// Gives a lease back.
    Release,
}

impl Script {
    /// All, in the order in which they are loaded.
    pub(super) const ALL: [Self; 4] = [Self::LookUp, Self::Store, Self::Bump, Self::Release];

    /// Its text.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::LookUp => include_str!("look_up.lua"),
            Self::Store => include_str!("store.lua"),
            Self::Bump => include_str!("bump.lua"),
            Self::Release => include_str!("release.lua"),
        }
    }
}

/// The names of keys and channels.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// An entry.
    pub(super) fn entry(&self, key: &Key) -> String {
        format!("{}e:{}", self.prefix, key.hex())
    }

    /// The versions of what a server gave.
    pub(super) fn versions(&self, server: &str) -> String {
        format!("{}v:{server}", self.prefix)
    }

    /// The lease of a key.
    pub(super) fn lease(&self, key: &Key) -> String {
        format!("{}l:{}", self.prefix, key.hex())
    }

    /// What is written to see whether Redis takes anything: never there.
    pub(super) fn probe(&self) -> String {
        format!("{}probe", self.prefix)
    }

    /// Where invalidations are told.
    pub(super) fn invalidations(&self) -> String {
        format!("{}inv", self.prefix)
    }

    /// Where an instance is told that its invalidations were heard.
    pub(super) fn acknowledgements(&self, instance: &str) -> String {
        format!("{}ack:{instance}", self.prefix)
    }

    /// What all entries and versions match, and nothing else under the prefix.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::new();
        for c in self.prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern + "[ev]:*"
    }

    /// Whether a key that matches is that of an entry.
    pub(super) fn is_entry(&self, key: &[u8]) -> bool {
        key.strip_prefix(self.prefix.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"e:"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_with_wildcards_matches_itself_only() {
        let names = Names::new("a*[b]?\\:");
        assert_eq!(names.pattern(), r"a\*\[b\]\?\\:[ev]:*");
        assert!(names.is_entry(b"a*[b]?\\:e:00"));
        assert!(!names.is_entry(b"a*[b]?\\:v:server"));
        assert!(!names.is_entry(b"another"));
    }
}
