//! `Origin` and `Host` checks: what keeps a web page from reaching the gateway through a browser
//! (DNS rebinding; 2026-07-28, "Security"; E13).
//!
//! **Invariant:** an `Origin` that is present is allowed by name or refused; there is no third way.

use std::collections::HashSet;

use crate::refusal::Refusal;

/// The compiled allow-lists.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    origins: HashSet<String>,
    any_origin: bool,
    hosts: HashSet<String>,
    any_host: bool,
    loopback: bool,
}

impl Rules {
    /// Compiles the allow-lists of the configuration. `loopback` says that the listener is bound to
    /// a loopback address: loopback names are then allowed, and `Host` is checked even without a
    /// list. `*` in a list allows all.
    #[must_use]
    pub fn compile(origins: &[String], hosts: &[String], loopback: bool) -> Self {
        let lower = |list: &[String]| -> HashSet<String> {
            list.iter()
                .map(|entry| entry.trim_end_matches('/').to_ascii_lowercase())
                .collect()
        };
        let (origins, hosts) = (lower(origins), lower(hosts));
        Self {
            any_origin: origins.contains("*"),
            any_host: hosts.contains("*"),
            origins,
            hosts,
            loopback,
        }
    }

    /// Checks one request's `Host` (or `:authority`) and `Origin`.
    ///
    /// # Errors
    /// [`Refusal::HostForbidden`] or [`Refusal::OriginForbidden`].
    pub fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), Refusal> {
        if !self.host_is_allowed(host) {
            return Err(Refusal::HostForbidden);
        }
        match origin {
            Some(origin) if !self.origin_is_allowed(origin) => Err(Refusal::OriginForbidden),
            Some(_) | None => Ok(()),
        }
    }

    fn host_is_allowed(&self, host: Option<&str>) -> bool {
        if self.any_host || (!self.loopback && self.hosts.is_empty()) {
            return true;
        }
        let Some(host) = host else { return false };
        let name = host_name(host);
        (self.loopback && is_loopback(name))
            || contains(&self.hosts, host)
            || contains(&self.hosts, name)
    }

    fn origin_is_allowed(&self, origin: &str) -> bool {
        if self.any_origin || contains(&self.origins, origin) {
            return true;
        }
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        let name = host_name(authority);
        (self.loopback && is_loopback(name)) || (!self.any_host && contains(&self.hosts, name))
    }
}

fn contains(set: &HashSet<String>, text: &str) -> bool {
    // Nearly every request is lower case already: look it up before making a copy.
    set.contains(text) || (!set.is_empty() && set.contains(&text.to_ascii_lowercase()))
}

/// A host without its port: `[::1]:8080` is `[::1]`.
fn host_name(authority: &str) -> &str {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.split_at(after_bracket) {
        (bracketed, rest) if rest.starts_with(':') && after_bracket > 0 => bracketed,
        ("", rest) => rest.split_once(':').map_or(rest, |(name, _)| name),
        _ => authority,
    }
}

fn is_loopback(name: &str) -> bool {
    let is_v4 = || {
        name.parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
    };
    name.eq_ignore_ascii_case("localhost") || name == "[::1]" || is_v4()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(origins: &[&str], hosts: &[&str], loopback: bool) -> Rules {
        let owned = |list: &[&str]| {
            list.iter()
                .map(|&entry| entry.into())
                .collect::<Vec<String>>()
        };
        Rules::compile(&owned(origins), &owned(hosts), loopback)
    }

    #[test]
    fn a_loopback_listener_takes_loopback_names_only() {
        let rules = rules(&[], &[], true);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]",
            "[::1]:80",
        ] {
            assert_eq!(rules.check(Some(host), None), Ok(()), "{host}");
        }
        for host in [
            "evil.example.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "",
            "[::2]:1",
        ] {
            assert_eq!(
                rules.check(Some(host), None),
                Err(Refusal::HostForbidden),
                "{host}"
            );
        }
        assert_eq!(rules.check(None, None), Err(Refusal::HostForbidden));
    }

    #[test]
    fn an_origin_is_allowed_by_name_or_refused() {
        let rules = rules(&["https://app.example.com/"], &[], true);
        let check = |origin| rules.check(Some("localhost"), Some(origin));
        for origin in [
            "https://app.example.com",
            "HTTPS://APP.example.com",
            "http://localhost:5173",
        ] {
            assert_eq!(check(origin), Ok(()), "{origin}");
        }
        for origin in [
            "http://app.example.com",
            "https://evil.example.com",
            "null",
            "",
            "http://localhost.evil",
        ] {
            assert_eq!(check(origin), Err(Refusal::OriginForbidden), "{origin}");
        }
    }

    #[test]
    fn a_public_listener_takes_any_host_until_hosts_are_listed() {
        assert_eq!(
            rules(&[], &[], false).check(Some("gw.example.com"), None),
            Ok(())
        );
        let listed = rules(&[], &["gw.example.com", "other:8443"], false);
        assert_eq!(listed.check(Some("GW.example.com:443"), None), Ok(()));
        assert_eq!(listed.check(Some("other:8443"), None), Ok(()));
        assert_eq!(
            listed.check(Some("other:1"), None),
            Err(Refusal::HostForbidden)
        );
        assert_eq!(
            listed.check(Some("localhost"), None),
            Err(Refusal::HostForbidden)
        );
    }

    #[test]
    fn a_public_listener_refuses_every_origin_that_is_not_listed() {
        let open = rules(&[], &[], false);
        let page = Some("https://evil.example.com");
        assert_eq!(
            open.check(Some("evil.example.com"), page),
            Err(Refusal::OriginForbidden)
        );
        assert_eq!(rules(&["*"], &[], false).check(Some("x"), page), Ok(()));
    }
}
