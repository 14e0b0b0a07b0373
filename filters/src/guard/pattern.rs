//! Regular expressions whose search takes bounded time, whatever a stranger sends.
//!
//! That time is linear in the text does not bound it enough: a counted repetition may have as many states
//! at once as it counts, for each byte; and replacing all matches begins anew after each of them. So what a
//! message may cost at most is metered ([`Meter`]). As long as the worst case of a search is paid for, the
//! fastest engine has it; from then on a lazy automaton, which takes one step a byte once it is built, and
//! gives up where building does not pay.
//!
//! **Invariant:** what was given up on is told ([`Overwork`]), never taken for a text without a match.
//! **Invariant:** whether it is does not depend on other messages: automata begin empty for each.

use std::sync::{Arc, OnceLock};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, Span};

/// Largest compiled expression, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 1024 * 1024;
/// The same, read backwards: characters of several bytes take more.
const BACKWARD_BYTES_MAX: usize = 8 * PROGRAM_BYTES_MAX;
/// Memory of an automaton that is built while matching, in bytes.
pub const STATES_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Steps that searches of one message take at most in engines that may need one for each byte and each
/// state of an expression.
const STEPS_MAX: u64 = 32 * 1024 * 1024;
/// The same for finding out what groups matched, where a match is known: few need as many.
const GROUP_STEPS_MAX: u64 = 256 * 1024 * 1024;
/// Bytes that searches of one message read again at most, because a match ended before them.
const REREAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How often an automaton may outgrow its memory before it has to pay.
const CLEARS_MAX: usize = 2;
/// Deepest nesting of groups.
const NESTING_MAX: u32 = 64;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Engines>);

#[derive(Debug)]
struct Engines {
    /// The fastest for each text, without a bound of its own.
    regex: Regex,
    /// Finds where the first match ends.
    forward: DFA,
    /// Finds where a match that ends there begins; made when it is asked for, of `text`.
    backward: OnceLock<Option<DFA>>,
    text: String,
    /// States of the automaton that may be there at once.
    n_states: u64,
    may_be_empty: bool,
}

/// A search was given up: it would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwork;

/// Why a text was not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreplaced {
    /// It would take too long.
    Overwork,
    /// It would become too long.
    Length,
}

impl From<Overwork> for Unreplaced {
    fn from(Overwork: Overwork) -> Self {
        Self::Overwork
    }
}

/// What the searches in one message may still cost.
#[derive(Debug)]
pub struct Meter {
    steps_left: u64,
    group_steps_left: u64,
    reread_left: u64,
    is_over: bool,
    automata: Vec<Automata>,
}

/// What was built of one expression's automata in one message.
#[derive(Debug)]
struct Automata {
    of: Pattern,
    forward: Cache,
    backward: Option<Cache>,
}

