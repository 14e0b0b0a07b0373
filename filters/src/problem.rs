//! Findings about a configuration, gathered and told together.
//!
//! Whoever reads a part of the configuration (the YAML reader, the schema walk, a policy's
//! `compile`) adds what it finds wrong to one [`Problems`] and goes on, so that an operator sees
//! every mistake of a file at once. A finding names the path of the value; where that value was
//! written is filled in at the end, by [`Problems::locate`], so that no compiler has to carry
//! lines and columns around.
//!
//! **Invariant:** the list is bounded by [`PROBLEMS_MAX`]; what did not fit is counted, never
//! silently dropped.
//! **Invariant:** nothing here prints a value by itself: `found` is what the finder chose to show.

use std::fmt;

/// How many findings one load keeps; the rest is only counted.
pub const PROBLEMS_MAX: usize = 1_000;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but not all of it means what it seems to.
    Warning,
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the configuration file; both count from 1.
    Text {
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// In an environment variable of this name that overrides the file.
    Variable(String),
}

/// One thing that is wrong, or doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// The YAML path of the value, such as `servers[0].url`; empty for the file as a whole.
    pub path: String,
    /// What is wrong and what to do, lower case, without a full stop.
    pub message: String,
    /// The value as it was written, masked by the finder if it can be a secret.
    pub found: Option<String>,
    /// What would be accepted instead.
    pub allowed: Option<String>,
    /// Where the value was written, once known.
    pub place: Option<Place>,
    /// The path of another value without which this would not be wrong, such as the `transport`
    /// that makes a `url` required.
    pub cause: Option<String>,
}

/// All findings of one load, in the order they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    omitted: usize,
    /// The latest finding that did not fit, only so that its finder can add details to it.
    overflow: Option<Box<Problem>>,
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(out, "line {line}, column {column}"),
            Self::Variable(name) => write!(out, "from {name}"),
        }
    }
}

// === impl Problem ===

impl Problem {
    /// A finding without place, value or advice yet.
    #[must_use]
    pub fn new(severity: Severity, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity,
            path: path.into(),
            message: message.into(),
            found: None,
            allowed: None,
            place: None,
            cause: None,
        }
    }

    /// Says what was written. The caller masks what may be a secret.
    pub fn found(&mut self, found: impl Into<String>) -> &mut Self {
        self.found = Some(found.into());
        self
    }

    /// Says what would be accepted.
    pub fn allowed(&mut self, allowed: impl Into<String>) -> &mut Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Says which other value makes this wrong.
    pub fn because_of(&mut self, path: impl Into<String>) -> &mut Self {
        self.cause = Some(path.into());
        self
    }

    /// Says where it was written.
    pub fn at(&mut self, place: Place) -> &mut Self {
        self.place = Some(place);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.message)?;
        if let Some(place) = &self.place {
            write!(out, " ({place})")?;
        }
        if let Some(found) = &self.found {
            write!(out, "; found {found}")?;
        }
        if let Some(allowed) = &self.allowed {
            write!(out, "; allowed {allowed}")?;
        }
        Ok(())
    }
}

// === impl Problems ===

