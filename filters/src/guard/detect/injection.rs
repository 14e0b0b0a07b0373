//! Texts that tell a model what to do instead: the known phrases and marks, whatever their case, white
//! space, invisible letters and full-width spelling.
//!
//! This finds what is copied from the known attacks. It cannot find what a clever author writes anew:
//! it is a tripwire, no proof.

use std::ops::Range;

use crate::guard::detect::Enough;

/// Words that stand between a verb and what it is about, at most.
const BETWEEN_MAX: usize = 5;

/// What is to be given up.
const VERBS: [&str; 7] = [
    "ignore",
    "disregard",
    "forget",
    "override",
    "bypass",
    "discard",
    "neglect",
];
/// What makes it what the model was told: one of these stands before the noun.
const OWNED: [&str; 16] = [
    "all",
    "any",
    "previous",
    "previously",
    "prior",
    "above",
    "earlier",
    "preceding",
    "foregoing",
    "system",
    "original",
    "your",
    "safety",
    "developer",
    "initial",
    "given",
];
/// What else may stand there.
const FILLERS: [&str; 9] = [
    "the", "of", "these", "those", "every", "and", "other", "my", "provided",
];
/// What the model was told.
const NOUNS: [&str; 16] = [
    "instruction",
    "instructions",
    "prompt",
    "prompts",
    "rule",
    "rules",
    "directions",
    "guidelines",
    "directive",
    "directives",
    "commands",
    "messages",
    "constraints",
    "restrictions",
    "programming",
    "safeguards",
];

/// Phrases, word by word.
const PHRASES: [&[&str]; 14] = [
    &["do", "not", "tell", "the", "user"],
    &["don", "t", "tell", "the", "user"],
    &["do", "not", "mention", "this", "to", "the", "user"],
    &["do", "not", "inform", "the", "user"],
    &["without", "telling", "the", "user"],
    &["without", "informing", "the", "user"],
    &["hide", "this", "from", "the", "user"],
    &["reveal", "your", "system", "prompt"],
    &["print", "your", "system", "prompt"],
    &["repeat", "your", "system", "prompt"],
    &["you", "are", "now", "in", "developer", "mode"],
    &["enter", "developer", "mode"],
    &["new", "system", "prompt"],
    &["begin", "system", "prompt"],
];

/// Marks of chat templates, lower case.
const MARKS: [&str; 11] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|system|>",
    "<|endoftext|>",
    "<|start_header_id|>",
    "[inst]",
    "[/inst]",
    "<<sys>>",
    "<system>",
    "</system>",
    "<important>",
];
/// Longest mark, in bytes.
const MARK_BYTES_MAX: usize = 19;

/// Invisible letters that spell ASCII (tag characters).
const TAGS: Range<u32> = 0xE0001..0xE0080;

/// Finds the first word of each phrase to its last.
pub(super) fn scan(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    if marks(text, found) == Enough::Yes {
        return;
    }
    let mut recent: Vec<(Word, Range<usize>)> = Vec::with_capacity(WINDOW);
    for (word, span) in Words::new(text) {
        if recent.len() == WINDOW {
            recent.remove(0);
        }
        recent.push((word, span.clone()));
        if let Some(begin) = phrase(&recent).or_else(|| order(&recent)) {
            recent.clear();
            if found(begin..span.end) == Enough::Yes {
                return;
            }
        }
    }
}

/// As many words as any phrase has.
const WINDOW: usize = BETWEEN_MAX + 2;

