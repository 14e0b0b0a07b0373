//! Where in a value something stands: `filter.limit`, `rows.0.id`, `content.*.text`, `**`.
//!
//! - A name is the member of an object. At an array it goes on in every element.
//! - A number is the element of an array, or the member of that name.
//! - `*` is every member or element.
//! - `**`, which can only be last, is the value itself and everything in it.
//! - A dot or star that belongs to a name is written after a backslash: `a\.b`.

/// Most segments of a path.
pub const SEGMENTS_MAX: usize = 32;

/// A compiled path; without segments it is the whole value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Segment>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The member of that name.
    Name(Box<str>),
    /// The element at that place, or the member of that name.
    Index(usize, Box<str>),
    /// Every member or element.
    Any,
    /// The value and everything in it.
    Deep,
}

/// A text that is no path, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl Path {
    /// Compiles a path; the empty text is the whole value.
    ///
    /// # Errors
    /// [`Invalid`] where a segment is empty, or `**` is not the last one.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut segments = Vec::new();
        if text.is_empty() {
            return Ok(Self { segments });
        }
        let mut name = String::new();
        let mut is_escaped = false;
        let mut chars = text.chars();
        loop {
            match chars.next() {
                Some('\\') => {
                    name.push(chars.next().ok_or(Invalid("ends with a backslash"))?);
                    is_escaped = true;
                }
                Some(other) if other != '.' => name.push(other),
                end => {
                    if segments.last() == Some(&Segment::Deep) {
                        return Err(Invalid("has something after `**`"));
                    }
                    segments.push(segment(&name, is_escaped)?);
                    if segments.len() > SEGMENTS_MAX {
                        return Err(Invalid("has more than 32 segments"));
                    }
                    if end.is_none() {
                        return Ok(Self { segments });
                    }
                    name.clear();
                    is_escaped = false;
                }
            }
        }
    }

    /// The segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it ends with `**`.
    #[must_use]
    pub fn is_deep(&self) -> bool {
        self.segments.last() == Some(&Segment::Deep)
    }
}

fn segment(name: &str, is_escaped: bool) -> Result<Segment, Invalid> {
    Ok(match name {
        "" => return Err(Invalid("has an empty segment")),
        "*" if !is_escaped => Segment::Any,
        "**" if !is_escaped => Segment::Deep,
        _ => match name.parse() {
            Ok(index) if !is_escaped => Segment::Index(index, name.into()),
            Ok(_) | Err(_) => Segment::Name(name.into()),
        },
    })
}

impl Segment {
    /// Whether a member of this name is meant.
    #[must_use]
    pub fn names(&self, member: &str) -> bool {
        match self {
            Self::Name(name) | Self::Index(_, name) => **name == *member,
            Self::Any | Self::Deep => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_segments() {
        let name = |text: &str| Segment::Name(text.into());
        for (text, segments) in [
            ("", vec![]),
            ("a", vec![name("a")]),
            ("a.b", vec![name("a"), name("b")]),
            (
                "rows.0.id",
                vec![name("rows"), Segment::Index(0, "0".into()), name("id")],
            ),
            ("a.*.**", vec![name("a"), Segment::Any, Segment::Deep]),
            (r"a\.b.\*", vec![name("a.b"), name("*")]),
            (r"\0", vec![name("0")]),
        ] {
            assert_eq!(Path::parse(text).unwrap().segments(), segments, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        for (text, why) in [
            (".", "has an empty segment"),
            ("a.", "has an empty segment"),
            ("a..b", "has an empty segment"),
            ("**.a", "has something after `**`"),
            ("a\\", "ends with a backslash"),
        ] {
            assert_eq!(Path::parse(text), Err(Invalid(why)), "{text}");
        }
        assert!(Path::parse(&["a"; 32].join(".")).is_ok());
        assert!(Path::parse(&["a"; 33].join(".")).is_err());
    }
}
