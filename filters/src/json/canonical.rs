//! JSON in one spelling: what means the same is the same text. In the manner of RFC 8785, except
//! that numbers stay exact.
//!
//! **Invariant:** two texts have the same canonical text only if every reader takes them for the
//! same value. What readers disagree about has none: [`Ambiguous`].
//!
//! **Invariant:** one pass. Text that is in order already is copied once; an object that is not is
//! sorted where it was written, so that the work is bounded by [`BYTES_MAX`] and [`DEPTH_MAX`].

pub mod ignored;
pub mod number;
mod text;

use std::cmp::Ordering;
use std::ops::Range;

use crate::bounds::DEPTH_MAX;
use crate::json::canonical::ignored::Ignored;

/// Longest text that is brought into canonical form, in bytes.
pub const BYTES_MAX: usize = 256 * 1024;

/// A text that has no canonical form: a member that stands twice, half a surrogate pair, nesting or
/// length past the bounds, or no JSON at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// What becomes of a member of the outermost object: see [`members`].
#[derive(Clone, Copy, Debug)]
pub enum Treatment<'i> {
    /// It is left out.
    Drop,
    /// It is written.
    Keep,
    /// It is written without what is ignored in it, and left out where it is an empty object then.
    Prune(&'i Ignored),
    /// It is written without its members of these names, which may have dots in them, and left out
    /// where it is an empty object then.
    Without(&'i [&'i [u8]]),
}

/// Appends the canonical text of a JSON value, without what is ignored.
///
/// # Errors
/// [`Ambiguous`]; nothing is appended then.
pub fn write(text: &str, ignored: &Ignored, out: &mut Vec<u8>) -> Result<(), Ambiguous> {
    whole(text, out, |writer| writer.value_without(ignored, 0))
}

/// Appends the canonical text of a JSON object whose members are `treat`ed each by its name. The
/// name comes in its canonical spelling, without the quotes.
///
/// # Errors
/// [`Ambiguous`], also where `treat` finds it so; nothing is appended then.
pub fn members<'i>(
    text: &str,
    out: &mut Vec<u8>,
    mut treat: impl FnMut(&[u8]) -> Result<Treatment<'i>, Ambiguous>,
) -> Result<(), Ambiguous> {
    whole(text, out, |writer| {
        writer.skip_space();
        writer.expect(b'{')?;
        writer.object(
            |writer, name| match treat(writer.out.get(name).unwrap_or_default())? {
                Treatment::Drop => writer.plain_value(1).map(|()| Fate::LeftOut),
                Treatment::Keep => writer.plain_value(1).map(|()| Fate::Kept),
                Treatment::Prune(ignored) => {
                    writer.unless_empty(|writer| writer.value_without(ignored, 1))
                }
                Treatment::Without(names) => {
                    writer.unless_empty(|writer| writer.value_but(names, 1))
                }
            },
        )
    })
}

/// Runs `write` over all of `text`, and takes back what it wrote where it failed.
fn whole<'t>(
    text: &'t str,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Writer<'t, '_>) -> Result<(), Ambiguous>,
) -> Result<(), Ambiguous> {
    if text.len() > BYTES_MAX {
        return Err(Ambiguous);
    }
    let start = out.len();
    let mut writer = Writer {
        rest: text,
        out,
        members: Vec::new(),
        spare: Vec::new(),
        states: Vec::new(),
    };
    let mut outcome = write(&mut writer);
    writer.skip_space();
    if !writer.rest.is_empty() {
        outcome = Err(Ambiguous);
    }
    if outcome.is_err() {
        out.truncate(start);
    }
    outcome
}

/// Whether a member that was written stays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    LeftOut,
}

/// Where a member stands in the output: its name with quotes, colon, value.
#[derive(Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