fn marks(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) -> Enough {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(at) = memchr::memchr3(b'<', b'[', 0xF3, bytes.get(from..).unwrap_or_default()) {
        let start = from + at;
        from = start + 1;
        let rest = bytes.get(start..).unwrap_or_default();
        let head = rest
            .get(..MARK_BYTES_MAX)
            .unwrap_or(rest)
            .to_ascii_lowercase();
        let mark = MARKS.iter().find(|mark| head.starts_with(mark.as_bytes()));
        let tag = text.get(start..).and_then(|rest| rest.chars().next());
        let end = match (mark, tag) {
            (Some(mark), _) => start + mark.len(),
            (None, Some(tag)) if TAGS.contains(&u32::from(tag)) => {
                let tags = text.get(start..).unwrap_or_default().chars();
                let tags = tags.take_while(|tag| TAGS.contains(&u32::from(*tag)));
                start + tags.map(char::len_utf8).sum::<usize>()
            }
            (None, _) => continue,
        };
        from = end;
        if found(start..end) == Enough::Yes {
            return Enough::Yes;
        }
    }
    Enough::No
}

/// Where the phrase begins that the words end with.
fn phrase(words: &[(Word, Range<usize>)]) -> Option<usize> {
    let is_last = |phrase: &&&[&str]| {
        let tail = words
            .len()
            .checked_sub(phrase.len())
            .and_then(|at| words.get(at..));
        tail.is_some_and(|tail| {
            tail.iter()
                .zip(**phrase)
                .all(|((word, _), wanted)| word.is(wanted))
        })
    };
    let phrase = PHRASES.iter().find(is_last)?;
    words
        .get(words.len() - phrase.len())
        .map(|(_, span)| span.start)
}

/// Where the order begins that the words end with: a verb, whose it is, and a noun.
fn order(words: &[(Word, Range<usize>)]) -> Option<usize> {
    let ((last, _), before) = words.split_last()?;
    if !NOUNS.iter().any(|noun| last.is(noun)) {
        return None;
    }
    let mut is_owned = false;
    for (word, span) in before.iter().rev() {
        if VERBS.iter().any(|verb| word.is(verb)) {
            return is_owned.then_some(span.start);
        }
        let owns = OWNED.iter().any(|owned| word.is(owned));
        if !owns && !FILLERS.iter().any(|filler| word.is(filler)) {
            return None;
        }
        is_owned |= owns;
    }
    None
}

/// A word as it counts: small ASCII letters, as many as the longest that is looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    letters: [u8; Self::LETTERS_MAX],
    length: usize,
}

impl Word {
    const LETTERS_MAX: usize = 16;

    fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(self.length) {
            *place = letter;
        }
        self.length += 1;
    }

    fn is(&self, wanted: &str) -> bool {
        self.letters.get(..self.length) == Some(wanted.as_bytes())
    }
}

/// The words of a text, folded.
struct Words<'t> {
    text: &'t str,
    chars: std::str::CharIndices<'t>,
}

impl<'t> Words<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            chars: text.char_indices(),
        }
    }
}

impl Iterator for Words<'_> {
    type Item = (Word, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut word = Word::default();
        let mut start = None;
        for (at, c) in self.chars.by_ref() {
            match fold(c) {
                Folded::Letter(letter) => {
                    start.get_or_insert(at);
                    word.push(letter);
                }
                Folded::Nothing => {}
                Folded::Between => {
                    if let Some(start) = start {
                        return Some((word, start..at));
                    }
                }
            }
        }
        start.map(|start| (word, start..self.text.len()))
    }
}

enum Folded {
    Letter(u8),
    Nothing,
    Between,
}

fn fold(c: char) -> Folded {
    match c {
        'a'..='z' | '0'..='9' => Folded::Letter(c as u8),
        'A'..='Z' => Folded::Letter((c as u8).to_ascii_lowercase()),
        // Full-width forms are as far from ASCII as the first of them is from `!`.
        '\u{FF10}'..='\u{FF5A}' => match char::from_u32(u32::from(c) - 0xFEE0) {
            Some(ascii) if ascii.is_ascii_alphanumeric() => {
                Folded::Letter(ascii.to_ascii_lowercase() as u8)
            }
            Some(_) | None => Folded::Between,
        },
        '\u{AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}'
        | '\u{FEFF}' => Folded::Nothing,
        // Letters of other alphabets make another word of it.
        _ if c.is_alphanumeric() => Folded::Letter(0),
        _ => Folded::Between,
    }
}
