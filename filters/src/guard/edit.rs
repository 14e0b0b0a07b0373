//! Changes a value where paths say so, and leaves every other byte of it as it was: the order of
//! members, white space and the spelling of numbers survive.
//!
//! **Invariant:** what is not understood is not changed by guess: [`Opaque`].
//! **Invariant:** what comes out is at most [`BYTES_MAX`] long.

mod names;
mod texts;

use std::borrow::Cow;

use crate::bounds::DEPTH_MAX;
use crate::guard::detect::Detectors;
use crate::guard::edit::names::Written;
use crate::guard::path::{Path, Segment};
use crate::guard::pattern::{Meter, Pattern};
use crate::guard::reader::{Reader, unescaped};
use crate::guard::spec;
use crate::guard::walk::Opaque;
use crate::json::object::quoted;
use crate::problem::Problems;

/// Longest text that comes of changes, in bytes.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;
/// What stands in the place of what was redacted, JSON text.
const REDACTED: &str = r#""[REDACTED]""#;
/// Longest text that matches are replaced with, in bytes.
const WITH_BYTES_MAX: usize = 1024;

/// A compiled change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    path: Path,
    edit: Edit,
}

#[derive(Clone, Debug)]
enum Edit {
    /// JSON text.
    Set(String),
    Delete,
    Redact,
    RedactFound(Detectors),
    Truncate(usize),
    Replace(Pattern, String),
}

impl Change {
    /// Compiles a change; `at` is where it is written.
    pub(super) fn compile(spec: &spec::Change, at: &str, problems: &mut Problems) -> Option<Self> {
        let mut path = match Path::parse(&spec.path) {
            Ok(path) => path,
            Err(error) => {
                problems
                    .error(format!("{at}.path"), error.0)
                    .found(format!("{:?}", spec.path));
                return None;
            }
        };
        let edit = match &spec.edit {
            spec::Edit::Set(value) => Edit::Set(value.to_string()),
            spec::Edit::Delete => Edit::Delete,
            spec::Edit::Redact => Edit::Redact,
            spec::Edit::RedactFound(found) => Edit::RedactFound(found.iter().copied().collect()),
            spec::Edit::Truncate(max) => Edit::Truncate(*max),
            spec::Edit::Replace { pattern, with } => replace(pattern, with, at, problems)?,
        };
        let is_of_texts = edit.is_of_texts();
        if is_of_texts && path.segments().is_empty() {
            path = Path::parse("**").unwrap_or(path);
        }
        if !is_of_texts && (path.is_deep() || path.segments().is_empty()) {
            let message = "must name a value: this change cannot be made to everything";
            problems.error(format!("{at}.path"), message);
            return None;
        }
        Some(Self { path, edit })
    }
}

fn replace(text: &str, with: &str, at: &str, problems: &mut Problems) -> Option<Edit> {
    let wrong = |problems: &mut Problems, key: &str, message: &str| {
        problems.error(format!("{at}.{key}"), message);
    };
    let pattern = match Pattern::compile(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            wrong(problems, "replace", &error);
            return None;
        }
    };
    if pattern.may_be_empty() {
        wrong(
            problems,
            "replace",
            "must not match the empty text: it would match everywhere",
        );
        return None;
    }
    if with.len() > WITH_BYTES_MAX {
        wrong(problems, "with", "must have at most 1024 bytes");
        return None;
    }
    Some(Edit::Replace(pattern, with.to_owned()))
}

/// The value after all changes, JSON text; nothing where none of them changes anything.
pub(super) fn apply(
    changes: &[Change],
    value: &str,
    meter: &mut Meter,
) -> Result<Option<String>, Opaque> {
    let mut changed: Option<String> = None;
    for change in changes {
        let text = changed.as_deref().unwrap_or(value);
        let mut editor = Editor {
            reader: Reader::new(text),
            out: String::with_capacity(text.len()),
            edit: &change.edit,
            is_changed: false,
            meter: &mut *meter,
        };
        editor.value(change.path.segments(), 0)?;
        if editor.reader.peek().is_some() {
            return Err(Opaque::Syntax);
        }
        if editor.is_changed {
            changed = Some(editor.out);
        }
    }
    Ok(changed)
}

