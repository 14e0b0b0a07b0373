//! Looking results up, and waiting for one that another instance fetches.

use std::sync::Arc;
use std::time::Duration;

use filters::cache::key::Key;
use redis::pipe;
use tokio::time::{Instant, sleep_until};

use crate::cache::entry::{Entry, Origin};
use crate::cache::redis::connection::Connection;
use crate::cache::redis::counts::count;
use crate::cache::redis::queue::{Hold, Queue};
use crate::cache::redis::script::Script;
use crate::cache::redis::versions::{
    Clock, FIELDS_MAX, Versions, key_field, method_field, target_field,
};
use crate::cache::redis::{Error, Redis, VERSIONS_KEPT, value};
use crate::kv;

/// The first and the longest pause between two look-ups of who waits for another's fetch.
const TURN_PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];

/// What a look-up found.
pub struct Looked {
    /// The first of the keys' entries that is good for anything, as it may be used from memory.
    pub found: Option<Entry>,
    /// What a result that is fetched now is stored with.
    pub versions: Versions,
    /// Who is to fetch it.
    pub turn: Turn,
}

/// Who is to fetch what was not found.
#[derive(Debug)]
pub enum Turn {
    /// The caller; others wait for as long as it keeps this.
    Mine(Lease),
    /// Somebody else does: see [`Redis::await_turn`].
    Theirs,
    /// Whoever wants to.
    Off,
}

/// The right to fetch something alone. It is given back when it is dropped: after the result was handed
/// to [`Redis::store`].
pub struct Lease {
    queue: Arc<Queue>,
    hold: Option<Hold>,
}

/// A look-up as Redis answers it: see `look_up.lua`.
type Answer = (Vec<String>, usize, i64, Option<Vec<u8>>, u8, u64);

// === impl Redis ===

impl Redis {
    /// Looks for the entries of `keys`, in this order, in one question. Take memory's stamp first.
    ///
    /// # Errors
    /// If Redis is not used or fails: then go on without it.
    pub async fn look_up(&self, origin: &Origin, keys: &[Key]) -> Result<Looked, Error> {
        let connection = self.circuit.connection()?;
        let owner = self.token();
        let question = self.question(&connection, origin, keys, &owner);
        let asked: Result<(Answer,), kv::Error> = connection.ask(&question, self.timeout).await;
        match asked {
            Ok((answer,)) => Ok(self.looked(origin, keys, answer, owner)),
            Err(error) => {
                let error = error.into();
                self.failed(&connection, &error);
                Err(error)
            }
        }
    }

    /// Waits until what somebody else fetches is there, or until it is the caller's turn. Gives what
    /// there is when the lease, or the caller's time, is over.
    ///
    /// # Errors
    /// If Redis is not used or fails.
    pub async fn await_turn(
        &self,
        origin: &Origin,
        keys: &[Key],
        deadline: Instant,
    ) -> Result<Looked, Error> {
        let patience = Instant::now() + self.lease.unwrap_or_default();
        let deadline = deadline.min(patience);
        let [mut pause, longest] = TURN_PAUSES;
        loop {
            sleep_until(deadline.min(Instant::now() + pause)).await;
            let mut looked = self.look_up(origin, keys).await?;
            if looked.found.is_some() || !matches!(looked.turn, Turn::Theirs) {
                return Ok(looked);
            }
            if Instant::now() >= deadline {
                looked.turn = Turn::Off;
                return Ok(looked);
            }
            pause = (pause * 2).min(longest);
        }
    }

    fn question(
        &self,
        connection: &Connection,
        origin: &Origin,
        keys: &[Key],
        owner: &str,
    ) -> redis::Pipeline {
        // The last key is the narrowest: those who share it wait for each other.
        let lease = keys.last().map(|key| self.names.lease(key));
        let mut names = vec![
            self.names.versions(&origin.server),
            lease.unwrap_or_default(),
        ];
        names.extend(keys.iter().map(|key| self.names.entry(key)));
        let lease_ms = self
            .lease
            .map_or(0, |lease| value::milliseconds(lease).max(1));
        let mut command = connection.call(Script::LookUp, &names);
        command
            .arg(&connection.run)
            .arg(self.token())
            .arg(value::milliseconds(VERSIONS_KEPT))
            .arg(FIELDS_MAX)
            .arg(method_field(origin.method))
            .arg(target_field(origin))
            .arg(lease_ms)
            .arg(owner)
            .arg(keys.iter().map(key_field).collect::<Vec<_>>());
        let mut question = pipe();
        question.add_command(command);
        question
    }

    fn looked(&self, origin: &Origin, keys: &[Key], answer: Answer, owner: String) -> Looked {
        let (stamps, place, left_ms, value, turn, now_ms) = answer;
        let clock = Clock {
            ms: now_ms,
            at: std::time::Instant::now(),
        };
        let key = place.checked_sub(1).and_then(|place| keys.get(place));
        let found = key.zip(value).and_then(|(key, value)| {
            let left = Duration::from_millis(u64::try_from(left_ms).ok()?);
            value::read(&value, *key, origin, left, std::time::Instant::now())
        });
        count(match found {
            Some(_) => &self.counts.hits,
            None => &self.counts.misses,
        });
        let turn = match (turn, keys.last()) {
            (1, Some(key)) => Turn::Mine(Lease {
                queue: Arc::clone(&self.queue),
                hold: Some(Hold { key: *key, owner }),
            }),
            (2, _) => Turn::Theirs,
            (_, _) => Turn::Off,
        };
        Looked {
            found,
            versions: Versions::new(keys, stamps, clock),
            turn,
        }
    }
}

// === impl Lease ===

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.queue.release(hold);
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lease").finish_non_exhaustive()
    }
}
