//! Looks after clusters in the background: health checks, idle connections, forgotten sessions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::upstream::cluster::Cluster;
use crate::upstream::era;
use crate::upstream::fields::Caller;
use crate::upstream::remote::Remote;

/// How often idle connections and sessions are looked over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How soon a cluster with an unhealthy replica is checked again, at the latest.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(5);

/// Checks a server's replicas until `shutdown`: every `every`, sooner while one is unhealthy. A server
/// of which nothing is known and no replica is well may be reached otherwise: it is asked.
pub async fn check(remote: Arc<Remote>, every: Duration, shutdown: CancellationToken) {
    let cluster = Arc::clone(&remote.cluster);
    let passes = async {
        loop {
            cluster.backends().run_health_check(true).await;
            let n_healthy = cluster.healthy_count();
            if n_healthy == 0 && remote.eras.is_unknown() {
                era::ask(&remote, &Caller::default()).await;
            }
            let is_whole = n_healthy == cluster.replicas().len();
            let pause = if is_whole {
                every
            } else {
                every.min(RECOVERY_INTERVAL)
            };
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(passes).await;
}

/// Closes connections and forgets sessions that nobody uses any more, until `shutdown`.
pub async fn sweep(clusters: Vec<Arc<Cluster>>, shutdown: CancellationToken) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let passes = async {
        loop {
            ticks.tick().await;
            for cluster in &clusters {
                cluster
                    .replicas()
                    .iter()
                    .for_each(|replica| replica.pool.sweep());
                if let Some(affinity) = &cluster.affinity {
                    affinity.sweep();
                }
            }
        }
    };
    shutdown.run_until_cancelled(passes).await;
}
