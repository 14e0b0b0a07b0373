//! One pass over a value that finds out which of many conditions hold.
//!
//! **Invariant:** a member that stands twice where a path looks for it makes its conditions
//! [`Opaque::Twice`]: which one counts is up to the reader, and the server's may be another.
//! **Invariant:** no more is kept than what is open: memory grows with depth and conditions, not with
//! the text.

use std::ops::Range;

use crate::bounds::DEPTH_MAX;
use crate::guard::condition::{Condition, Given, Test};
use crate::guard::path::{Path, Segment};
use crate::guard::pattern::Meter;
use crate::guard::reader::{Reader, unescaped};

/// Why it cannot be told whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opaque {
    /// The text is no JSON.
    Syntax,
    /// It nests deeper than the bound.
    Depth,
    /// A member that is looked for stands twice.
    Twice,
    /// A text has half a surrogate pair.
    Text,
    /// A value has no one meaning, or is too long to be compared.
    Ambiguous,
    /// What it would become is too long.
    Length,
    /// Its expressions would take too long to be searched for.
    Work,
    /// Its URI is spelled so that what is to be changed in it cannot be.
    Spelling,
}

impl Opaque {
    /// In words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Syntax => "it is not valid JSON",
            Self::Depth => "it is nested too deeply",
            Self::Twice => "a member of an object stands twice",
            Self::Text => "a text is not valid Unicode",
            Self::Ambiguous => "a value is ambiguous or too long to be compared",
            Self::Length => "it would become too long",
            Self::Work => "it would take too long to examine",
            Self::Spelling => "its URI hides what is to be changed in it",
        }
    }
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It does not hold.
    Unmet,
    /// It holds.
    Met,
    /// It cannot be told.
    Opaque(Opaque),
}

impl State {
    /// What is known where it is enough that it holds for one of two values.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Opaque(opaque), _) | (_, Self::Opaque(opaque)) => Self::Opaque(opaque),
            (Self::Met, _) | (_, Self::Met) => Self::Met,
            (Self::Unmet, Self::Unmet) => Self::Unmet,
        }
    }
}

/// Whether each condition holds for a value, JSON text; without one nothing is there.
pub(super) fn judge(
    conditions: &[&Condition],
    value: Option<&str>,
    meter: &mut Meter,
) -> Vec<State> {
    let mut walk = Walk {
        reader: Reader::new(value.unwrap_or_default()),
        conditions,
        known: vec![Known::default(); conditions.len()],
        open: Vec::with_capacity(conditions.len() * 2),
        meter,
    };
    if value.is_some() {
        for index in 0..conditions.len() {
            walk.open.push(Open::at(index, 0));
        }
        let outcome = walk.value(0..conditions.len(), 0);
        let outcome = outcome.and_then(|()| match walk.reader.peek() {
            None => Ok(()),
            Some(_) => Err(Opaque::Syntax),
        });
        if let Err(opaque) = outcome {
            return vec![State::Opaque(opaque); conditions.len()];
        }
    }
    let known = walk.known.iter().zip(conditions);
    known
        .map(|(known, condition)| match (known.opaque, &condition.test) {
            (Some(opaque), _) => State::Opaque(opaque),
            (None, Test::Missing) if known.is_there => State::Unmet,
            (None, Test::Missing) => State::Met,
            (None, _) if known.holds => State::Met,
            (None, _) => State::Unmet,
        })
        .collect()
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    is_there: bool,
    holds: bool,
    opaque: Option<Opaque>,
    /// Whether the list that is open has an equal element.
    has_equal: bool,
}

/// How far a condition's path goes at a value that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    condition: usize,
    /// Segments that are behind.
    depth: usize,
    /// An element of the list that stands at the path.
    is_element: bool,
    /// The member that comes next on the path was there.
    is_seen: bool,
}

impl Open {
    fn at(condition: usize, depth: usize) -> Self {
        Self {
            condition,
            depth,
            is_element: false,
            is_seen: false,
        }
    }
}

struct Walk<'w, 't> {
    reader: Reader<'t>,
    conditions: &'w [&'w Condition],
    known: Vec<Known>,
    /// The conditions whose paths go on in each value that is open, outermost first.
    open: Vec<Open>,
    /// What matching may still cost.
    meter: &'w mut Meter,
}

impl Walk<'_, '_> {
    fn value(&mut self, frame: Range<usize>, depth: usize) -> Result<(), Opaque> {
        if depth > DEPTH_MAX {
            return Err(Opaque::Depth);
        }
        let first = self.reader.peek().ok_or(Opaque::Syntax)?;
        let start = self.reader.at();
        match first {
            b'{' if self.goes_on(&frame) => self.object(&frame, depth)?,
            b'[' if self.goes_on(&frame) => self.array(&frame, depth)?,
            _ => {
                self.reader.value().ok_or(Opaque::Syntax)?;
            }
        }
        let given = Given::new(self.reader.slice(start, self.reader.at()));
        for index in frame {
            self.test(index, &given);
        }
        Ok(())
    }

    /// Whether anything in a value matters.
    fn goes_on(&self, frame: &Range<usize>) -> bool {
        let open = self.open.get(frame.clone()).unwrap_or_default();
        open.iter().any(|open| {
            self.conditions
                .get(open.condition)
                .is_some_and(|condition| {
                    let is_inside = next(&condition.path, open.depth).is_some();
                    let has_element = condition.test.element().is_some() && !open.is_element;
                    is_inside || condition.test.is_elementwise() || has_element
                })
        })
    }

