//! A server's replicas and how one is chosen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use pingora::connectors::TransportConnector;
use pingora::lb::discovery::Static;
use pingora::lb::health_check::HealthCheck;
use pingora::lb::selection::{BackendIter, BackendSelection, RoundRobin};
use pingora::lb::{Backend, Backends, Extensions, LoadBalancer};
use pingora::protocols::l4::socket::SocketAddr;

use crate::upstream::address::Address;
use crate::upstream::affinity::Affinity;
use crate::upstream::credential::Credentials;
use crate::upstream::replica::Replica;

/// What a cluster is made from.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The server's id.
    pub server: Arc<str>,
    /// Its replicas, `url` first.
    pub addresses: Vec<Address>,
    /// How one is chosen.
    pub balancing: Balancing,
    /// How long each step may take.
    pub limits: Limits,
    /// Most legacy sessions remembered for replica affinity.
    pub sessions_max: usize,
    /// How long an unused session is remembered.
    pub session_idle: Duration,
    /// Whose credential its requests carry.
    pub credentials: Credentials,
}

/// How a replica is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancing {
    /// One after the other.
    RoundRobin,
    /// The one that carries fewest requests.
    LeastConnections,
}

/// How long each step of a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a connection stands: name, TCP and TLS together.
    pub connect: Duration,
    /// From the request sent until the answer's head.
    pub header: Duration,
    /// Between two reads of an answer. Streams that a client opened to listen have none.
    pub idle: Duration,
    /// For the whole call.
    pub total: Duration,
}

impl Spec {
    /// One address that is asked for a document now and then, within `total` each time; it is sent no
    /// credential of a server's.
    #[must_use]
    pub fn of_document(what: &str, address: Address, total: Duration) -> Self {
        Self {
            server: what.into(),
            addresses: vec![address],
            balancing: Balancing::RoundRobin,
            limits: Limits {
                connect: total,
                header: total,
                idle: total,
                total,
            },
            sessions_max: 1,
            session_idle: Duration::ZERO,
            credentials: Credentials::Callers,
        }
    }
}

/// A server's replicas.
pub struct Cluster {
    /// The server's id.
    pub server: Arc<str>,
    /// How long each step of a request may take.
    pub limits: Limits,
    /// What connections are made with; shared by all clusters.
    pub transport: Arc<TransportConnector>,
    /// Which replica has which legacy session. One replica needs none.
    pub affinity: Option<Affinity>,
    /// Whose credential its requests carry.
    pub credentials: Credentials,
    replicas: Vec<Arc<Replica>>,
    balancer: Balancer,
}

enum Balancer {
    RoundRobin(LoadBalancer<RoundRobin>),
    LeastConnections(LoadBalancer<LeastInFlight>),
}

impl Cluster {
    /// Builds a cluster. Replicas count as healthy until a check says otherwise.
    #[must_use]
    pub fn new(
        spec: Spec,
        transport: Arc<TransportConnector>,
        check: Option<Box<dyn HealthCheck + Send + Sync>>,
    ) -> Self {
        let replicas: Vec<Arc<Replica>> = spec
            .addresses
            .into_iter()
            .enumerate()
            .map(|(index, address)| Arc::new(Replica::new(index, address)))
            .collect();
        let members: BTreeSet<Backend> = replicas.iter().map(|r| member(&spec.server, r)).collect();
        let mut backends = Backends::new(Static::new(members));
        if let Some(check) = check {
            backends.set_health_check(check);
        }
        let balancer = match spec.balancing {
            Balancing::RoundRobin => Balancer::RoundRobin(ready(backends)),
            Balancing::LeastConnections => Balancer::LeastConnections(ready(backends)),
        };
        let affinity =
            (replicas.len() > 1).then(|| Affinity::new(spec.sessions_max, spec.session_idle));
        Self {
            server: spec.server,
            limits: spec.limits,
            transport,
            affinity,
            credentials: spec.credentials,
            replicas,
            balancer,
        }
    }

