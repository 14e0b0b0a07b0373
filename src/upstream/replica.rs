//! One replica of a server: where it is, its idle connections, and how many requests it carries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use filters::refusal::Phase;
use pingora::connectors::TransportConnector;
use pingora::upstreams::peer::{ALPN, HttpPeer};
use pingora_timeout::fast_timeout::fast_timeout;

use crate::upstream::address::{Address, Endpoint};
use crate::upstream::connection::Connection;
use crate::upstream::error::Error;
use crate::upstream::pool::Pool;

/// How long a resolved name is used before it is resolved again.
const RESOLUTION_TTL: Duration = Duration::from_secs(30);

/// A replica.
#[derive(Debug)]
pub struct Replica {
    /// Its place in the configuration: 0 is `url`, then `replicas` in order.
    pub index: usize,
    /// Where it is.
    pub address: Address,
    /// Its idle connections.
    pub pool: Pool,
    in_flight: AtomicUsize,
    resolved: ArcSwapOption<Resolved>,
    checked: ArcSwapOption<Check>,
}

/// What the last health check found out.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
}

#[derive(Debug)]
struct Resolved {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl Replica {
    /// A replica that has not been connected to.
    #[must_use]
    pub fn new(index: usize, address: Address) -> Self {
        Self {
            index,
            address,
            pool: Pool::default(),
            in_flight: AtomicUsize::new(0),
            resolved: ArcSwapOption::empty(),
            checked: ArcSwapOption::empty(),
        }
    }

    /// The last health check, if there was one.
    #[must_use]
    pub fn last_check(&self) -> Option<Check> {
        self.checked.load().as_deref().copied()
    }

    /// Notes a health check that has just ended.
    pub fn note_check(&self, took: Duration) {
        self.checked.store(Some(Arc::new(Check {
            at: SystemTime::now(),
            took,
        })));
    }

    /// How many requests it carries now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Opens a connection, trying each address the name has.
    ///
    /// # Errors
    /// [`Error::Connect`], or [`Error::Timeout`] after `limit` for all of it together.
    pub async fn connect(
        &self,
        transport: &TransportConnector,
        limit: Duration,
    ) -> Result<Connection, Error> {
        fast_timeout(limit, self.connect_any(transport, limit))
            .await
            .map_err(|_| Error::Timeout(Phase::Connect))?
    }

    async fn connect_any(
        &self,
        transport: &TransportConnector,
        limit: Duration,
    ) -> Result<Connection, Error> {
        let mut last = Error::Connect("the name has no address".to_owned());
        for mut peer in self.peers().await? {
            peer.options.connection_timeout = Some(limit);
            peer.options.alpn = ALPN::H1;
            match transport.new_stream(&peer).await {
                Ok(stream) => return Ok(Connection::new(stream)),
                Err(error) => last = Error::Connect(error.to_string()),
            }
        }
        // A name may have moved.
        self.resolved.store(None);
        Err(last)
    }

    async fn peers(&self) -> Result<Vec<HttpPeer>, Error> {
        match &self.address.endpoint {
            Endpoint::Unix(path) => {
                let peer = HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())
                    .map_err(|error| Error::Connect(error.to_string()))?;
                Ok(vec![peer])
            }
            Endpoint::Pinned { at, host, tls } => Ok(vec![HttpPeer::new(*at, *tls, host.clone())]),
            Endpoint::Tcp { host, port, tls } => {
                let addresses = self.resolve(host, *port).await?;
                // An empty SNI would switch certificate checks off: it is the host, always.
                Ok(addresses
                    .into_iter()
                    .map(|address| HttpPeer::new(address, *tls, host.clone()))
                    .collect())
            }
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if let Some(resolved) = &*self.resolved.load()
            && resolved.at.elapsed() < RESOLUTION_TTL
        {
            return Ok(resolved.addresses.clone());
        }
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Error::Connect(format!("cannot resolve {host}: {error}")))?
            .collect();
        let resolved = Resolved {
            addresses: addresses.clone(),
            at: Instant::now(),
        };
        self.resolved.store(Some(Arc::new(resolved)));
        Ok(addresses)
    }
}

/// Counts one request of a replica for as long as it lives.
#[derive(Debug)]
pub struct InFlight {
    replica: Arc<Replica>,
}

impl InFlight {
    /// Starts counting.
    #[must_use]
    pub fn start(replica: Arc<Replica>) -> Self {
        replica.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { replica }
    }

    /// The replica that carries the request.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.replica.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
