//! Servers that speak another dialect of HTTP than their configuration says: how often one is
//! believed to.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::model::server::ServerId;

/// How soon after a switch the next one of the same server may come, at first and at the latest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// When servers were switched.
#[derive(Default)]
pub(super) struct Switches(HashMap<ServerId, Switch>);

struct Switch {
    last: Instant,
    pause: Duration,
}

impl Switches {
    /// Whether a server may be switched now; if so, it is noted. One that is switched again and again
    /// has to wait twice as long each time.
    pub(super) fn admit(&mut self, server: &ServerId, now: Instant) -> bool {
        let Some(switch) = self.0.get_mut(server) else {
            let first = Switch {
                last: now,
                pause: PAUSE.0,
            };
            self.0.insert(server.clone(), first);
            return true;
        };
        let since = now.saturating_duration_since(switch.last);
        if since < switch.pause {
            return false;
        }
        switch.last = now;
        switch.pause = if since > PAUSE.1 * 2 {
            PAUSE.0
        } else {
            (switch.pause * 2).min(PAUSE.1)
        };
        true
    }

    /// Forgets servers that are not configured any more.
    pub(super) fn retain(&mut self, is_configured: impl Fn(&ServerId) -> bool) {
        self.0.retain(|server, _| is_configured(server));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_to_and_fro_is_switched_ever_more_seldom() {
        let (mut switches, start) = (Switches::default(), Instant::now());
        let id = ServerId::parse("a").unwrap();
        let mut admit = |after: u64| switches.admit(&id, start + Duration::from_secs(after));
        assert!(admit(0) && !admit(0) && admit(1));
        assert!(!admit(2) && admit(3));
        assert!(!admit(6) && admit(7));
        assert!(admit(7 + 601), "long ago, it begins anew");
        assert!(admit(7 + 601 + 1));
    }
}