impl Problems {
    /// Adds an error; details can be added to what it returns.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) -> &mut Problem {
        self.push(Problem::new(Severity::Error, path, message))
    }

    /// Adds a warning; details can be added to what it returns.
    pub fn warning(&mut self, path: impl Into<String>, message: impl Into<String>) -> &mut Problem {
        self.push(Problem::new(Severity::Warning, path, message))
    }

    /// Adds a finding that was made elsewhere.
    pub fn add(&mut self, problem: Problem) -> &mut Problem {
        self.push(problem)
    }

    /// The findings so far.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many findings did not fit into [`PROBLEMS_MAX`].
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether anything makes the configuration unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// Whether nothing at all was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes over the findings of a later stage, except those that only echo an earlier error:
    /// when a value was refused the later stage saw its default instead, and what it says about
    /// that value, its parts, the list it stood in, or because of it, is not the operator's doing.
    pub fn absorb(&mut self, later: Self) {
        let refused: Vec<String> = self
            .list
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| problem.path.clone())
            .collect();
        self.omitted = self.omitted.saturating_add(later.omitted);
        for problem in later.list {
            let rests_on = |path: &String| {
                related(path, &problem.path)
                    || problem
                        .cause
                        .as_ref()
                        .is_some_and(|cause| related(path, cause))
            };
            if !refused.iter().any(rests_on) {
                self.push(problem);
            }
        }
    }

    /// Takes texts that must not be shown out of all that is said.
    pub fn hide(&mut self, secrets: &[&str]) {
        for problem in &mut self.list {
            let texts = [Some(&mut problem.message), problem.found.as_mut()];
            for text in texts.into_iter().flatten() {
                for secret in secrets {
                    if text.contains(secret) {
                        *text = text.replace(secret, "***");
                    }
                }
            }
        }
    }

    /// Fills in where each value was written, for findings that do not know it yet.
    pub fn locate(&mut self, place_of: impl Fn(&str) -> Option<Place>) {
        for problem in self
            .list
            .iter_mut()
            .filter(|problem| problem.place.is_none())
        {
            problem.place = place_of(&problem.path);
        }
    }

    /// Puts the findings in reading order: by place in the file, then those without one.
    pub fn sort(&mut self) {
        self.list.sort_by(|left, right| {
            let key = |problem: &Problem| (problem.place.is_none(), problem.place.clone());
            key(left).cmp(&key(right))
        });
    }

    /// The findings themselves, errors and warnings mixed, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.list
    }

    fn push(&mut self, problem: Problem) -> &mut Problem {
        if self.list.len() >= PROBLEMS_MAX {
            self.omitted = self.omitted.saturating_add(1);
            // An error never hides behind warnings: it takes the place of the last one.
            let is_warning = |kept: &Problem| kept.severity == Severity::Warning;
            match self.list.iter().rposition(is_warning) {
                Some(at) if problem.severity == Severity::Error => {
                    self.list.remove(at);
                }
                Some(_) | None => return self.overflow.insert(Box::new(problem)),
            }
        }
        self.list.push_mut(problem)
    }
}

/// Whether one path is the other, or lies inside it. The root is related to nothing.
fn related(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() <= right.len() {
        (left, right)
    } else {
        (right, left)
    };
    !short.is_empty()
        && long
            .strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl fmt::Display for Problems {
    /// One finding a line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(out, "{problem}")?;
        }
        if self.omitted > 0 {
            writeln!(out, "and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_path_message_place_found_allowed() {
        let mut problems = Problems::default();
        problems
            .error("gateway.port", "is out of range")
            .found("70000")
            .allowed("1 to 65535");
        problems.locate(|_| Some(Place::Text { line: 3, column: 9 }));
        assert_eq!(
            problems.to_string(),
            "gateway.port: is out of range (line 3, column 9); found 70000; allowed 1 to 65535\n"
        );
    }

    #[test]
    fn an_echo_of_a_refused_value_is_left_out_and_a_neighbour_is_kept() {
        let mut first = Problems::default();
        first.error("servers[1].id", "is required");
        let mut later = Problems::default();
        later.error("servers[1].id", "must not be empty");
        later.error("servers[10].id", "must not be empty");
        later.error("servers[1]", "is a duplicate");
        first.absorb(later);
        let paths: Vec<_> = first.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["servers[1].id", "servers[10].id"]);
    }

    #[test]
    fn a_finding_that_rests_on_a_refused_value_is_left_out() {
        let mut first = Problems::default();
        first.error("servers[0].transport", "is not one of the choices");
        let mut later = Problems::default();
        later
            .error("servers[0].url", "is required")
            .because_of("servers[0].transport");
        later
            .error("servers[1].url", "is required")
            .because_of("servers[1].transport");
        first.absorb(later);
        assert_eq!(
            first.iter().nth(1).map(|problem| problem.path.as_str()),
            Some("servers[1].url")
        );
        assert_eq!(first.iter().count(), 2);
    }

    #[test]
    fn an_error_past_the_bound_still_makes_the_configuration_unusable() {
        let mut problems = Problems::default();
        for _ in 0..PROBLEMS_MAX {
            problems.warning("x", "unknown key");
        }
        assert!(!problems.has_errors());
        problems.error("y", "is wrong");
        problems.error("z", "is wrong").found("1");
        assert!(problems.has_errors());
        let errors = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        assert_eq!(
            errors
                .map(|problem| problem.path.as_str())
                .collect::<Vec<_>>(),
            ["y", "z"]
        );
        assert_eq!(
            (problems.iter().count(), problems.omitted()),
            (PROBLEMS_MAX, 2)
        );
    }
}
