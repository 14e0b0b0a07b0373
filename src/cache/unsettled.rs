//! Writes that nobody can say the end of: calls that their clients left or that took too long, and
//! tasks.
//!
//! What such a write makes stale goes when the gateway hears of it no more, and once more when it
//! surely is over: until then it may still change what is read and stored meanwhile.
//!
//! **Invariant:** what is owed is never forgotten. Where there is no place for more of it, all of
//! that server's results go instead, at the latest moment that any of it is due.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use filters::cache::invalidate::Reach;
use parking_lot::Mutex;

/// Most writes that are remembered one by one.
const OWED_MAX: usize = 4096;
/// Longest id of a task that is remembered as such, in bytes.
const TASK_ID_BYTES_MAX: usize = 1024;

/// What is still to be made stale.
#[derive(Default)]
pub struct Unsettled {
    owed: Mutex<Owed>,
    /// How many there are, to be read without the lock.
    n: AtomicUsize,
}

#[derive(Default)]
struct Owed {
    debts: HashMap<Name, Debt>,
    serial: u64,
}

/// What a debt is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Call(u64),
    Task(Arc<str>, Box<str>),
    Server(Arc<str>),
}

#[derive(Clone, Debug)]
struct Debt {
    server: Arc<str>,
    reach: Reach,
    until: Instant,
}

impl Unsettled {
    /// A call of `server` may go on until then.
    pub fn owe(&self, server: &Arc<str>, reach: Reach, until: Instant) {
        let mut owed = self.owed.lock();
        owed.serial += 1;
        let name = Name::Call(owed.serial);
        self.add(&mut owed, name, server, reach, until);
    }

    /// A task of `server` goes on, until it is heard to be over, or until then.
    pub fn owe_task(&self, server: &Arc<str>, id: &str, reach: Reach, until: Instant) {
        if id.len() > TASK_ID_BYTES_MAX {
            return self.owe(server, reach, until);
        }
        let name = Name::Task(Arc::clone(server), id.into());
        self.add(&mut self.owed.lock(), name, server, reach, until);
    }

    fn add(&self, owed: &mut Owed, name: Name, server: &Arc<str>, reach: Reach, until: Instant) {
        let debts = &mut owed.debts;
        let has_place = debts.len() < OWED_MAX || debts.contains_key(&name);
        let (name, reach) = if has_place {
            (name, reach)
        } else {
            (Name::Server(Arc::clone(server)), Reach::Server)
        };
        let earlier = debts.get(&name);
        let until = earlier.map_or(until, |earlier| earlier.until.max(until));
        let reach = match earlier {
            Some(earlier) if earlier.reach != reach => Reach::Server,
            Some(_) | None => reach,
        };
        let server = Arc::clone(server);
        let debt = Debt {
            server,
            reach,
            until,
        };
        debts.insert(name, debt);
        self.n.store(debts.len(), Ordering::Release);
    }

    /// What a task makes stale that is not known to be over.
    #[must_use]
    pub fn task(&self, server: &Arc<str>, id: &str) -> Option<Reach> {
        if self.is_empty() {
            return None;
        }
        let name = Name::Task(Arc::clone(server), id.into());
        let owed = self.owed.lock();
        owed.debts.get(&name).map(|debt| debt.reach.clone())
    }

    /// As [`Self::task`], for one that is over by now.
    #[must_use]
    pub fn end_task(&self, server: &Arc<str>, id: &str) -> Option<Reach> {
        if self.is_empty() {
            return None;
        }
        let name = Name::Task(Arc::clone(server), id.into());
        let mut owed = self.owed.lock();
        let debt = owed.debts.remove(&name);
        self.n.store(owed.debts.len(), Ordering::Release);
        debt.map(|debt| debt.reach)
    }

