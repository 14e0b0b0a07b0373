//! `Origin` and `Host` checks: what keeps a web page from reaching the gateway through a browser
//! (DNS rebinding; 2026-07-28, "Security"; E13).
//!
//! A page that came from the gateway's own address may call it. Which that is only the gateway knows: a
//! `Host` in the allow-list stands for pages of that very host and port, over `https`; over plain `http`, which
//! anybody on the way can write a page into, only where the gateway itself listens on that port without TLS.
//! What a proxy says of the scheme (`X-Forwarded-Proto`) is a header like any other, and not believed.
//!
//! **Invariant:** an `Origin` that is present is allowed by name or refused; there is no third way. Of several
//! all are refused.

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
    own: Option<Own>,
}

/// How the gateway is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Whether it speaks TLS itself.
    pub is_tls: bool,
    /// The port that it listens on.
    pub port: u16,
    /// The URL that clients reach it by, where that is configured.
    pub public: Option<String>,
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
            own: None,
        }
    }

    /// Has a `Host` in the allow-list stand for the pages that come from there, too.
    #[must_use]
    pub fn serving(mut self, own: Own) -> Self {
        self.own = Some(own);
        self
    }

    /// Checks one request's `Host` (or `:authority`) and every `Origin`.
    ///
    /// # Errors
    /// [`Refusal::HostForbidden`] or [`Refusal::OriginForbidden`].
    pub fn check<'o>(
        &self,
        host: Option<&str>,
        origins: impl IntoIterator<Item = &'o str>,
    ) -> Result<(), Refusal> {
        if !self.host_is_allowed(host) {
            return Err(Refusal::HostForbidden);
        }
        let mut origins = origins.into_iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        match origins.next().is_none() && self.origin_is_allowed(host, origin) {
            true => Ok(()),
            false => Err(Refusal::OriginForbidden),
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

    fn origin_is_allowed(&self, host: Option<&str>, origin: &str) -> bool {
        if self.any_origin || contains(&self.origins, origin) {
            return true;
        }
        let Some(page) = Page::parse(origin) else {
            return false;
        };
        (self.loopback && is_loopback(page.name))
            || host.is_some_and(|host| self.is_own(host, &page))
    }

    /// Whether a page came from where its request goes to, under a name that the operator gave.
    fn is_own(&self, host: &str, page: &Page<'_>) -> bool {
        let name = host_name(host);
        let is_listed = !self.any_host && contains(&self.hosts, name);
        let Some(own) = self.own.as_ref().filter(|_| is_listed) else {
            return false;
        };
        let public = own.public.as_deref().and_then(Page::parse);
        if public.is_some_and(|public| public.is(page)) {
            return true;
        }
        let is_there = page.name.eq_ignore_ascii_case(name)
            && port(host, page.is_tls).is_some_and(|port| port == page.port);
        // A plain page on another port may be anybody's who can write to the wire.
        is_there && (page.is_tls || (!own.is_tls && page.port == own.port))
    }
}

/// Where a web page comes from.
struct Page<'a> {
    is_tls: bool,
    name: &'a str,
    port: u16,
}

impl<'a> Page<'a> {
    /// Reads an origin, or a URL as far as its port.
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, rest) = origin.split_once("://")?;
        let is_tls = scheme.eq_ignore_ascii_case("https");
        if !is_tls && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let authority = rest.split('/').next()?;
        Some(Self {
            is_tls,
            name: host_name(authority),
            port: port(authority, is_tls)?,
        })
    }

    fn is(&self, other: &Self) -> bool {
        self.is_tls == other.is_tls
            && self.port == other.port
            && self.name.eq_ignore_ascii_case(other.name)
    }
}

/// The port of an authority: its scheme's where it names none.
fn port(authority: &str, is_tls: bool) -> Option<u16> {
    match authority.strip_prefix(host_name(authority))? {
        "" => Some(if is_tls { 443 } else { 80 }),
        rest => rest.strip_prefix(':')?.parse().ok(),
    }
}