struct Editor<'e, 't> {
    reader: Reader<'t>,
    out: String,
    edit: &'e Edit,
    is_changed: bool,
    /// What matching may still cost.
    meter: &'e mut Meter,
}

/// Whether what was read stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Gone,
}

impl Editor<'_, '_> {
    /// Copies a value, changed where the path ends in it.
    fn value(&mut self, path: &[Segment], depth: usize) -> Result<Fate, Opaque> {
        if depth > DEPTH_MAX {
            return Err(Opaque::Depth);
        }
        let before = self.reader.at();
        let first = self.reader.peek().ok_or(Opaque::Syntax)?;
        self.copy(before)?;
        match (path, first) {
            ([] | [Segment::Deep], b'{') if self.edit.is_of_texts() && path.is_empty() => {
                self.whole()
            }
            ([Segment::Deep] | [_, ..], b'{') => self.object(path, depth),
            ([_, ..], b'[') => self.array(path, depth),
            ([], b'[') if self.edit.is_of_texts() => self.array(path, depth),
            ([] | [Segment::Deep], _) => self.end(),
            ([_, ..], _) => self.whole(),
        }
    }

    /// Copies what was read since.
    fn copy(&mut self, from: usize) -> Result<(), Opaque> {
        let text = self.reader.slice(from, self.reader.at());
        self.push(text)
    }

