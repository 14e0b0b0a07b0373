//! Conditions: a path, and what must hold for some value that stands there.
//!
//! | operator | holds for |
//! |---|---|
//! | `eq` | a value that means the same, also deep inside; the elements of a list are tested, too, unless a list is expected |
//! | `neq` | a value that does not mean the same |
//! | `gt` `gte` `lt` `lte` | a number, digit for digit; the elements of a list are tested, too |
//! | `contains` | a text with the text in it; a list with an equal element |
//! | `not_contains` | whatever is there and does not contain it |
//! | `matches` | a text with a match in it; the elements of a list are tested, too |
//! | `exists` | whatever is there, also `null` |
//! | `not_exists` | nothing there |
//!
//! Where nothing stands at the path, nothing but `not_exists` holds. Where several values do, one that
//! passes is enough.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::guard::detect;
use crate::guard::detect::Detectors;
use crate::guard::number::Number;
use crate::guard::path::Path;
use crate::guard::pattern::{Meter, Overwork, Pattern};
use crate::guard::reader::unescaped;
use crate::guard::spec::{self, Check, Operator};
use crate::guard::walk::Opaque;
use crate::json::canonical;
use crate::json::canonical::ignored::Ignored;
use crate::problem::Problems;

/// A compiled condition.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) path: Path,
    pub(super) test: Test,
}

/// What is tested of a value.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equals(Expected),
    Differs(Expected),
    Ranks(Rank, Number),
    Contains(Expected),
    Lacks(Expected),
    Matches(Pattern),
    Exists,
    Missing,
    Detects(Detectors),
    LongerThan(usize),
}

/// How a number stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    canonical: Vec<u8>,
    /// Where it is a text.
    text: Option<String>,
    /// Finds that in another.
    finder: Option<Finder<'static>>,
    is_list: bool,
}

/// A value that conditions look at: its text is read once for all of them.
pub(super) struct Given<'t> {
    /// JSON text.
    raw: &'t str,
    text: OnceCell<Option<Cow<'t, str>>>,
}

impl<'t> Given<'t> {
    pub(super) fn new(raw: &'t str) -> Self {
        Self {
            raw,
            text: OnceCell::new(),
        }
    }

    /// The text that it is; nothing where it is none.
    fn text(&self) -> Result<Option<&str>, Opaque> {
        if !self.raw.starts_with('"') {
            return Ok(None);
        }
        let text = self.text.get_or_init(|| unescaped(self.raw));
        text.as_deref().map(Some).ok_or(Opaque::Text)
    }
}

impl Condition {
    /// Compiles a condition; `at` is where it is written.
    pub(super) fn compile(
        spec: &spec::Condition,
        at: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = Path::parse(&spec.field);
        let path = path
            .map_err(|error| {
                problems
                    .error(format!("{at}.field"), error.0)
                    .found(quote(&spec.field))
            })
            .ok();
        let test = match &spec.check {
            Check::Compare(operator, value) => compare(*operator, value, at, problems),
            Check::Detect(detectors) => Some(Test::Detects(detectors.iter().copied().collect())),
            Check::Oversize(max) => Some(Test::LongerThan(*max)),
        };
        let mut path = path?;
        let test = test?;
        if spec.field.is_empty() && matches!(test, Test::Detects(_)) {
            path = Path::parse("**").unwrap_or(path);
        }
        Some(Self { path, test })
    }
}

fn quote(text: &str) -> String {
    format!("{text:?}")
}

fn compare(operator: Operator, value: &Value, at: &str, problems: &mut Problems) -> Option<Test> {
    let wrong = |problems: &mut Problems, message: &str| {
        let problem = problems.error(format!("{at}.value"), message);
        problem.because_of(format!("{at}.operator"));
    };
    let expected = |problems: &mut Problems| match Expected::of(value) {
        Some(expected) => Some(expected),
        None => {
            wrong(problems, "is too large to compare with");
            None
        }
    };
    let rank = |rank, problems: &mut Problems| {
        let number = value
            .as_number()
            .and_then(|number| Number::read(&number.to_string()));
        if number.is_none() {
            wrong(problems, "must be a number for this operator");
        }
        number.map(|number| Test::Ranks(rank, number))
    };
    Some(match operator {
        Operator::Eq => Test::Equals(expected(problems)?),
        Operator::Neq => Test::Differs(expected(problems)?),
        Operator::Contains => Test::Contains(expected(problems)?),
        Operator::NotContains => Test::Lacks(expected(problems)?),
        Operator::Gt => rank(Rank::Above, problems)?,
        Operator::Gte => rank(Rank::AtLeast, problems)?,
        Operator::Lt => rank(Rank::Below, problems)?,
        Operator::Lte => rank(Rank::AtMost, problems)?,
        Operator::Matches => match value.as_str().map(Pattern::compile) {
            Some(Ok(pattern)) => Test::Matches(pattern),
            Some(Err(error)) => {
                wrong(problems, &error);
                return None;
            }
            None => {
                wrong(problems, "must be a regular expression for this operator");
                return None;
            }
        },
        Operator::Exists => Test::Exists,
        Operator::NotExists => Test::Missing,
    })
}

