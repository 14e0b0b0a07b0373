//! The admin key: who operates the gateway.
//!
//! **Invariant:** it is held and compared as a SHA-256 digest, in constant time; nothing here tells,
//! logs or counts any part of what was presented.
//!
//! **Invariant:** a place that presented too many wrong keys is not told whether another one is right.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::{HeaderMap, HeaderValue, header};
use filters::identity::credential::{self, Credential};
use filters::identity::denial::Denial as Unreadable;
use subtle::ConstantTimeEq;

use crate::auth::api_key::{Fingerprint, fingerprint};
use crate::auth::places::Places;
use crate::auth::throttle::{Limits, Throttle};
use crate::state::Peer;

/// The header that carries the key where `Authorization` is something else's.
const ADMIN_KEY: &str = "x-admin-key";
const SCHEME: &[u8] = b"bearer";

/// What asks for the key.
pub(super) struct Gate {
    /// The key; without one it is open.
    key: Option<Fingerprint>,
    places: Places,
    throttle: Throttle,
    limits: Limits,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// It carries no key.
    Missing,
    /// It carries another one, two, or something that is none.
    Wrong,
    /// Too many wrong ones came from there.
    Throttled {
        /// For how many more seconds.
        seconds: u32,
    },
}

impl Denial {
    /// The metric label and log reason.
    #[must_use]
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Missing => "admin_key_missing",
            Self::Wrong => "admin_key_wrong",
            Self::Throttled { .. } => "admin_throttled",
        }
    }
}

impl Gate {
    /// A gate that opens to `key`, or to everybody where there is none.
    #[must_use]
    pub(super) fn new(key: Option<&str>, limits: Limits) -> Self {
        Self {
            key: key.map(fingerprint),
            places: Places::default(),
            throttle: Throttle::default(),
            limits,
        }
    }

    /// Whether it opens to everybody.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        self.key.is_none()
    }

    /// Whether a request is let in. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn judge(&self, headers: &HeaderMap, peer: Peer, now: u64) -> Result<(), Denial> {
        let Some(expected) = &self.key else {
            return Ok(());
        };
        let source = source(peer);
        let presented = match read(headers) {
            Ok(None) => return Err(Denial::Missing),
            Ok(Some(presented)) => Some(fingerprint(presented.text())),
            Err(_) => None,
        };
        let is_right = presented.is_some_and(|print| print.ct_eq(expected).into());
        if is_right && self.places.holds(Some(source)) {
            return Ok(());
        }
        if let Some(seconds) = self.throttle.is_over(source, now, self.limits) {
            return Err(Denial::Throttled { seconds });
        }
        if is_right {
            self.places.note(Some(source));
            return Ok(());
        }
        self.throttle.note(source, now, self.limits);
        Err(Denial::Wrong)
    }
}

/// What a request presents. An `Authorization` of another scheme is not meant for the admin API.
fn read(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Unreadable> {
    let all = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let is_bearer = |value: &&[u8]| {
        let scheme = value.trim_ascii().get(..SCHEME.len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
    };
    let bearers = all(header::AUTHORIZATION.as_str()).filter(is_bearer);
    credential::read(bearers, all(ADMIN_KEY))
}

/// Whose failures are counted together. Nobody who may open a socket is told from others of this
/// machine.
pub(super) fn source(peer: Peer) -> IpAddr {
    match peer {
        Peer::Host(address) => address,
        Peer::Socket => Ipv4Addr::LOCALHOST.into(),
        Peer::Unknown => Ipv4Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        failures_max: 3,
        window_seconds: 60,
    };

    fn gate() -> Gate {
        Gate::new(Some("secret"), LIMITS)
    }

    fn peer(n: u8) -> Peer {
        Peer::Host([192, 0, 2, n].into())
    }

    fn judge(gate: &Gate, fields: &[(&'static str, &str)], peer: Peer) -> Result<(), Denial> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        gate.judge(&headers, peer, 600)
    }

    #[test]
    fn only_the_whole_key_once_is_the_key() {
        for near in ["secre", "secret1", "secreT", "Xecret", "sec ret"] {
            let fields = [("x-admin-key", near)];
            assert_eq!(
                judge(&gate(), &fields, peer(1)),
                Err(Denial::Wrong),
                "{near}"
            );
        }
        let wrong: [&[(&'static str, &str)]; 7] = [
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearersecret")],
            &[("x-admin-key", "")],
            &[("x-admin-key", "secret"), ("x-admin-key", "secret")],
            &[("x-admin-key", "secret"), ("authorization", "Bearer other")],
            &[("x-admin-key", "other"), ("authorization", "Bearer secret")],
        ];
        for fields in wrong {
            assert_eq!(
                judge(&gate(), fields, peer(1)),
                Err(Denial::Wrong),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn the_key_comes_as_a_bearer_or_beside_what_is_somebody_elses() {
        let right: [&[(&'static str, &str)]; 5] = [
            &[("authorization", "Bearer secret")],
            &[("authorization", "bearer secret")],
            &[("authorization", "BEARER  secret ")],
            &[("x-admin-key", "secret")],
            &[("x-admin-key", "secret"), ("authorization", "Basic YTpi")],
        ];
        for fields in right {
            assert_eq!(judge(&gate(), fields, peer(1)), Ok(()), "{fields:?}");
        }
        let none = [("authorization", "Basic YTpi")];
        assert_eq!(judge(&gate(), &none, peer(1)), Err(Denial::Missing));
    }

    #[test]
    fn who_guesses_learns_nothing_more_and_who_has_the_key_goes_on() {
        let gate = gate();
        let (right, wrong) = ([("x-admin-key", "secret")], [("x-admin-key", "guess")]);
        assert_eq!(judge(&gate, &right, peer(1)), Ok(()));
        for from in [1, 2] {
            for _ in 0..LIMITS.failures_max {
                assert_eq!(judge(&gate, &wrong, peer(from)), Err(Denial::Wrong));
            }
            let over = Err(Denial::Throttled { seconds: 60 });
            assert_eq!(judge(&gate, &wrong, peer(from)), over);
        }
        assert_eq!(judge(&gate, &right, peer(1)), Ok(()), "it is known there");
        let over = Err(Denial::Throttled { seconds: 60 });
        assert_eq!(judge(&gate, &right, peer(2)), over, "it might be guessed");
        assert_eq!(judge(&gate, &right, peer(3)), Ok(()), "others go on");
    }

    #[test]
    fn what_is_missing_is_not_counted_as_a_guess() {
        let gate = gate();
        for _ in 0..10 {
            assert_eq!(judge(&gate, &[], peer(1)), Err(Denial::Missing));
        }
        assert_eq!(judge(&gate, &[("x-admin-key", "secret")], peer(1)), Ok(()));
    }

    #[test]
    fn what_a_header_says_of_the_sender_changes_nothing() {
        let gate = gate();
        for n in 0..LIMITS.failures_max {
            let from = format!("198.51.100.{n}");
            let fields = [("x-admin-key", "guess"), ("x-forwarded-for", &*from)];
            assert_eq!(judge(&gate, &fields, peer(1)), Err(Denial::Wrong));
        }
        let fields = [("x-admin-key", "guess"), ("x-forwarded-for", "203.0.113.9")];
        let over = Err(Denial::Throttled { seconds: 60 });
        assert_eq!(judge(&gate, &fields, peer(1)), over);
    }
}
