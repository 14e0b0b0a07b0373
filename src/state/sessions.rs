//! All sessions of legacy clients.
//!
//! **Invariant:** bounded in count, for each principal and altogether, and in time.

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filters::identity;
use parking_lot::Mutex;

use crate::state::session::{Opening, Session};

/// Bytes of a session's id: enough that nobody guesses one.
const ID_BYTES: usize = 24;
/// Parts of the table, so that connections on different cores seldom meet.
const PARTS: usize = 16;

/// The bounds of all sessions.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most sessions.
    pub max: usize,
    /// Most sessions of one principal.
    pub max_per_client: usize,
    /// How long an unused one is kept.
    pub idle: Duration,
}

/// The sessions that this instance serves.
pub struct Sessions {
    /// Their bounds.
    pub limits: Limits,
    parts: [Mutex<Part>; PARTS],
    counts: Mutex<Counts>,
}

/// Some of the sessions, by id. No client chooses one: a fast hash will do.
type Part = foldhash::HashMap<Arc<str>, Arc<Session>>;

#[derive(Default)]
struct Counts {
    all: usize,
    by_payer: HashMap<Arc<str>, usize>,
}

/// Why no session can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are as many as there may be.
    All,
    /// The principal has as many as it may have.
    Client,
    /// The system gives no random bytes.
    Randomness,
}