impl Expected {
    fn of(value: &Value) -> Option<Self> {
        let mut canonical = Vec::new();
        canonical::write(&value.to_string(), Ignored::NONE, &mut canonical).ok()?;
        Some(Self {
            canonical,
            text: value.as_str().map(str::to_owned),
            finder: value.as_str().map(|text| Finder::new(text).into_owned()),
            is_list: value.is_array(),
        })
    }

    /// Whether a value means the same.
    fn is(&self, value: &Given<'_>) -> Result<bool, Opaque> {
        let raw = value.raw;
        let first = |text: &[u8]| match text.first() {
            Some(b'-' | b'0'..=b'9') => Some(b'0'),
            first => first.copied(),
        };
        // Most values are of another kind.
        if first(raw.as_bytes()) != first(&self.canonical) {
            return Ok(false);
        }
        if let Some(text) = &self.text {
            return Ok(value.text()? == Some(text));
        }
        let mut canonical = Vec::new();
        canonical::write(raw, Ignored::NONE, &mut canonical).map_err(|_| Opaque::Ambiguous)?;
        Ok(canonical == self.canonical)
    }
}

impl Test {
    /// Whether the elements of a list that stands at the path are tested, too.
    pub(super) fn is_elementwise(&self) -> bool {
        match self {
            Self::Equals(expected) => !expected.is_list,
            Self::Ranks(..) | Self::Matches(_) | Self::Detects(_) => true,
            Self::Differs(_)
            | Self::Contains(_)
            | Self::Lacks(_)
            | Self::Exists
            | Self::Missing
            | Self::LongerThan(_) => false,
        }
    }

    /// Whether names of members are tested, too, where everything is.
    pub(super) fn is_of_names(&self) -> bool {
        match self {
            Self::Matches(_) | Self::Detects(_) => true,
            Self::Equals(_)
            | Self::Differs(_)
            | Self::Ranks(..)
            | Self::Contains(_)
            | Self::Lacks(_)
            | Self::Exists
            | Self::Missing
            | Self::LongerThan(_) => false,
        }
    }

    /// What an element of a list is to be equal to, where that counts.
    pub(super) fn element(&self) -> Option<&Expected> {
        match self {
            Self::Contains(expected) | Self::Lacks(expected) => Some(expected),
            Self::Equals(_)
            | Self::Differs(_)
            | Self::Ranks(..)
            | Self::Matches(_)
            | Self::Exists
            | Self::Missing
            | Self::Detects(_)
            | Self::LongerThan(_) => None,
        }
    }

    /// Whether it holds for one value. `has_equal` is whether a list has an element that it is to have.
    pub(super) fn holds(
        &self,
        value: &Given<'_>,
        has_equal: bool,
        meter: &mut Meter,
    ) -> Result<bool, Opaque> {
        let raw = value.raw;
        Ok(match self {
            Self::Equals(expected) => expected.is(value)?,
            Self::Differs(expected) => !expected.is(value)?,
            Self::Ranks(rank, than) => rank_of(raw, *rank, than)?,
            Self::Contains(expected) => has_equal || contains(value.text()?, expected),
            Self::Lacks(expected) => !has_equal && !contains(value.text()?, expected),
            Self::Matches(pattern) => match value.text()? {
                Some(text) => pattern
                    .is_match(text, meter)
                    .map_err(|Overwork| Opaque::Work)?,
                None => false,
            },
            Self::Exists => true,
            Self::Missing => false,
            Self::Detects(detectors) => match value.text()? {
                Some(text) => detect::is_found(*detectors, text),
                // A card number may be written as a number.
                None => is_number(raw) && detect::is_found(*detectors, raw),
            },
            Self::LongerThan(max) => raw.len() > *max,
        })
    }
}

impl Expected {
    /// Whether an element of a list is the one that is looked for.
    pub(super) fn is_element(&self, value: &Given<'_>) -> Result<bool, Opaque> {
        self.is(value)
    }
}

pub(super) fn is_number(raw: &str) -> bool {
    raw.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn contains(text: Option<&str>, expected: &Expected) -> bool {
    match (text, &expected.finder) {
        (Some(text), Some(part)) => part.find(text.as_bytes()).is_some(),
        (Some(_), None) | (None, _) => false,
    }
}

fn rank_of(raw: &str, rank: Rank, than: &Number) -> Result<bool, Opaque> {
    if !is_number(raw) {
        return Ok(false);
    }
    let order = Number::read(raw).ok_or(Opaque::Ambiguous)?.cmp(than);
    Ok(match rank {
        Rank::Above => order.is_gt(),
        Rank::AtLeast => order.is_ge(),
        Rank::Below => order.is_lt(),
        Rank::AtMost => order.is_le(),
    })
}
