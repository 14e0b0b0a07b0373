//! URLs that others name: where they may lead, and that a connection goes nowhere else.
//!
//! A URL of the configuration is the operator's own and is trusted. One that is learned (from metadata,
//! over an API) is somebody else's: it must lead to the public internet, or to where the configuration
//! leads already.
//!
//! **Invariant:** the address that was checked is the one that is connected to: no name is looked up a
//! second time, and redirects are not followed anywhere in the gateway.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use filters::net::guard;
use http::Uri;
use tokio::time::timeout;

use crate::upstream::address::{Address, Endpoint};

/// How long a name may take to be looked up.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// Why a learned URL is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none.
    #[error("is not an http:// or https:// URL with a host")]
    Url,
    /// It holds a user or a password.
    #[error("holds credentials")]
    Credentials,
    /// Where it was learned, there was TLS.
    #[error("would send in the clear what came over TLS")]
    Plain,
    /// Its name has no address.
    #[error("has a name without an address")]
    Unresolved,
    /// It leads into a network that is not everybody's.
    #[error("leads to an address that is not public")]
    Closed,
}

/// Where a learned URL leads, checked and pinned. `trusted` is the URL of the configuration that it was
/// learned from.
///
/// # Errors
/// Where nobody should go there.
pub async fn address(url: &str, trusted: &str) -> Result<Address, Refused> {
    let (learned, trusted) = (parse(url)?, parse(trusted)?);
    let mut address = Address::parse(url).map_err(|_| Refused::Url)?;
    if origin(&learned) == origin(&trusted) {
        return Ok(address);
    }
    let Endpoint::Tcp { host, port, tls } = &address.endpoint else {
        return Err(Refused::Url);
    };
    if trusted.scheme_str() == Some("https") && !tls {
        return Err(Refused::Plain);
    }
    let at = public(host, *port).await?;
    address.endpoint = Endpoint::Pinned {
        at,
        host: host.clone(),
        tls: *tls,
    };
    Ok(address)
}

/// The first address of a host, if all of them are public: a name that leads to both is a trap.
async fn public(host: &str, port: u16) -> Result<SocketAddr, Refused> {
    if guard::is_metadata(host) {
        return Err(Refused::Closed);
    }
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => timeout(LOOK_UP_MAX, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| Refused::Unresolved)?
            .map_err(|_| Refused::Unresolved)?
            .collect(),
    };
    if !found.iter().all(|address| guard::is_public(address.ip())) {
        return Err(Refused::Closed);
    }
    found.into_iter().next().ok_or(Refused::Unresolved)
}

fn parse(url: &str) -> Result<Uri, Refused> {
    let uri: Uri = url.parse().map_err(|_| Refused::Url)?;
    let authority = uri.authority().ok_or(Refused::Url)?;
    if authority.as_str().contains('@') {
        return Err(Refused::Credentials);
    }
    Ok(uri)
}

/// Scheme, host and port: what a URL's secrets are shared with.
fn origin(uri: &Uri) -> (String, String, u16) {
    let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let port = if scheme == "https" { 443 } else { 80 };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    (scheme, host, uri.port_u16().unwrap_or(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(url: &str, trusted: &str) -> Result<(), Refused> {
        address(url, trusted).await.map(|_| ())
    }

    #[tokio::test]
    async fn a_learned_url_leads_to_the_public_or_home() {
        let home = "http://127.0.0.1:9/realm";
        for (url, trusted, wanted) in [
            ("http://127.0.0.1:9/token", home, Ok(())),
            ("HTTP://127.0.0.1:9/token", home, Ok(())),
            ("http://127.0.0.1:10/token", home, Err(Refused::Closed)),
            ("https://127.0.0.1:9/token", home, Err(Refused::Closed)),
            ("http://10.0.0.1/", home, Err(Refused::Closed)),
            ("http://169.254.169.254/latest", home, Err(Refused::Closed)),
            (
                "http://[::ffff:169.254.169.254]/",
                home,
                Err(Refused::Closed),
            ),
            ("http://[2002:7f00:1::]/", home, Err(Refused::Closed)),
            ("http://[64:ff9b::a00:1]/", home, Err(Refused::Closed)),
            ("http://100.64.0.1/", home, Err(Refused::Closed)),
            ("http://localhost:9/", home, Err(Refused::Closed)),
            (
                "http://metadata.google.internal./",
                home,
                Err(Refused::Closed),
            ),
            ("http://168.63.129.16/", home, Err(Refused::Closed)),
            ("http://8.8.8.8/", home, Ok(())),
            ("https://8.8.8.8/", home, Ok(())),
            ("http://8.8.8.8/", "https://1.1.1.1/", Err(Refused::Plain)),
            (
                "http://127.0.0.1:9@8.8.8.8/",
                home,
                Err(Refused::Credentials),
            ),
            ("file:///etc/passwd", home, Err(Refused::Url)),
            ("ftp://8.8.8.8/", home, Err(Refused::Url)),
            ("/token", home, Err(Refused::Url)),
            ("", home, Err(Refused::Url)),
        ] {
            assert_eq!(check(url, trusted).await, wanted, "{url} {trusted}");
        }
    }

    #[tokio::test]
    async fn what_was_checked_is_what_is_connected_to() {
        let address = address("https://8.8.8.8/token", "https://idp/")
            .await
            .unwrap();
        let wanted = Endpoint::Pinned {
            at: "8.8.8.8:443".parse().unwrap(),
            host: "8.8.8.8".to_owned(),
            tls: true,
        };
        assert_eq!(address.endpoint, wanted);
        assert_eq!((&*address.authority, &*address.path), ("8.8.8.8", "/token"));
    }
}
