//! A list of patterns, compiled: plain names are looked up, only those with wildcards are tried.

use std::collections::HashSet;

use crate::glob::Glob;

/// Patterns of which one has to match.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Whether `*` is among them.
    has_all: bool,
    plain: HashSet<Box<str>>,
    globs: Box<[Glob]>,
}

impl Names {
    /// Compiles a list.
    #[must_use]
    pub fn compile<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Self {
        let mut names = Self::default();
        let mut globs = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let glob = Glob::new(pattern);
            if pattern == "*" {
                names.has_all = true;
            } else if glob.is_literal() {
                names.plain.insert(pattern.into());
            } else {
                globs.push(glob);
            }
        }
        names.globs = globs.into();
        names
    }

    /// The pattern that a name matches.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        if self.has_all {
            return Some("*");
        }
        if let Some(plain) = self.plain.get(name) {
            return Some(plain);
        }
        let found = self.globs.iter().find(|glob| glob.matches(name));
        found.map(Glob::as_str)
    }

    /// Whether every name matches, as far as one pattern says so.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.has_all
    }

    /// The patterns.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        let all = self.has_all.then_some("*");
        let plain = self.plain.iter().map(|name| &**name);
        all.into_iter()
            .chain(plain)
            .chain(self.globs.iter().map(Glob::as_str))
    }
}
