//! Regular expressions that take time in proportion to the text, whatever a stranger sends.
//!
//! **Invariant:** the automaton of one expression has at most [`PROGRAM_BYTES_MAX`] bytes, so matching a
//! text takes at most that many steps for each of its bytes, and far fewer where the lazy automaton
//! fits [`STATES_BYTES_MAX`].

use regex::{Regex, RegexBuilder};

/// Largest compiled expression, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 256 * 1024;
/// Memory of the automaton that is built while matching, in bytes.
pub const STATES_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Deepest nesting of groups.
const NESTING_MAX: u32 = 64;

/// Compiles an expression.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(PROGRAM_BYTES_MAX)
        .dfa_size_limit(STATES_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| describe(&error))
}

fn describe(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        let advice = "use smaller repetitions, or `[a-z]` instead of `\\w`";
        return format!("is too large a regular expression: {advice}");
    }
    let text = error.to_string();
    let mut reasons = text.lines().filter_map(|line| line.strip_prefix("error: "));
    let reason = reasons.next_back().unwrap_or("not supported");
    format!("is not a regular expression that takes linear time: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_take_exponential_time_elsewhere_is_matched_in_linear_time() {
        let regex = compile("^(a+)+$").unwrap();
        assert!(!regex.is_match(&format!("{}b", "a".repeat(1 << 20))));
    }

    #[test]
    fn what_cannot_be_matched_in_linear_time_is_told() {
        for (text, why) in [
            ("(?=a)", "look-around"),
            ("(a)\\1", "backreferences"),
            ("(", "unclosed group"),
            ("\\w{1000}", "too large"),
            (&"(".repeat(100), "unclosed group"),
        ] {
            let error = compile(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
