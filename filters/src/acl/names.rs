//! A list of patterns, compiled: plain names are looked up, only those with wildcards are tried.

use std::collections::HashSet;

use crate::glob::Glob;

/// Most plain names that are compared one by one: that is sooner done than a hash.
const FEW: usize = 8;

/// Names without wildcards.
#[derive(Clone, Debug)]
enum Plain {
    Few(Vec<Box<str>>),
    Many(HashSet<Box<str>>),
}

/// Patterns of which one has to match.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Whether `*` is among them.
    has_all: bool,
    plain: Plain,
    globs: Box<[Glob]>,
}

impl Names {
    /// Compiles a list.
    #[must_use]
    pub fn compile<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Self {
        let mut names = Self::default();
        let (mut plain, mut globs) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let glob = Glob::new(pattern);
            if pattern == "*" {
                names.has_all = true;
            } else if glob.is_literal() {
                plain.push(pattern.into());
            } else {
                globs.push(glob);
            }
        }
        names.plain = if plain.len() > FEW {
            Plain::Many(plain.into_iter().collect())
        } else {
            Plain::Few(plain)
        };
        names.globs = globs.into();
        names
    }

    /// The pattern that a name matches.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        if self.has_all {
            return Some("*");
        }
        let plain = match &self.plain {
            Plain::Few(few) => few.iter().find(|one| ***one == *name),
            Plain::Many(many) => many.get(name),
        };
        if let Some(plain) = plain {
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
        let (few, many) = match &self.plain {
            Plain::Few(few) => (Some(few), None),
            Plain::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|name| &**name);
        let many = many.into_iter().flatten().map(|name| &**name);
        all.into_iter()
            .chain(few)
            .chain(many)
            .chain(self.globs.iter().map(Glob::as_str))
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}
