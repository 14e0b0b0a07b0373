//! Single-use marks of one gateway.
//!
//! **Invariant:** at most [`MARKS_MAX`] marks; none is forgotten before its time.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use filters::seal;
use parking_lot::Mutex;

use crate::state::store::Error;

/// The most marks that are kept at once.
pub const MARKS_MAX: usize = 100_000;

/// Marks, each until its time is over.
#[derive(Default)]
pub struct Marks(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    marks: HashSet<Digest>,
    /// The same marks, those that end first before the others.
    ends: BTreeSet<(Instant, Digest)>,
}

/// Stands for a mark, so that its length does not matter.
type Digest = [u8; 32];

impl Marks {
    /// Takes a mark for as long as `ttl`; `false` if it is taken.
    ///
    /// # Errors
    /// If there are too many.
    pub fn claim(&self, mark: &str, ttl: Duration, now: Instant) -> Result<bool, Error> {
        let mark = seal::digest(&[mark.as_bytes()]);
        let mut taken = self.0.lock();
        taken.expire(now);
        if taken.marks.contains(&mark) {
            return Ok(false);
        }
        // A time that lies beyond the clock never comes.
        let (Some(end), true) = (now.checked_add(ttl), taken.marks.len() < MARKS_MAX) else {
            return Err(Error::Full);
        };
        taken.marks.insert(mark);
        taken.ends.insert((end, mark));
        Ok(true)
    }
}

impl Taken {
    fn expire(&mut self, now: Instant) {
        while self.ends.first().is_some_and(|(end, _)| *end <= now) {
            if let Some((_, mark)) = self.ends.pop_first() {
                self.marks.remove(&mark);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    #[test]
    fn a_mark_is_taken_once_until_its_time_is_over() {
        let (marks, start) = (Marks::default(), Instant::now());
        assert!(marks.claim("a", TTL, start).unwrap());
        assert!(!marks.claim("a", TTL, start).unwrap());
        assert!(marks.claim("b", TTL, start).unwrap());
        let last = start + TTL - Duration::from_nanos(1);
        assert!(!marks.claim("a", TTL, last).unwrap());
        assert!(marks.claim("a", TTL, start + TTL).unwrap());
    }

    #[test]
    fn at_the_bound_a_new_mark_is_an_error_and_a_taken_one_still_refused() {
        let (marks, start) = (Marks::default(), Instant::now());
        for n in 0..MARKS_MAX {
            assert!(marks.claim(&n.to_string(), TTL, start).unwrap());
        }
        assert!(matches!(marks.claim("more", TTL, start), Err(Error::Full)));
        assert!(!marks.claim("0", TTL, start).unwrap());
        assert!(marks.claim("more", TTL, start + TTL).unwrap());
    }
}
