//! What a child learns of the gateway's environment: as little as it needs to run.
//!
//! **Invariant:** a variable reaches a child only if it is listed here or configured for that very
//! server. The gateway's own secrets (`CONDUIT_*`, other servers' keys) never do.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Variables that are passed on: who and where the user is, and how to reach the network, which
/// `npx`, `uvx` and their like need to fetch a server.
pub const PASSED: [&str; 29] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PYENV_ROOT",
    "NVM_DIR",
];

/// Every variable with this prefix is passed on too.
pub const PASSED_PREFIX: &str = "LC_";

/// The environment of a child: what of `own` is passed on, overlaid with what is `configured`.
pub(super) fn minimal(
    own: impl Iterator<Item = (OsString, OsString)>,
    configured: &BTreeMap<String, String>,
) -> BTreeMap<OsString, OsString> {
    own.filter(|(name, _)| is_passed(name))
        .chain(
            configured
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .collect()
}

fn is_passed(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| PASSED.contains(&name) || name.starts_with(PASSED_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(own: &[&str], configured: &[(&str, &str)]) -> Vec<String> {
        let own = own
            .iter()
            .map(|name| (OsString::from(name), OsString::from("own")));
        let configured = configured
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        minimal(own, &configured)
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn secrets_of_the_gateway_stay_with_it() {
        let own = [
            "CONDUIT_ADMIN_KEY",
            "GITHUB_TOKEN",
            "NPM_CONFIG__AUTH",
            "PATH",
            "LC_ALL",
        ];
        assert_eq!(names(&own, &[]), ["LC_ALL=own", "PATH=own"]);
    }

    #[test]
    fn what_is_configured_is_passed_and_wins() {
        let configured = [("PATH", "theirs"), ("GITHUB_TOKEN", "theirs")];
        assert_eq!(
            names(&["PATH", "GITHUB_TOKEN"], &configured),
            ["GITHUB_TOKEN=theirs", "PATH=theirs"]
        );
    }
}