// === impl Pattern ===

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub fn compile(text: &str) -> Result<Self, String> {
        let bounds = meta::Config::new()
            .nfa_size_limit(Some(PROGRAM_BYTES_MAX))
            .onepass_size_limit(Some(PROGRAM_BYTES_MAX))
            .hybrid_cache_capacity(STATES_BYTES_MAX);
        let regex = Regex::builder()
            .syntax(syntax())
            .configure(bounds)
            .build(text)
            .map_err(|error| match error.syntax_error() {
                Some(error) => describe(&error.to_string()),
                None => too_large(),
            })?;
        let parsed = syntax::parse_with(text, &syntax());
        let parsed = parsed.map_err(|error| describe(&error.to_string()))?;
        let forward = forward(text).ok_or_else(too_large)?;
        let n_states = forward.get_nfa().states().len();
        Ok(Self(Arc::new(Engines {
            regex,
            forward,
            backward: OnceLock::new(),
            n_states: u64::try_from(n_states).unwrap_or(u64::MAX),
            may_be_empty: parsed.properties().minimum_len() == Some(0),
            text: text.to_owned(),
        })))
    }

    /// Whether a match may have no length: then it may be everywhere.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.0.may_be_empty
    }

    /// Whether a text has a match.
    ///
    /// # Errors
    /// [`Overwork`] where it would take too long to tell.
    pub fn is_match(&self, text: &str, meter: &mut Meter) -> Result<bool, Overwork> {
        if meter.take(self.steps(text.len())) {
            return Ok(self.0.regex.is_match(text));
        }
        let input = Input::new(text).earliest(true);
        let automata = meter.automata(self)?;
        let found = self.0.forward.try_search_fwd(&mut automata.forward, &input);
        found
            .map(|found| found.is_some())
            .map_err(|_| meter.give_up())
    }

    /// A text with all matches replaced by `with`, in which `$name` is what that group matched; nothing
    /// where there is none. Matches without length are none.
    ///
    /// # Errors
    /// Where it would take too long, or become longer than `bytes_max`.
    pub fn replaced(
        &self,
        text: &str,
        with: &str,
        bytes_max: usize,
        meter: &mut Meter,
    ) -> Result<Option<String>, Unreplaced> {
        let has_groups = with.contains('$');
        let mut groups = self.0.regex.create_captures();
        let mut out = String::new();
        let mut end = 0;
        while let Some(found) = self.find(text, end, meter)? {
            out.push_str(text.get(end..found.start).unwrap_or_default());
            end = found.end;
            if has_groups {
                meter.group(self.steps(found.len()))?;
                let input = Input::new(text).span(found).anchored(Anchored::Yes);
                self.0.regex.search_captures(&input, &mut groups);
                groups.interpolate_string_into(text, with, &mut out);
            } else {
                out.push_str(with);
            }
            if out.len() > bytes_max {
                return Err(Unreplaced::Length);
            }
        }
        if end == 0 {
            return Ok(None);
        }
        out.push_str(text.get(end..).unwrap_or_default());
        match out.len() > bytes_max {
            true => Err(Unreplaced::Length),
            false => Ok(Some(out)),
        }
    }

    /// The first match that begins at `from` or later, and has a length.
    fn find(&self, text: &str, from: usize, meter: &mut Meter) -> Result<Option<Span>, Overwork> {
        let input = Input::new(text).range(from..);
        let rest = text.len().saturating_sub(from);
        let found = if meter.take(self.steps(rest)) {
            self.0.regex.find(input).map(|found| found.span())
        } else {
            self.find_lazily(&input, meter)?
        };
        Ok(found.filter(|found| !found.is_empty()))
    }

    fn find_lazily(&self, input: &Input<'_>, meter: &mut Meter) -> Result<Option<Span>, Overwork> {
        let searcher = self.0.backward.get_or_init(|| backward(&self.0.text));
        let Some(searcher) = searcher else {
            return Err(meter.give_up());
        };
        let Automata {
            forward, backward, ..
        } = meter.automata(self)?;
        let backward = backward.get_or_insert_with(|| searcher.create_cache());
        let (n_read, n_clears) = (forward.search_total_len(), forward.clear_count());
        let Ok(found) = self.0.forward.try_search_fwd(forward, input) else {
            return Err(meter.give_up());
        };
        let Some(found) = found else { return Ok(None) };
        let n_read = match forward.clear_count() == n_clears {
            true => forward.search_total_len().saturating_sub(n_read),
            // It does not tell any more.
            false => input.get_span().len(),
        };
        let span = Span::from(input.start()..found.offset());
        let reversed = input.clone().span(span).anchored(Anchored::Yes);
        let Ok(Some(begun)) = searcher.try_search_rev(backward, &reversed) else {
            return Err(meter.give_up());
        };
        // What was read beyond the match is read again for the next one.
        meter.reread(n_read.saturating_sub(span.len()))?;
        Ok(Some(Span::from(begun.offset()..found.offset())))
    }

    /// Steps that a search takes at most.
    fn steps(&self, n_bytes: usize) -> u64 {
        let n_bytes = u64::try_from(n_bytes).unwrap_or(u64::MAX);
        n_bytes.saturating_add(1).saturating_mul(self.0.n_states)
    }
}