impl Sessions {
    /// No sessions yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            parts: Default::default(),
            counts: Mutex::default(),
        }
    }

    /// Opens a session with an id that nobody can guess.
    ///
    /// # Errors
    /// [`Full`]
    pub fn open(&self, opening: Opening) -> Result<Arc<Session>, Full> {
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| Full::Randomness)?;
        let id: Arc<str> = URL_SAFE_NO_PAD.encode(bytes).into();
        self.restore(Session::new(id, opening, Arc::default()).into())
    }

    /// Takes in a session that another instance opened, with all that stands behind it. Where another
    /// request did so before, gives that one and lets go of this.
    ///
    /// # Errors
    /// [`Full`]
    pub fn restore(&self, session: Arc<Session>) -> Result<Arc<Session>, Full> {
        if let Err(full) = self.count(&session.opening.principal) {
            session.leave();
            return Err(full);
        }
        let standing = match self.part(&session.id).lock().entry(Arc::clone(&session.id)) {
            Entry::Occupied(standing) => Arc::clone(standing.get()),
            Entry::Vacant(place) => return Ok(Arc::clone(place.insert(session))),
        };
        self.uncount(&session);
        session.leave();
        Ok(standing)
    }

    /// Opens the session of an HTTP+SSE client, which has had its id and its stream since it connected.
    /// One that it opened before on the same stream ends.
    ///
    /// # Errors
    /// [`Full`] where the session ended meanwhile.
    pub fn reopen(&self, shell: &Arc<Session>, opening: Opening) -> Result<Arc<Session>, Full> {
        let session = Arc::new(shell.successor(opening));
        let replaced = match self.part(&shell.id).lock().get_mut(&shell.id) {
            Some(known) => std::mem::replace(known, Arc::clone(&session)),
            None => return Err(Full::All),
        };
        replaced.give_way();
        Ok(session)
    }

    /// The session of that id, if it is the principal's and was opened at that endpoint.
    #[must_use]
    pub fn find(
        &self,
        id: &str,
        principal: &str,
        is_here: impl FnOnce(&str) -> bool,
    ) -> Option<Arc<Session>> {
        let session = self.part(id).lock().get(id).map(Arc::clone)?;
        let is_own = *session.opening.principal == *principal && is_here(&session.opening.scope);
        (is_own && !session.is_over()).then_some(session)
    }

    /// Ends a session.
    pub fn end(&self, session: &Session) {
        self.end_by_id(&session.id);
    }

    /// Ends the session of that id, whichever stands behind it by now.
    pub fn end_by_id(&self, id: &str) {
        let removed = self.part(id).lock().remove(id);
        if let Some(removed) = removed {
            self.uncount(&removed);
            removed.end();
        }
    }

    /// Takes out the sessions that were opened at one of these endpoints: from now on nobody finds
    /// them. What runs in them goes on until they are ended.
    #[must_use]
    pub fn retire(&self, scopes: &HashSet<String>) -> Vec<Arc<Session>> {
        let mut retired = Vec::new();
        for part in &self.parts {
            let of_scope = |session: &Session| scopes.contains(&session.opening.scope);
            let taken = part
                .lock()
                .extract_if(|_, session| of_scope(session))
                .map(|(_, session)| session)
                .collect::<Vec<_>>();
            retired.extend(taken);
        }
        retired.iter().for_each(|session| self.uncount(session));
        retired
    }

    /// All sessions.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Session>> {
        let parts = self.parts.iter();
        parts
            .flat_map(|part| part.lock().values().map(Arc::clone).collect::<Vec<_>>())
            .collect()
    }

    /// The sessions that nobody used lately.
    #[must_use]
    pub fn unused(&self) -> Vec<Arc<Session>> {
        let mut unused = Vec::new();
        for part in &self.parts {
            let part = part.lock();
            let idle = part.values().filter(|one| one.is_idle(self.limits.idle));
            unused.extend(idle.map(Arc::clone));
        }
        unused
    }

    /// Forgets a session that another instance goes on with: what stands behind it stays.
    pub fn forget(&self, session: &Session) {
        let removed = self.part(&session.id).lock().remove(&session.id);
        if let Some(removed) = removed {
            self.uncount(&removed);
            removed.leave();
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.lock().all
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn part(&self, id: &str) -> &Mutex<Part> {
        // Ids are random: any byte will do.
        let at = usize::from(id.bytes().last().unwrap_or_default()) % PARTS;
        let [first, ..] = &self.parts;
        self.parts.get(at).unwrap_or(first)
    }

    fn count(&self, principal: &Arc<str>) -> Result<(), Full> {
        let mut counts = self.counts.lock();
        if counts.all >= self.limits.max {
            return Err(Full::All);
        }
        let own = counts
            .by_payer
            .entry(identity::payer(principal))
            .or_insert(0);
        if *own >= self.limits.max_per_client {
            return Err(Full::Client);
        }
        *own += 1;
        counts.all += 1;
        Ok(())
    }

    fn uncount(&self, session: &Session) {
        let mut counts = self.counts.lock();
        counts.all = counts.all.saturating_sub(1);
        let payer = identity::payer(&session.opening.principal);
        if let Some(own) = counts.by_payer.get_mut(&payer) {
            *own -= 1;
            if *own == 0 {
                counts.by_payer.remove(&payer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::outlet::Delivery;
    use crate::state::session::Link;
    use filters::identity::Identity;
    use filters::mcp::revision::Revision;
    use futures_util::FutureExt;

    fn opening(principal: &str) -> Opening {
        Opening {
            principal: principal.into(),
            scope: "server:a".to_owned(),
            revision: Revision::V2025_11_25,
            capabilities: "{}".to_owned(),
            client_info: None,
            authorization: None,
        }
    }

    fn sessions(max: usize, max_per_client: usize, idle: Duration) -> Sessions {
        Sessions::new(Limits {
            max,
            max_per_client,
            idle,
        })
    }

    #[test]
    fn a_session_exists_for_its_principal_at_its_endpoint_only() {
        let all = sessions(9, 9, Duration::from_secs(9));
        let session = all.open(opening("ann")).unwrap();
        assert!(
            all.find(&session.id, "ann", |scope| scope == "server:a")
                .is_some()
        );
        assert!(
            all.find(&session.id, "bob", |scope| scope == "server:a")
                .is_none()
        );
        assert!(
            all.find(&session.id, "ann", |scope| scope == "server:b")
                .is_none()
        );
        assert!(all.find("", "ann", |scope| scope == "server:a").is_none());
        all.end(&session);
        assert!(
            all.find(&session.id, "ann", |scope| scope == "server:a")
                .is_none()
        );
        assert!(all.is_empty() && session.over.is_cancelled());
    }

    #[test]
    fn sessions_are_bounded_for_each_client_and_altogether() {
        let all = sessions(3, 2, Duration::from_secs(9));
        let first = all.open(opening("ann")).unwrap();
        all.open(opening("ann")).unwrap();
        assert_eq!(all.open(opening("ann")).err(), Some(Full::Client));
        all.open(opening("bob")).unwrap();
        assert_eq!(all.open(opening("cid")).err(), Some(Full::All));
        all.end(&first);
        assert!(all.open(opening("ann")).is_ok());
    }

    #[test]
    fn a_header_gets_nobody_more_sessions() {
        let all = sessions(9, 2, Duration::from_secs(9));
        let of = |tenant: &str| opening(&Identity::of_tenant(tenant).subject);
        let first = all.open(of("a")).unwrap();
        all.open(of("b")).unwrap();
        assert_eq!(all.open(of("c")).err(), Some(Full::Client));
        assert_eq!(all.open(opening("anonymous")).err(), Some(Full::Client));
        all.end(&first);
        assert!(all.open(of("c")).is_ok());
    }

    #[test]
    fn a_retired_session_is_not_found_and_goes_on_until_it_is_ended() {
        let all = sessions(3, 3, Duration::from_secs(9));
        let session = all.open(opening("ann")).unwrap();
        assert!(all.retire(&["server:b".to_owned()].into()).is_empty());
        let retired = all.retire(&["server:a".to_owned()].into());
        assert!(
            all.find(&session.id, "ann", |scope| scope == "server:a")
                .is_none()
                && all.is_empty()
        );
        assert!(!retired[0].over.is_cancelled());
    }

    #[test]
    fn a_session_in_use_does_not_expire() {
        let all = sessions(3, 3, Duration::ZERO);
        let session = all.open(opening("ann")).unwrap();
        let used = session.hold();
        assert!(all.unused().is_empty());
        drop(used);
        assert_eq!(all.unused().len(), 1);
        all.forget(&session);
        assert!(all.is_empty() && session.over.is_cancelled());
    }

    #[test]
    fn a_session_that_takes_anothers_place_ends_it_but_not_its_stream() {
        let all = sessions(3, 3, Duration::from_secs(9));
        let shell = all.open(opening("ann")).unwrap();
        let stream = shell.outlet.open();
        let first = all.reopen(&shell, opening("ann")).unwrap();
        first.connect(&"a".into(), Link::Modern);
        let second = all.reopen(&first, opening("ann")).unwrap();
        assert!(first.over.is_cancelled() && first.link("a").is_none());
        second.outlet.send("1");
        let delivery = shell.outlet.next(stream).now_or_never();
        assert_eq!(delivery, Some(Delivery::Message("1".into())));
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn a_session_opened_on_a_stream_does_not_expire_before_the_stream_ends() {
        let all = sessions(3, 3, Duration::ZERO);
        let shell = all.open(opening("ann")).unwrap();
        let stream = shell.hold();
        all.reopen(&shell, opening("ann")).unwrap();
        assert!(all.unused().is_empty());
        drop(stream);
        assert_eq!(all.unused().len(), 1);
    }

    #[test]
    fn a_session_that_ended_is_not_linked_any_more() {
        let all = sessions(3, 3, Duration::from_secs(9));
        let session = all.open(opening("ann")).unwrap();
        all.end(&session);
        session.connect(&"a".into(), Link::Modern);
        assert!(session.link("a").is_none());
    }

    #[test]
    fn a_session_taken_over_twice_at_once_stands_once() {
        let all = sessions(3, 3, Duration::from_secs(9));
        let restored = || Arc::new(Session::new("id".into(), opening("ann"), Arc::default()));
        let first = all.restore(restored()).unwrap();
        let late = restored();
        let second = all.restore(Arc::clone(&late)).unwrap();
        assert!(Arc::ptr_eq(&first, &second) && !first.over.is_cancelled());
        assert!(late.over.is_cancelled());
        assert_eq!(all.len(), 1);
    }
}
