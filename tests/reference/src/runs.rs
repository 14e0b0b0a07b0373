//! How the runs of `slow` ended: the memory behind `run_state`.
//!
//! **Invariant:** at most [`RUNS_MAX`] runs are remembered; the oldest is forgotten first.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

const RUNS_MAX: usize = 10_000;

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Running,
    Finished,
    Cancelled,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The remembered runs, by the name their caller gave them.
#[derive(Default)]
pub(crate) struct Runs(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    states: HashMap<String, State>,
    order: VecDeque<String>,
}

impl Runs {
    /// Notes that `name` runs. The run counts as cancelled unless [`Run::finish`] is called.
    pub(crate) fn start(&self, name: &str) -> Run<'_> {
        self.set(name, State::Running);
        Run {
            runs: self,
            name: name.to_owned(),
            end: State::Cancelled,
        }
    }

    /// Where `name` stands; `None` if it never ran or was forgotten.
    pub(crate) fn state(&self, name: &str) -> Option<State> {
        self.0.lock().states.get(name).copied()
    }

    fn set(&self, name: &str, state: State) {
        let mut inner = self.0.lock();
        if inner.states.insert(name.to_owned(), state).is_some() {
            return;
        }
        inner.order.push_back(name.to_owned());
        if inner.order.len() > RUNS_MAX
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.states.remove(&oldest);
        }
    }
}

/// A run under way. Dropping it, whoever does it, records how it ended.
pub(crate) struct Run<'a> {
    runs: &'a Runs,
    name: String,
    end: State,
}

impl Run<'_> {
    pub(crate) fn finish(mut self) {
        self.end = State::Finished;
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.runs.set(&self.name, self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::{RUNS_MAX, Runs, State};

    #[test]
    fn a_run_dropped_before_its_end_counts_as_cancelled() {
        let runs = Runs::default();
        drop(runs.start("a"));
        runs.start("b").finish();
        assert_eq!(runs.state("a"), Some(State::Cancelled));
        assert_eq!(runs.state("b"), Some(State::Finished));
    }

    #[test]
    fn the_oldest_run_is_forgotten_first() {
        let runs = Runs::default();
        for n in 0..RUNS_MAX {
            runs.start(&n.to_string()).finish();
        }
        assert_eq!(runs.state("0"), Some(State::Finished));
        runs.start("one more").finish();
        assert_eq!(runs.state("0"), None);
        assert_eq!(runs.state("1"), Some(State::Finished));
    }
}