struct Writer<'t, 'o> {
    rest: &'t str,
    out: &'o mut Vec<u8>,
    /// The members of all objects that are open, outermost first.
    members: Vec<Member>,
    /// Where members are put in order.
    spare: Vec<u8>,
    /// Where all open values are in the ignored paths, outermost first.
    states: Vec<ignored::State>,
}

impl<'t> Writer<'t, '_> {
    fn value_without(&mut self, ignored: &Ignored, depth: usize) -> Result<(), Ambiguous> {
        if ignored.is_empty() {
            return self.plain_value(depth);
        }
        self.states.push(ignored::START);
        let outcome = self.value(depth, ignored, 0..1);
        self.states.clear();
        outcome
    }

    /// One value; where it is an object, without its members of these names.
    fn value_but(&mut self, names: &[&[u8]], depth: usize) -> Result<(), Ambiguous> {
        self.skip_space();
        if !self.rest.starts_with('{') {
            return self.plain_value(depth);
        }
        let inside = self.deeper(depth)?;
        self.object(|writer, name| {
            let is_dropped = names.contains(&writer.out.get(name).unwrap_or_default());
            writer.plain_value(inside)?;
            Ok(if is_dropped {
                Fate::LeftOut
            } else {
                Fate::Kept
            })
        })
    }

    /// Has a value written, which stays unless it is an empty object.
    fn unless_empty(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), Ambiguous>,
    ) -> Result<Fate, Ambiguous> {
        let start = self.out.len();
        write(self)?;
        let is_empty = self.out.get(start..) == Some(b"{}");
        Ok(if is_empty { Fate::LeftOut } else { Fate::Kept })
    }

    fn plain_value(&mut self, depth: usize) -> Result<(), Ambiguous> {
        self.value(depth, Ignored::NONE, 0..0)
    }

    /// One value. `at` are the states that `ignored` is in.
    fn value(
        &mut self,
        depth: usize,
        ignored: &Ignored,
        at: Range<usize>,
    ) -> Result<(), Ambiguous> {
        self.skip_space();
        match self.rest.as_bytes().first() {
            Some(b'"') => {
                self.rest = text::write(self.rest, self.out).ok_or(Ambiguous)?;
                Ok(())
            }
            Some(b'{') => self.deeper(depth).and_then(|inside| {
                self.object(|writer, name| writer.member(name, inside, ignored, at.clone()))
            }),
            Some(b'[') => self
                .deeper(depth)
                .and_then(|inside| self.array(inside, ignored, at)),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => {
                self.rest = number::write(self.rest, self.out).ok_or(Ambiguous)?;
                Ok(())
            }
            Some(_) | None => Err(Ambiguous),
        }
    }

    /// Steps over an opening bracket; the depth inside it.
    fn deeper(&mut self, depth: usize) -> Result<usize, Ambiguous> {
        self.step();
        if depth < DEPTH_MAX {
            Ok(depth + 1)
        } else {
            Err(Ambiguous)
        }
    }

    fn array(
        &mut self,
        depth: usize,
        ignored: &Ignored,
        at: Range<usize>,
    ) -> Result<(), Ambiguous> {
        self.out.push(b'[');
        self.skip_space();
        if self.take(b']') {
            self.out.push(b']');
            return Ok(());
        }
        loop {
            self.value(depth, ignored, at.clone())?;
            self.skip_space();
            if self.take(b']') {
                self.out.push(b']');
                return Ok(());
            }
            self.expect(b',')?;
            self.out.push(b',');
        }
    }

    /// The rest of an object whose bracket was read. `value` writes the value of the member whose
    /// name stands where it is told, and says what becomes of it.
    fn object(
        &mut self,
        mut value: impl FnMut(&mut Self, Range<usize>) -> Result<Fate, Ambiguous>,
    ) -> Result<(), Ambiguous> {
        self.out.push(b'{');
        let first = self.members.len();
        let mut is_sorted = true;
        self.skip_space();
        let mut is_open = !self.take(b'}');
        while is_open {
            let before = self.out.len();
            if self.members.len() > first {
                self.out.push(b',');
            }
            let start = self.out.len();
            self.skip_space();
            self.rest = text::write(self.rest, self.out).ok_or(Ambiguous)?;
            let name_end = self.out.len();
            self.skip_space();
            self.expect(b':')?;
            self.out.push(b':');
            match value(self, start + 1..name_end - 1)? {
                Fate::LeftOut => self.out.truncate(before),
                Fate::Kept => {
                    let member = Member {
                        start,
                        name_end,
                        end: self.out.len(),
                    };
                    is_sorted &= self.follows(first, member)?;
                    self.members.push(member);
                }
            }
            self.skip_space();
            is_open = !self.take(b'}');
            if is_open {
                self.expect(b',')?;
            }
        }
        if !is_sorted {
            self.sort(first)?;
        }
        self.members.truncate(first);
        self.out.push(b'}');
        Ok(())
    }

    /// The value of a member that may be ignored, or have ignored members.
    fn member(
        &mut self,
        name: Range<usize>,
        depth: usize,
        ignored: &Ignored,
        at: Range<usize>,
    ) -> Result<Fate, Ambiguous> {
        if at.is_empty() {
            return self.plain_value(depth).map(|()| Fate::Kept);
        }
        let first = self.states.len();
        let name = self.out.get(name).unwrap_or_default();
        let is_ignored = ignored.step(&mut self.states, at, name);
        let outcome = if is_ignored {
            self.plain_value(depth).map(|()| Fate::LeftOut)
        } else {
            let inside = first..self.states.len();
            self.value(depth, ignored, inside).map(|()| Fate::Kept)
        };
        self.states.truncate(first);
        outcome
    }

    /// Whether `member` comes after the last one of its object.
    fn follows(&self, first: usize, member: Member) -> Result<bool, Ambiguous> {
        let own = self.members.get(first..).unwrap_or_default();
        let Some(last) = own.last() else {
            return Ok(true);
        };
        match text::order(self.name(*last), self.name(member)) {
            Ordering::Less => Ok(true),
            Ordering::Greater => Ok(false),
            Ordering::Equal => Err(Ambiguous),
        }
    }

    /// Puts the members of the innermost object in order. Their text is the end of the output.
    fn sort(&mut self, first: usize) -> Result<(), Ambiguous> {
        let mut own = self.members.split_off(first);
        let start = own.first().map_or(self.out.len(), |member| member.start);
        own.sort_unstable_by(|a, b| text::order(self.name(*a), self.name(*b)));
        let twice = |pair: &[Member]| match pair {
            [a, b] => self.name(*a) == self.name(*b),
            _ => false,
        };
        if own.windows(2).any(twice) {
            return Err(Ambiguous);
        }
        self.spare.clear();
        for member in &own {
            if !self.spare.is_empty() {
                self.spare.push(b',');
            }
            let text = self.out.get(member.start..member.end).unwrap_or_default();
            self.spare.extend_from_slice(text);
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&self.spare);
        Ok(())
    }

    /// A member's name as it was written, without the quotes.
    fn name(&self, member: Member) -> &[u8] {
        let name = member.start + 1..member.name_end.saturating_sub(1);
        self.out.get(name).unwrap_or_default()
    }

    fn literal(&mut self, word: &'static str) -> Result<(), Ambiguous> {
        self.rest = self.rest.strip_prefix(word).ok_or(Ambiguous)?;
        self.out.extend_from_slice(word.as_bytes());
        Ok(())
    }

    fn skip_space(&mut self) {
        if let Some(b' ' | b'\t' | b'\n' | b'\r') = self.rest.as_bytes().first() {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.rest.as_bytes().first() == Some(&byte);
        if is_there {
            self.step();
        }
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Ambiguous> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(Ambiguous)
        }
    }

    /// Steps over one ASCII character.
    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