    fn object(&mut self, frame: &Range<usize>, depth: usize) -> Result<(), Opaque> {
        self.reader.eat(b'{');
        if self.reader.eat(b'}') {
            return Ok(());
        }
        loop {
            let raw = self.reader.string().ok_or(Opaque::Syntax)?;
            let name = unescaped(raw);
            if !self.reader.eat(b':') {
                return Err(Opaque::Syntax);
            }
            let below = self.open.len();
            let given = Given::new(raw);
            for index in frame.clone() {
                self.name(index, &given);
                self.enter(index, name.as_deref());
            }
            let inside = below..self.open.len();
            self.child(inside, depth)?;
            self.open.truncate(below);
            if self.reader.eat(b'}') {
                return Ok(());
            }
            if !self.reader.eat(b',') {
                return Err(Opaque::Syntax);
            }
        }
    }

    /// Tests a member's name where everything below is tested.
    fn name(&mut self, index: usize, given: &Given<'_>) {
        let Some(open) = self.open.get(index) else {
            return;
        };
        let (Some(condition), Some(known)) = (
            self.conditions.get(open.condition),
            self.known.get_mut(open.condition),
        ) else {
            return;
        };
        let is_deep = next(&condition.path, open.depth) == Some(&Segment::Deep);
        if !is_deep || !condition.test.is_of_names() || known.holds {
            return;
        }
        match condition.test.holds(given, false, self.meter) {
            Ok(holds) => known.holds = holds,
            Err(opaque) => known.opaque = known.opaque.or(Some(opaque)),
        }
    }

    /// Goes on into the member of that name, where a path does.
    fn enter(&mut self, index: usize, name: Option<&str>) {
        let conditions = self.conditions;
        let Some(open) = self.open.get_mut(index) else {
            return;
        };
        let Some(condition) = conditions.get(open.condition) else {
            return;
        };
        let Some(segment) = next(&condition.path, open.depth) else {
            return;
        };
        let is_any = matches!(segment, Segment::Any | Segment::Deep);
        if !is_any && !name.is_some_and(|name| segment.names(name)) {
            return;
        }
        let inside = match segment {
            Segment::Deep => Open::at(open.condition, open.depth),
            Segment::Any => Open::at(open.condition, open.depth + 1),
            Segment::Name(_) | Segment::Index(..) => {
                if std::mem::replace(&mut open.is_seen, true)
                    && let Some(known) = self.known.get_mut(open.condition)
                {
                    known.opaque = Some(Opaque::Twice);
                }
                Open::at(open.condition, open.depth + 1)
            }
        };
        self.open.push(inside);
    }

    fn array(&mut self, frame: &Range<usize>, depth: usize) -> Result<(), Opaque> {
        self.reader.eat(b'[');
        if self.reader.eat(b']') {
            return Ok(());
        }
        for place in 0_usize.. {
            let below = self.open.len();
            for index in frame.clone() {
                self.enter_element(index, place);
            }
            let inside = below..self.open.len();
            self.child(inside, depth)?;
            self.open.truncate(below);
            if self.reader.eat(b']') {
                return Ok(());
            }
            if !self.reader.eat(b',') {
                return Err(Opaque::Syntax);
            }
        }
        Ok(())
    }

    fn enter_element(&mut self, index: usize, place: usize) {
        let Some(open) = self.open.get(index).copied() else {
            return;
        };
        let Some(condition) = self.conditions.get(open.condition) else {
            return;
        };
        if open.is_element && condition.test.element().is_some() {
            return;
        }
        let inside = match next(&condition.path, open.depth) {
            None if condition.test.is_elementwise() || condition.test.element().is_some() => Open {
                is_element: true,
                ..open
            },
            None => return,
            Some(Segment::Deep) => Open::at(open.condition, open.depth),
            Some(Segment::Any) => Open::at(open.condition, open.depth + 1),
            Some(Segment::Index(wanted, _)) if *wanted == place => {
                Open::at(open.condition, open.depth + 1)
            }
            Some(Segment::Index(..)) => return,
            Some(Segment::Name(_)) => Open::at(open.condition, open.depth),
        };
        self.open.push(inside);
    }

    /// A member's value or an element.
    fn child(&mut self, inside: Range<usize>, depth: usize) -> Result<(), Opaque> {
        if inside.is_empty() {
            return match self.reader.value() {
                Some(_) => Ok(()),
                None => Err(Opaque::Syntax),
            };
        }
        self.value(inside, depth + 1)
    }

    /// Tests a value where a path ends.
    fn test(&mut self, index: usize, given: &Given<'_>) {
        let Some(open) = self.open.get(index).copied() else {
            return;
        };
        let (Some(condition), Some(known)) = (
            self.conditions.get(open.condition),
            self.known.get_mut(open.condition),
        ) else {
            return;
        };
        let is_at_end = match next(&condition.path, open.depth) {
            None | Some(Segment::Deep) => true,
            Some(Segment::Name(_) | Segment::Index(..) | Segment::Any) => false,
        };
        if !is_at_end || known.holds {
            return;
        }
        if open.is_element
            && let Some(expected) = condition.test.element()
        {
            match expected.is_element(given) {
                Ok(is_equal) => known.has_equal |= is_equal,
                Err(opaque) => known.opaque = known.opaque.or(Some(opaque)),
            }
            return;
        }
        known.is_there = true;
        let has_equal = std::mem::take(&mut known.has_equal);
        match condition.test.holds(given, has_equal, self.meter) {
            Ok(holds) => known.holds = holds,
            Err(opaque) => known.opaque = known.opaque.or(Some(opaque)),
        }
    }
}

fn next(path: &Path, depth: usize) -> Option<&Segment> {
    path.segments().get(depth)
}
