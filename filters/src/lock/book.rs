//! What was approved: the definitions of each server's tools, and the file they stand in.
//!
//! **Invariant:** a book that was read holds only definitions that have the digest they were approved
//! by, and exactly the set of tools that was approved: an edited file is no book.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::json::object::{self, Object};
use crate::lock::Verdict;
use crate::lock::definition::{Definition, Digest, Unclear};

mod layout;

/// Most definitions that one tool may have at once.
pub const VARIANTS_MAX: usize = 16;

/// The version of the file's form.
const VERSION: &str = "1";

/// All that was approved, by server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    servers: BTreeMap<String, Arc<Tools>>,
}

/// What was approved of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    tools: BTreeMap<String, Vec<Approved>>,
}

/// A definition that was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Its digest.
    pub digest: Digest,
    /// When, as people are shown it.
    pub at: String,
    /// The definition, in canonical JSON.
    pub text: String,
}

/// What becomes of the definitions that a tool had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// They are approved no more.
    Replaced,
    /// They stay approved: the server defines the tool differently for different callers.
    Kept,
}

/// A tool has as many definitions as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where: `servers.github.tools.search`.
    pub place: String,
    /// What.
    pub what: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            return out.write_str(self.what);
        }
        write!(out, "{}: {}", self.place, self.what)
    }
}

// === impl Book ===

impl Book {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Where it is not what [`Book::write`] writes, or was edited since.
    pub fn read(text: &str) -> Result<Self, Broken> {
        let root = Place::default();
        let members = root.members(text, &["version", "servers"])?;
        if root.member(&members, "version")? != VERSION {
            let what = "is of a version that this Conduit does not know";
            return root.inside("version").broken(what);
        }
        let place = root.inside("servers");
        let mut book = Self::default();
        let servers = place.members(root.member(&members, "servers")?, &[])?;
        for (id, server) in servers.members() {
            let tools = Tools::read(&place.inside(id), server)?;
            book.servers.insert(id.to_owned(), Arc::new(tools));
        }
        Ok(book)
    }

    /// The file's text: sorted, a member a line.
    #[must_use]
    pub fn write(&self) -> String {
        let mut servers = Object::default();
        for (id, tools) in &self.servers {
            servers.set(id.as_str(), tools.write());
        }
        let mut root = Object::default();
        root.set("version", VERSION);
        root.set("servers", servers.write());
        layout::indented(&root.write())
    }

    /// What was approved of a server; nothing where nobody ever looked at it.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&Arc<Tools>> {
        self.servers.get(id)
    }

    /// The servers of which something was approved, in the order of their ids.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &Arc<Tools>)> {
        let servers = self.servers.iter();
        servers.map(|(id, tools)| (id.as_str(), tools))
    }

    /// Notes that a server was looked at, also where it has no tools.
    pub fn open(&mut self, server: &str) -> &mut Tools {
        Arc::make_mut(self.servers.entry(server.to_owned()).or_default())
    }
}

// === impl Tools ===

impl Tools {
    fn read(place: &Place, text: &str) -> Result<Self, Broken> {
        let members = place.members(text, &["digest", "tools"])?;
        let inside = place.inside("tools");
        let mut tools = Self::default();
        let listed = inside.members(place.member(&members, "tools")?, &[])?;
        for (name, variants) in listed.members() {
            let place = inside.inside(name);
            let variants = object::elements(variants).ok_or_else(|| place.error("is no list"))?;
            if variants.is_empty() || variants.len() > VARIANTS_MAX {
                return place.broken("has no definition, or too many");
            }
            let variants = variants.into_iter();
            let read = variants.map(|one| Approved::read(&place, name, one));
            let read = read.collect::<Result<_, _>>()?;
            tools.tools.insert(name.to_owned(), read);
        }
        if members.text("digest").as_deref() != Some(&*tools.digest().to_string()) {
            return place.broken(
                "its digest is not that of its tools: the file was edited; restore it, or take this \
                 server out of it and approve its tools anew",
            );
        }
        Ok(tools)
    }

    fn write(&self) -> String {
        let mut tools = Object::default();
        for (name, variants) in &self.tools {
            let variants = variants.iter().map(Approved::write);
            tools.set(name.as_str(), object::array(variants));
        }
        let mut server = Object::default();
        server.set_text("digest", &self.digest().to_string());
        server.set("tools", tools.write());
        server.write()
    }