    /// All replicas, in the order of the configuration.
    #[must_use]
    pub fn replicas(&self) -> &[Arc<Replica>] {
        &self.replicas
    }

    /// Chooses a replica that is not in `tried`: the session's own where it has one, else a healthy
    /// one by the balancing strategy, else any that is left. A replica that looks down is better
    /// than none: it may have just come back.
    #[must_use]
    pub fn choose(&self, session: Option<&str>, tried: &[usize]) -> Option<Arc<Replica>> {
        if let [only] = self.replicas.as_slice() {
            return tried.is_empty().then(|| Arc::clone(only));
        }
        let own = session
            .zip(self.affinity.as_ref())
            .and_then(|(session, affinity)| affinity.find(session))
            .filter(|index| !tried.contains(index))
            .and_then(|index| self.replicas.get(index));
        if let Some(replica) = own {
            return Some(Arc::clone(replica));
        }
        let is_left = |backend: &Backend| {
            replica(backend).is_some_and(|replica| !tried.contains(&replica.index))
        };
        let count = self.replicas.len();
        self.select(count, |backend, is_healthy| is_healthy && is_left(backend))
            .or_else(|| self.select(count, |backend, _| is_left(backend)))
            .and_then(|backend| replica(&backend).map(Arc::clone))
    }

    /// How many replicas passed their checks.
    #[must_use]
    pub fn healthy_count(&self) -> usize {
        let backends = self.backends();
        backends
            .get_backend()
            .iter()
            .filter(|backend| backends.ready(backend))
            .count()
    }

    /// Whether a replica passed its checks.
    #[must_use]
    pub fn is_healthy(&self, index: usize) -> bool {
        let backends = self.backends();
        backends.get_backend().iter().any(|backend| {
            replica(backend).is_some_and(|replica| replica.index == index)
                && backends.ready(backend)
        })
    }

    /// The members and their health, as Pingora keeps them.
    #[must_use]
    pub fn backends(&self) -> &Backends {
        match &self.balancer {
            Balancer::RoundRobin(balancer) => balancer.backends(),
            Balancer::LeastConnections(balancer) => balancer.backends(),
        }
    }

    fn select(&self, count: usize, accept: impl Fn(&Backend, bool) -> bool) -> Option<Backend> {
        // The weighted selection may offer one member several times before each came once.
        let tries = count.saturating_mul(4);
        match &self.balancer {
            Balancer::RoundRobin(balancer) => balancer.select_with(b"", tries, accept),
            Balancer::LeastConnections(balancer) => balancer.select_with(b"", tries, accept),
        }
    }
}

fn ready<S>(backends: Backends) -> LoadBalancer<S>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let balancer = LoadBalancer::from_backends(backends);
    // A static membership is there at once.
    if let Some(Err(error)) = balancer.update().now_or_never() {
        tracing::error!(%error, "Load balancer could not take its members");
    }
    balancer
}

/// A member of Pingora's load balancer. Its address is only its identity there (two replicas may
/// share host and port and differ in path): we connect by the replica it carries.
fn member(server: &str, replica: &Arc<Replica>) -> Backend {
    let name = format!("{server}/{:06}", replica.index);
    let addr = std::os::unix::net::SocketAddr::from_pathname(&name).map_or_else(
        |_| {
            SocketAddr::Inet(
                (
                    [0, 0, 0, 0],
                    u16::try_from(replica.index).unwrap_or(u16::MAX),
                )
                    .into(),
            )
        },
        SocketAddr::Unix,
    );
    let mut ext = Extensions::new();
    ext.insert(Arc::clone(replica));
    Backend {
        addr,
        weight: 1,
        ext,
    }
}

/// The replica that a member of the load balancer stands for.
#[must_use]
pub fn replica(backend: &Backend) -> Option<&Arc<Replica>> {
    backend.ext.get::<Arc<Replica>>()
}