fn contains(set: &HashSet<String>, text: &str) -> bool {
    // Nearly every request is lower case already: look it up before making a copy.
    set.contains(text) || (!set.is_empty() && set.contains(&text.to_ascii_lowercase()))
}

/// A host without its port: `[::1]:8080` is `[::1]`.
fn host_name(authority: &str) -> &str {
    if !authority.as_bytes().contains(&b']') {
        let end = authority.bytes().position(|byte| byte == b':');
        return end
            .and_then(|end| authority.get(..end))
            .unwrap_or(authority);
    }
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.split_at(after_bracket) {
        (bracketed, rest) if rest.starts_with(':') && after_bracket > 0 => bracketed,
        _ => authority,
    }
}

fn is_loopback(name: &str) -> bool {
    let is_v4 = || {
        name.parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
    };
    // Those that nearly all say first.
    matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost") || is_v4()
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

    fn own(is_tls: bool, port: u16) -> Rules {
        rules(&[], &["gw.example.com"], false).serving(Own {
            is_tls,
            port,
            public: None,
        })
    }

    fn allows(rules: &Rules, host: &str, origin: &str) -> bool {
        rules.check(Some(host), [origin]).is_ok()
    }

    #[test]
    fn one_origin_that_is_allowed_does_not_carry_another() {
        let rules = rules(&["https://app.example.com"], &[], true);
        let app = "https://app.example.com";
        for origins in [[app, "http://evil"], ["http://evil", app], [app, app]] {
            let told = rules.check(Some("localhost"), origins);
            assert_eq!(told, Err(Refusal::OriginForbidden), "{origins:?}");
        }
        for other in ["ftp://localhost", "app://localhost", "localhost"] {
            assert!(!allows(&rules, "localhost", other), "{other}");
        }
    }

    #[test]
    fn a_listed_host_stands_for_pages_of_that_host_and_port_over_tls() {
        // Its own TLS, and a proxy's before a plain port.
        for rules in [own(true, 443), own(false, 8080)] {
            assert!(allows(&rules, "gw.example.com", "https://gw.example.com"));
            assert!(allows(
                &rules,
                "GW.example.com:443",
                "https://gw.Example.com"
            ));
            assert!(allows(
                &rules,
                "gw.example.com:8443",
                "https://gw.example.com:8443"
            ));
            for origin in [
                "http://gw.example.com",
                "http://gw.example.com:6666",
                "https://gw.example.com:6666",
                "https://other.example.com",
                "https://gw.example.com.evil",
                "https://gw.example.com:443:1",
                "ftp://gw.example.com",
                "null",
            ] {
                assert!(!allows(&rules, "gw.example.com", origin), "{origin}");
            }
        }
    }

    #[test]
    fn a_plain_page_is_the_gateways_own_only_on_the_port_that_it_listens_on_without_tls() {
        let page = "http://gw.example.com:8080";
        assert!(allows(&own(false, 8080), "gw.example.com:8080", page));
        assert!(!allows(&own(true, 8080), "gw.example.com:8080", page));
        assert!(!allows(&own(false, 9090), "gw.example.com:8080", page));
        assert!(allows(
            &own(false, 80),
            "gw.example.com",
            "http://gw.example.com"
        ));
        // Nobody said how it is reached.
        let unknown = rules(&[], &["gw.example.com"], false);
        assert!(!allows(&unknown, "gw.example.com:8080", page));
    }

    #[test]
    fn the_url_that_clients_are_told_is_the_gateways_own() {
        let rules = rules(&[], &["gw.example.com", "inner"], false).serving(Own {
            is_tls: false,
            port: 8080,
            public: Some("http://gw.example.com:81/base".to_owned()),
        });
        assert!(allows(&rules, "inner:8080", "http://gw.example.com:81"));
        assert!(!allows(&rules, "inner:8080", "http://gw.example.com"));
        assert!(!allows(&rules, "inner:8080", "https://gw.example.com:81"));
    }
}
