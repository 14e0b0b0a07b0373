//! The path of a value in the configuration file, as findings name it: `servers[0].url`.

use std::fmt;

/// A path from the root of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// The file as a whole.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of a key in this mapping. A key that would not read as a name is quoted.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let is_name = !key.is_empty()
            && key
                .chars()
                .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '$'));
        if !is_name {
            return Self(format!("{}[{key:?}]", self.0));
        }
        if self.0.is_empty() {
            Self(key.to_owned())
        } else {
            Self(format!("{}.{key}", self.0))
        }
    }

    /// An item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path as text; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0
    }
}

/// The path that contains this one, by its text; `None` for a top-level key.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    path.rfind(['.', '[']).and_then(|cut| path.get(..cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_yaml_and_quotes_odd_keys() {
        let path = Path::root()
            .key("servers")
            .index(0)
            .key("overrides")
            .key("a.b")
            .key("ttl");
        assert_eq!(path.as_str(), "servers[0].overrides[\"a.b\"].ttl");
        assert_eq!(parent("servers[0].id"), Some("servers[0]"));
        assert_eq!(parent("servers"), None);
    }
}