    fn push(&mut self, text: &str) -> Result<(), Opaque> {
        if self.out.len() + text.len() > BYTES_MAX {
            return Err(Opaque::Length);
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Copies a whole value.
    fn whole(&mut self) -> Result<Fate, Opaque> {
        let text = self.reader.value().ok_or(Opaque::Syntax)?;
        self.push(text)?;
        Ok(Fate::Kept)
    }

    /// What stands at the end of the path.
    fn end(&mut self) -> Result<Fate, Opaque> {
        let raw = self.reader.value().ok_or(Opaque::Syntax)?;
        let becomes = match self.edit {
            Edit::Delete => {
                self.is_changed = true;
                return Ok(Fate::Gone);
            }
            Edit::Set(value) => Some(Cow::Borrowed(value.as_str())),
            Edit::Redact => Some(Cow::Borrowed(REDACTED)),
            Edit::RedactFound(_) | Edit::Truncate(_) | Edit::Replace(..) => {
                self.edit.text(raw, self.meter)?.map(Cow::Owned)
            }
        };
        match becomes {
            Some(becomes) if becomes != raw => {
                self.is_changed = true;
                self.push(&becomes)?;
            }
            Some(_) | None => self.push(raw)?,
        }
        Ok(Fate::Kept)
    }

    fn object(&mut self, path: &[Segment], depth: usize) -> Result<Fate, Opaque> {
        let start = self.reader.at();
        self.reader.eat(b'{');
        self.copy(start)?;
        let mut is_first = true;
        let mut is_seen = false;
        let mut written = Written::default();
        let is_empty = self.reader.clone().peek() == Some(b'}');
        loop {
            if is_empty {
                break;
            }
            let (from, mark) = (self.reader.at(), self.out.len());
            if !is_first {
                self.push(",")?;
            }
            self.reader.peek();
            self.copy(from)?;
            let raw = self.reader.string().ok_or(Opaque::Syntax)?;
            self.name(raw, path, &mut written)?;
            let name = unescaped(raw);
            let fate = match inside(path, name.as_deref()) {
                Some(rest) => {
                    let is_named = !matches!(path.first(), Some(Segment::Any | Segment::Deep));
                    if is_named && std::mem::replace(&mut is_seen, true) {
                        return Err(Opaque::Twice);
                    }
                    self.value(rest, depth + 1)?
                }
                None => self.as_it_is()?,
            };
            match fate {
                Fate::Kept => is_first = false,
                Fate::Gone => self.out.truncate(mark),
            }
            match self.next(b'}')? {
                true => {}
                false => break,
            }
        }
        written.check(&self.out)?;
        if !is_seen
            && let ([Segment::Name(name) | Segment::Index(_, name)], Edit::Set(value)) =
                (path, self.edit)
        {
            self.is_changed = true;
            let comma = if is_first { "" } else { "," };
            self.push(&format!("{comma}{}:{value}", quoted(name)))?;
        }
        self.close(b'}')
    }

    /// Copies the name of a member, changed where everything below is, and what parts it from its value.
    fn name(&mut self, raw: &str, path: &[Segment], written: &mut Written) -> Result<(), Opaque> {
        let is_meant = path.first() == Some(&Segment::Deep) && self.edit.is_of_names();
        let becomes = match is_meant {
            true => self
                .edit
                .text(raw, self.meter)?
                .filter(|becomes| becomes != raw),
            false => None,
        };
        let start = self.out.len();
        self.push(becomes.as_deref().unwrap_or(raw))?;
        if is_meant {
            written.note(start..self.out.len(), becomes.is_some());
            self.is_changed |= becomes.is_some();
        }
        let end = self.reader.at();
        if !self.reader.eat(b':') {
            return Err(Opaque::Syntax);
        }
        self.copy(end)
    }

    fn array(&mut self, path: &[Segment], depth: usize) -> Result<Fate, Opaque> {
        let start = self.reader.at();
        self.reader.eat(b'[');
        self.copy(start)?;
        let mut is_first = true;
        let is_empty = self.reader.clone().peek() == Some(b']');
        for place in 0_usize.. {
            if is_empty {
                break;
            }
            let mark = self.out.len();
            if !is_first {
                self.push(",")?;
            }
            let rest = match path {
                [] | [Segment::Deep | Segment::Name(_), ..] => Some(path),
                [Segment::Any, rest @ ..] => Some(rest),
                [Segment::Index(wanted, _), rest @ ..] => (*wanted == place).then_some(rest),
            };
            let fate = match rest {
                Some(rest) => self.value(rest, depth + 1)?,
                None => self.as_it_is()?,
            };
            match fate {
                Fate::Kept => is_first = false,
                Fate::Gone => self.out.truncate(mark),
            }
            match self.next(b']')? {
                true => {}
                false => break,
            }
        }
        self.close(b']')
    }

    fn as_it_is(&mut self) -> Result<Fate, Opaque> {
        let from = self.reader.at();
        self.reader.value().ok_or(Opaque::Syntax)?;
        self.copy(from)?;
        Ok(Fate::Kept)
    }

    /// Whether another member or element follows; the reader stands before it, or before the end.
    fn next(&mut self, end: u8) -> Result<bool, Opaque> {
        let from = self.reader.at();
        let next = self.reader.peek();
        self.copy(from)?;
        match next {
            Some(byte) if byte == end => Ok(false),
            Some(b',') => Ok(self.reader.eat(b',')),
            Some(_) | None => Err(Opaque::Syntax),
        }
    }

    fn close(&mut self, end: u8) -> Result<Fate, Opaque> {
        let from = self.reader.at();
        self.reader.peek();
        self.copy(from)?;
        if !self.reader.eat(end) {
            return Err(Opaque::Syntax);
        }
        self.push(if end == b'}' { "}" } else { "]" })?;
        Ok(Fate::Kept)
    }
}

/// What is left of a path inside a member; nothing where it does not go there.
fn inside<'p>(path: &'p [Segment], name: Option<&str>) -> Option<&'p [Segment]> {
    let (segment, rest) = path.split_first()?;
    match segment {
        Segment::Deep => Some(path),
        Segment::Any => Some(rest),
        Segment::Name(_) | Segment::Index(..) => segment.names(name?).then_some(rest),
    }
}