/// Least connections: members in ascending order of requests in flight, ties in turn.
struct LeastInFlight {
    members: Box<[Backend]>,
    turn: AtomicUsize,
}

impl BackendSelection for LeastInFlight {
    type Iter = LeastInFlightIter;
    type Config = ();

    fn build(backends: &BTreeSet<Backend>) -> Self {
        Self {
            members: backends.iter().cloned().collect(),
            turn: AtomicUsize::new(0),
        }
    }

    fn iter(self: &Arc<Self>, _key: &[u8]) -> LeastInFlightIter {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.members.len().max(1);
        let mut order: Vec<(usize, usize)> = (0..self.members.len())
            .map(|offset| {
                let at = (turn + offset) % count;
                let load = self
                    .members
                    .get(at)
                    .and_then(replica)
                    .map_or(0, |r| r.in_flight());
                (load, at)
            })
            .collect();
        order.sort_by_key(|&(load, _)| load);
        LeastInFlightIter {
            members: Arc::clone(self),
            order: order.into_iter(),
        }
    }
}

struct LeastInFlightIter {
    members: Arc<LeastInFlight>,
    order: std::vec::IntoIter<(usize, usize)>,
}

impl BackendIter for LeastInFlightIter {
    fn next(&mut self) -> Option<&Backend> {
        self.order
            .next()
            .and_then(|(_, at)| self.members.members.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::replica::InFlight;

    fn cluster(replicas: usize, balancing: Balancing) -> Cluster {
        let second = Duration::from_secs(1);
        let spec = Spec {
            server: "s".into(),
            addresses: (0..replicas)
                .map(|n| Address::parse(&format!("http://127.0.0.1:1/{n}")).unwrap())
                .collect(),
            balancing,
            limits: Limits {
                connect: second,
                header: second,
                idle: second,
                total: second,
            },
            sessions_max: 10,
            session_idle: second,
            credentials: Credentials::Callers,
        };
        Cluster::new(spec, Arc::new(TransportConnector::new(None)), None)
    }

    #[test]
    fn round_robin_gives_each_replica_its_share() {
        let cluster = cluster(3, Balancing::RoundRobin);
        let mut counts = [0; 3];
        for _ in 0..9 {
            counts[cluster.choose(None, &[]).unwrap().index] += 1;
        }
        assert_eq!(counts, [3, 3, 3]);
    }

    #[test]
    fn least_connections_prefers_the_idle_replica() {
        let cluster = cluster(3, Balancing::LeastConnections);
        let busy: Vec<_> = [0, 2]
            .into_iter()
            .map(|index| InFlight::start(Arc::clone(&cluster.replicas()[index])))
            .collect();
        for _ in 0..5 {
            assert_eq!(cluster.choose(None, &[]).unwrap().index, 1);
        }
        drop(busy);
        let spread: BTreeSet<_> = (0..3)
            .map(|_| cluster.choose(None, &[]).unwrap().index)
            .collect();
        assert_eq!(spread.len(), 3, "ties are taken in turn");
    }

    #[test]
    fn a_tried_replica_is_not_chosen_again() {
        for balancing in [Balancing::RoundRobin, Balancing::LeastConnections] {
            let three = cluster(3, balancing);
            assert_eq!(three.choose(None, &[0, 2]).unwrap().index, 1);
            assert!(three.choose(None, &[0, 1, 2]).is_none());
        }
        let single = cluster(1, Balancing::RoundRobin);
        assert!(single.choose(None, &[]).is_some());
        assert!(single.choose(None, &[0]).is_none());
    }

    #[test]
    fn a_session_stays_with_its_replica() {
        let cluster = cluster(3, Balancing::RoundRobin);
        cluster.affinity.as_ref().unwrap().remember("abc", 2);
        for _ in 0..5 {
            assert_eq!(cluster.choose(Some("abc"), &[]).unwrap().index, 2);
        }
        assert_ne!(
            cluster.choose(Some("abc"), &[2]).unwrap().index,
            2,
            "unless it was tried"
        );
    }
}
