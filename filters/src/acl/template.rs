//! Patterns against patterns: what of a resource template, or of another pattern, a pattern is about.
//!
//! **Invariant:** [`covers`] is only said where it is certain, [`overlaps`] wherever it is possible.
//! Both take at most the product of the two lengths.

/// Longest template that is looked at whole, in characters; what follows may be anything.
const CHARS_MAX: usize = 4096;

/// One step of a text that is not known as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Char(char),
    /// Any one.
    One,
    /// Any run of them.
    Any,
}

/// Whether every text that `template` can become matches `glob`.
pub(super) fn covers(glob: &str, template: &str) -> bool {
    holds(glob, &of_template(template), Reach::Each)
}

/// Whether some text that `template` can become matches `glob`.
pub(super) fn overlaps(glob: &str, template: &str) -> bool {
    holds(glob, &of_template(template), Reach::Some)
}

/// Whether everything that matches `narrow` matches `glob`, too.
pub(super) fn contains(glob: &str, narrow: &str) -> bool {
    let narrow: Vec<Token> = of_glob(narrow).collect();
    holds(glob, &narrow, Reach::Each)
}

/// How many of the possible texts have to match.
#[derive(Clone, Copy)]
enum Reach {
    Each,
    Some,
}

/// Walks the text and keeps all places in the pattern that it may stand at.
fn holds(glob: &str, text: &[Token], reach: Reach) -> bool {
    let glob: Vec<Token> = of_glob(glob).collect();
    let mut at = vec![false; glob.len() + 1];
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    skip_stars(&glob, &mut at);
    for token in text {
        at = step(&glob, &at, *token, reach);
        skip_stars(&glob, &mut at);
    }
    at.last().copied().unwrap_or_default()
}

fn step(glob: &[Token], at: &[bool], token: Token, reach: Reach) -> Vec<bool> {
    let mut next = vec![false; at.len()];
    // A run of anything can be whatever stands between here and the end.
    if let (Token::Any, Reach::Some) = (token, reach) {
        let first = at.iter().position(|here| *here).unwrap_or(at.len());
        next.iter_mut().skip(first).for_each(|here| *here = true);
        return next;
    }
    for (index, (expected, here)) in glob.iter().zip(at).enumerate() {
        if !here {
            continue;
        }
        let to = match (expected, token) {
            (Token::Any, _) => index,
            (Token::One, Token::Char(_) | Token::One) => index + 1,
            (Token::Char(one), Token::Char(other)) if *one == other => index + 1,
            (Token::Char(_), Token::One) if matches!(reach, Reach::Some) => index + 1,
            (Token::Char(_) | Token::One, _) => continue,
        };
        if let Some(place) = next.get_mut(to) {
            *place = true;
        }
    }
    next
}

/// A `*` may stand for nothing.
fn skip_stars(glob: &[Token], at: &mut [bool]) {
    for (index, token) in glob.iter().enumerate() {
        let is_here = at.get(index).copied().unwrap_or_default();
        if is_here
            && *token == Token::Any
            && let Some(next) = at.get_mut(index + 1)
        {
            *next = true;
        }
    }
}

fn of_glob(glob: &str) -> impl Iterator<Item = Token> {
    glob.chars().map(|character| match character {
        '*' => Token::Any,
        '?' => Token::One,
        other => Token::Char(other),
    })
}

/// A URI template (RFC 6570): an expression may become anything.
fn of_template(template: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut is_inside = false;
    for (index, character) in template.chars().enumerate() {
        if index == CHARS_MAX {
            tokens.push(Token::Any);
            break;
        }
        match (character, is_inside) {
            ('{', false) => {
                is_inside = true;
                tokens.push(Token::Any);
            }
            ('}', true) => is_inside = false,
            (_, true) => {}
            (other, false) => tokens.push(Token::Char(other)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_a_template_only_where_every_expansion_matches() {
        for (glob, template, is_covered, is_touched) in [
            ("*", "{x}", true, true),
            ("file:///*", "file:///{path}", true, true),
            ("file:///a/*", "file:///{path}", false, true),
            ("file:///a/*", "file:///b/{path}", false, false),
            ("file:///a/?", "file:///a/{x}", false, true),
            ("file:///*.md", "file:///{name}.md", true, true),
            ("file:///*.md", "file:///{name}.txt", false, false),
            ("file:///x", "file:///x", true, true),
            ("file:///x", "file:///y", false, false),
            ("a*b*c", "a{x}b{y}c", true, true),
            ("abc", "{x}", false, true),
            ("", "{x}", false, true),
            ("", "", true, true),
        ] {
            assert_eq!(covers(glob, template), is_covered, "{glob} {template}");
            assert_eq!(overlaps(glob, template), is_touched, "{glob} {template}");
        }
    }

    #[test]
    fn a_pattern_contains_another_only_where_it_certainly_does() {
        for (glob, narrow, is_contained) in [
            ("*", "a*", true),
            ("a*", "ab*", true),
            ("a*", "a?", true),
            ("a?", "a*", false),
            ("a?", "a?", true),
            ("ab", "a?", false),
            ("ab*", "a*", false),
            ("*_x", "a_*", false),
        ] {
            assert_eq!(contains(glob, narrow), is_contained, "{glob} {narrow}");
        }
    }

    #[test]
    fn what_is_too_long_to_be_looked_at_may_be_anything() {
        let long = "a".repeat(CHARS_MAX + 1);
        assert!(overlaps(&format!("{}b", "a".repeat(CHARS_MAX)), &long));
        assert!(!covers(&long, &long));
        assert!(covers("a*", &long));
    }
}