// === impl Meter ===

impl Default for Meter {
    fn default() -> Self {
        Self {
            steps_left: STEPS_MAX,
            group_steps_left: GROUP_STEPS_MAX,
            reread_left: REREAD_BYTES_MAX,
            is_over: false,
            automata: Vec::new(),
        }
    }
}

impl Meter {
    fn take(&mut self, steps: u64) -> bool {
        let left = self.steps_left.checked_sub(steps);
        self.steps_left = left.unwrap_or(self.steps_left);
        left.is_some()
    }

    fn group(&mut self, steps: u64) -> Result<(), Overwork> {
        let left = self.group_steps_left.checked_sub(steps);
        self.group_steps_left = left.ok_or_else(|| self.give_up())?;
        Ok(())
    }

    fn reread(&mut self, n_bytes: usize) -> Result<(), Overwork> {
        let n_bytes = u64::try_from(n_bytes).unwrap_or(u64::MAX);
        let left = self.reread_left.checked_sub(n_bytes);
        self.reread_left = left.ok_or_else(|| self.give_up())?;
        Ok(())
    }

    /// Whoever asks next is told at once.
    fn give_up(&mut self) -> Overwork {
        self.is_over = true;
        self.steps_left = 0;
        Overwork
    }

    fn automata(&mut self, of: &Pattern) -> Result<&mut Automata, Overwork> {
        if self.is_over {
            return Err(Overwork);
        }
        let known = self
            .automata
            .iter()
            .position(|one| Arc::ptr_eq(&one.of.0, &of.0));
        let at = known.unwrap_or(self.automata.len());
        if known.is_none() {
            self.automata.push(Automata {
                of: of.clone(),
                forward: of.0.forward.create_cache(),
                backward: None,
            });
        }
        self.automata.get_mut(at).ok_or(Overwork)
    }
}

fn syntax() -> syntax::Config {
    syntax::Config::new().nest_limit(NESTING_MAX)
}

/// What finds where the first match ends.
fn forward(text: &str) -> Option<DFA> {
    let program = thompson::Config::new().nfa_size_limit(Some(PROGRAM_BYTES_MAX));
    automaton(text, MatchKind::LeftmostFirst, program)
}

/// What finds where a match begins.
fn backward(text: &str) -> Option<DFA> {
    let program = thompson::Config::new()
        .nfa_size_limit(Some(BACKWARD_BYTES_MAX))
        .reverse(true);
    automaton(text, MatchKind::All, program)
}

fn automaton(text: &str, kind: MatchKind, program: thompson::Config) -> Option<DFA> {
    let parsed = syntax::parse_with(text, &syntax()).ok()?;
    let prefix = (!program.get_reverse()).then(|| Prefilter::from_hir_prefix(kind, &parsed));
    let nfa = thompson::Compiler::new()
        .configure(program.which_captures(WhichCaptures::None))
        .build_from_hir(&parsed)
        .ok()?;
    let config = DFA::config()
        .match_kind(kind)
        .prefilter(prefix.flatten())
        .specialize_start_states(true)
        .unicode_word_boundary(true)
        .cache_capacity(STATES_BYTES_MAX)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(CLEARS_MAX))
        // A state takes as long to build as the expression is large: it has to be met as often.
        .minimum_bytes_per_state(Some(nfa.states().len()));
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

fn too_large() -> String {
    "is too large a regular expression: use smaller repetitions, or `[a-z]` instead of `\\w`"
        .to_owned()
}

/// `error` is what the parser says.
fn describe(error: &str) -> String {
    let mut reasons = error
        .lines()
        .filter_map(|line| line.strip_prefix("error: "));
    let reason = reasons.next_back().unwrap_or("not supported");
    format!("is not a regular expression that takes linear time: {reason}")
}

#[cfg(test)]
mod tests;
