//! TLS of the gateway's own listener: what it is spoken with, and how that is renewed while it runs.
//!
//! Pingora's `TlsSettings` reads its files once, panics where they are wrong, and always speaks 1.2 as
//! well. So rustls is configured here, and Pingora's [`Acceptor`] speaks it.
//!
//! **Invariant:** what is in force is exchanged as a whole, and only by what can be used: a broken file
//! changes nothing. Open connections go on with what they were opened with.

pub(super) mod load;

use std::any::Any;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::listeners::TlsAccept;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::tls::server::handshake_with_callback;
use pingora::protocols::tls::{TlsRef, TlsStream};
use tokio_util::sync::CancellationToken;

use crate::app::tls::load::Material;
use crate::auth::certificate::Peer;
use crate::config::Config;
use crate::config::model::gateway::Tls;
use crate::state::live::Live;

/// How often files are looked at where nobody said how often.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// What is wrong with the files that a configuration names, one line for each thing.
///
/// # Errors
/// Where anything is.
pub fn check(config: &Config) -> Result<(), Vec<String>> {
    match &config.gateway.tls {
        Some(tls) => Material::load(tls).map(drop),
        None => Ok(()),
    }
}

/// TLS of a listener.
pub(super) struct Secure {
    in_force: ArcSwap<Acceptor>,
    known: Mutex<Known>,
    live: Arc<Live>,
}

/// What is in force, and from where.
struct Known {
    tls: Tls,
    print: [u8; 32],
    /// How the files looked last.
    stamps: Vec<Stamp>,
}

/// How a file looks from outside; nothing where it is not there.
type Stamp = Option<(SystemTime, u64)>;

impl Secure {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// One line for each thing that is wrong.
    pub(super) fn new(tls: &Tls, live: Arc<Live>) -> Result<Self, Vec<String>> {
        let stamps = stamps(tls);
        let material = Material::load(tls)?;
        let secure = Self {
            in_force: ArcSwap::from_pointee(acceptor(&material)),
            known: Mutex::new(Known {
                tls: tls.clone(),
                print: material.print,
                stamps,
            }),
            live,
        };
        secure.note(&material);
        Ok(secure)
    }

    /// Opens a connection with what is in force now.
    ///
    /// # Errors
    /// Where the handshake fails.
    pub(super) async fn accept(&self, stream: Stream) -> pingora::Result<TlsStream<Stream>> {
        let acceptor = self.in_force.load_full();
        handshake_with_callback(&acceptor, stream, &Introduction).await
    }

    /// Reads the files again, for a configuration that is to come into force.
    ///
    /// # Errors
    /// One line for each thing that is wrong.
    pub(super) fn read(tls: &Tls) -> Result<Renewal, Vec<String>> {
        let stamps = stamps(tls);
        Ok(Renewal {
            material: Material::load(tls)?,
            tls: tls.clone(),
            stamps,
        })
    }

    /// Puts what was read into force; whether it is other than what was.
    pub(super) fn renew(&self, renewal: Renewal) -> bool {
        let Renewal {
            material,
            tls,
            stamps,
        } = renewal;
        let mut known = self.known.lock();
        let is_other = known.print != material.print;
        if is_other {
            self.in_force.store(Arc::new(acceptor(&material)));
            self.live.metrics.connections.count_renewal("renewed");
            tracing::info!("TLS certificate renewed");
        }
        *known = Known {
            tls,
            print: material.print,
            stamps,
        };
        drop(known);
        self.note(&material);
        is_other
    }

    /// Counts files that could not be used.
    pub(super) fn count_failure(&self) {
        self.live.metrics.connections.count_renewal("failed");
    }

    /// Looks after the files until the gateway ends.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let interval = self.known.lock().tls.watch;
            let pause = tokio::time::sleep(interval.unwrap_or(LOOK_INTERVAL));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            // A reload may have switched it on or off meanwhile.
            if self.known.lock().tls.watch.is_none() {
                continue;
            }
            let secure = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || secure.look()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "TLS files cannot be watched");
            }
        }
    }

    /// Reads the files where they look otherwise than before.
    fn look(&self) {
        let tls = {
            let mut known = self.known.lock();
            let now = stamps(&known.tls);
            if now == known.stamps {
                return;
            }
            // What is broken is told once, until it changes again.
            known.stamps = now;
            known.tls.clone()
        };
        match Self::read(&tls) {
            // A reload may have come in between, and knows better.
            Ok(renewal) if self.known.lock().tls == tls => {
                self.renew(renewal);
            }
            Ok(_) => {}
            Err(errors) => {
                self.count_failure();
                for error in errors {
                    tracing::error!(%error, "TLS files changed and cannot be used; the old ones stay");
                }
            }
        }
    }

    fn note(&self, material: &Material) {
        if let Some(ends) = material.ends {
            self.live.metrics.connections.note_end(ends);
        }
        if material.is_over() {
            tracing::warn!("gateway.tls.cert_path: the certificate has expired; clients refuse it");
        }
    }
}

/// What was read, to be put into force.
pub(super) struct Renewal {
    material: Material,
    tls: Tls,
    stamps: Vec<Stamp>,
}

/// Keeps who is at the other end with the connection.
struct Introduction;

#[async_trait]
impl TlsAccept for Introduction {
    async fn handshake_complete_callback(
        &self,
        tls: &TlsRef,
    ) -> Option<Arc<dyn Any + Send + Sync>> {
        let peer = Peer::read(tls.peer_certificate_der()?)?;
        Some(Arc::new(peer))
    }
}

fn acceptor(material: &Material) -> Acceptor {
    Acceptor::from_server_config(Arc::clone(&material.config))
}

fn stamps(tls: &Tls) -> Vec<Stamp> {
    let files = [
        Some(&tls.cert_path),
        Some(&tls.key_path),
        tls.ca_path.as_ref(),
    ];
    let files = files.into_iter().flatten();
    files.map(PathBuf::as_path).map(stamp).collect()
}

fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}