    /// The digest of the whole set: of every tool's name and definitions.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let tools = self.tools.iter();
        let mut lines = tools.flat_map(|(name, variants)| {
            let variants = variants.iter();
            variants.map(move |one| format!("{} {}\n", one.digest, object::quoted(name)))
        });
        let text: String = lines.by_ref().collect();
        Digest::of(&[text.as_bytes()])
    }

    /// What is to be said of a tool as it is defined now.
    #[must_use]
    pub fn judge(&self, name: &str, digest: Result<Digest, Unclear>) -> Verdict {
        let Ok(digest) = digest else {
            return Verdict::Unclear;
        };
        match self.tools.get(name) {
            None => Verdict::Added,
            Some(known) if known.iter().any(|one| one.digest == digest) => Verdict::Approved,
            Some(_) => Verdict::Changed,
        }
    }

    /// What was approved under a name, last first.
    pub fn approved(&self, name: &str) -> impl Iterator<Item = &Approved> {
        self.tools.get(name).into_iter().flatten().rev()
    }

    /// The definition that is listed in the place of one that was not approved. Where several were,
    /// nobody can say which of them is for the caller: none is.
    #[must_use]
    pub fn substitute(&self, name: &str) -> Option<&str> {
        match self.tools.get(name)?.as_slice() {
            [only] => Some(&only.text),
            _ => None,
        }
    }

    /// The names of all tools, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }

    /// How many tools there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Approves a definition.
    ///
    /// # Errors
    /// Where its tool has as many as it may have already.
    pub fn approve(
        &mut self,
        definition: &Definition,
        at: &str,
        before: Before,
    ) -> Result<(), Full> {
        let known = self.tools.entry(definition.name.clone()).or_default();
        match before {
            Before::Replaced => known.clear(),
            Before::Kept => known.retain(|one| one.digest != definition.digest),
        }
        if known.len() >= VARIANTS_MAX {
            return Err(Full);
        }
        known.push(Approved {
            digest: definition.digest,
            at: at.to_owned(),
            text: definition.text.clone(),
        });
        Ok(())
    }

    /// Forgets a tool; `false` where there was none.
    pub fn forget(&mut self, name: &str) -> bool {
        self.tools.remove(name).is_some()
    }
}

// === impl Approved ===

impl Approved {
    fn read(place: &Place, name: &str, text: &str) -> Result<Self, Broken> {
        let members = place.members(text, &["digest", "approved_at", "definition"])?;
        let at = members.text("approved_at").map(String::from);
        let at = at.ok_or_else(|| place.error("`approved_at` is missing"))?;
        let definition = place.member(&members, "definition")?;
        let definition = Definition::read(definition)
            .map_err(|Unclear| place.error("its definition cannot be read in one way only"))?;
        let digest = members.text("digest").and_then(|text| Digest::parse(&text));
        if digest != Some(definition.digest) || definition.name != name {
            return place.broken(
                "its digest or name is not that of its definition: the file was edited; restore \
                 it, or take the tool's server out of it and approve its tools anew",
            );
        }
        Ok(Self {
            digest: definition.digest,
            at,
            text: definition.text,
        })
    }

    fn write(&self) -> String {
        let mut one = Object::default();
        one.set_text("digest", &self.digest.to_string());
        one.set_text("approved_at", &self.at);
        one.set("definition", self.text.as_str());
        one.write()
    }
}

/// Where in the file something stands.
#[derive(Clone, Debug, Default)]
struct Place(String);

impl Place {
    fn inside(&self, name: &str) -> Self {
        let Self(outer) = self;
        let dot = if outer.is_empty() { "" } else { "." };
        Self(format!("{outer}{dot}{}", super::visible::line(name)))
    }

    fn error(&self, what: &'static str) -> Broken {
        Broken {
            place: self.0.clone(),
            what,
        }
    }

    fn broken<T>(&self, what: &'static str) -> Result<T, Broken> {
        Err(self.error(what))
    }

    /// The members of an object, each once; only `known` ones, where any are named.
    fn members<'t>(&self, text: &'t str, known: &[&str]) -> Result<Object<'t>, Broken> {
        let Some(object) = Object::read(text) else {
            return self.broken("is no JSON object, or not of the form that Conduit writes");
        };
        let mut names: Vec<&str> = object.members().map(|(name, _)| name).collect();
        let stray = names.iter().find(|name| !known.contains(name));
        if let Some(stray) = stray.filter(|_| !known.is_empty()) {
            return self.inside(stray).broken("does not belong there");
        }
        names.sort_unstable();
        let mut pairs = names.iter().zip(names.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(one, next)| one == next) {
            return self.inside(twice).broken("stands there twice");
        }
        Ok(object)
    }

    fn member<'o>(&self, object: &'o Object<'_>, name: &str) -> Result<&'o str, Broken> {
        let found = object.get(name);
        found.ok_or_else(|| self.inside(name).error("is missing"))
    }
}

#[cfg(test)]
mod tests;