    /// Whether any call of a server may still go on, and what such calls make stale.
    #[must_use]
    pub fn calls(&self, server: &Arc<str>) -> Option<Reach> {
        if self.is_empty() {
            return None;
        }
        let owed = self.owed.lock();
        let own = owed.debts.iter().filter(|(name, debt)| {
            debt.server == *server && matches!(name, Name::Call(_) | Name::Server(_))
        });
        let mut reaches: Vec<Reach> = Vec::new();
        for (_, debt) in own {
            if !reaches.contains(&debt.reach) {
                reaches.push(debt.reach.clone());
            }
        }
        Reach::union(reaches)
    }

    /// Takes out what is over by now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Vec<(Arc<str>, Reach)> {
        self.take(|debt| debt.until <= now)
    }

    /// Takes out everything: the gateway ends.
    #[must_use]
    pub fn empty(&self) -> Vec<(Arc<str>, Reach)> {
        self.take(|_| true)
    }

    fn take(&self, is_due: impl Fn(&Debt) -> bool) -> Vec<(Arc<str>, Reach)> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut owed = self.owed.lock();
        let due = owed.debts.extract_if(|_, debt| is_due(debt));
        let due = due.map(|(_, debt)| (debt.server, debt.reach)).collect();
        self.n.store(owed.debts.len(), Ordering::Release);
        due
    }

    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n.load(Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn server(id: &str) -> Arc<str> {
        Arc::from(id)
    }

    fn tool(n: usize) -> Reach {
        Reach::Tool(n.to_string())
    }

    #[test]
    fn a_call_is_owed_until_it_is_due() {
        let unsettled = Unsettled::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        unsettled.owe(&server("s"), tool(1), later);
        assert_eq!(unsettled.calls(&server("s")), Some(tool(1)));
        assert_eq!(unsettled.calls(&server("t")), None);
        assert_eq!(unsettled.due(now), []);
        assert_eq!(unsettled.due(later), [(server("s"), tool(1))]);
        assert!(unsettled.is_empty());
    }

    #[test]
    fn a_task_is_owed_until_it_ends() {
        let unsettled = Unsettled::default();
        let later = Instant::now() + Duration::from_secs(1);
        unsettled.owe_task(&server("s"), "t", tool(1), later);
        assert_eq!(unsettled.task(&server("s"), "t"), Some(tool(1)));
        assert_eq!(unsettled.task(&server("t"), "t"), None);
        assert_eq!(unsettled.calls(&server("s")), None, "no call goes on");
        assert_eq!(unsettled.end_task(&server("s"), "t"), Some(tool(1)));
        assert_eq!(unsettled.end_task(&server("s"), "t"), None);
        unsettled.owe_task(&server("s"), "t", tool(2), later);
        assert_eq!(unsettled.due(later), [(server("s"), tool(2))]);
    }

    #[test]
    fn an_id_that_is_too_long_is_no_name() {
        let unsettled = Unsettled::default();
        let now = Instant::now();
        for (length, is_name) in [(TASK_ID_BYTES_MAX, true), (TASK_ID_BYTES_MAX + 1, false)] {
            let id = "x".repeat(length);
            unsettled.owe_task(&server("s"), &id, tool(length), now);
            assert_eq!(unsettled.task(&server("s"), &id).is_some(), is_name);
        }
        assert_eq!(unsettled.due(now).len(), 2);
    }

    #[test]
    fn what_there_is_no_place_for_is_the_whole_server_at_the_latest_moment() {
        let unsettled = Unsettled::default();
        let now = Instant::now();
        for n in 0..OWED_MAX {
            unsettled.owe(&server("s"), tool(n), now);
        }
        let later = now + Duration::from_secs(2);
        unsettled.owe(&server("s"), tool(OWED_MAX), later);
        unsettled.owe_task(&server("s"), "t", tool(OWED_MAX), now);
        assert_eq!(unsettled.due(now).len(), OWED_MAX);
        assert_eq!(unsettled.due(later), [(server("s"), Reach::Server)]);
    }
}
