//! What all supervisors share: a private directory for their sockets, and the thread that starts
//! their children.
//!
//! **Invariant:** the directory is ours alone (0700, locked while we live) and goes with us; one
//! that a dead gateway left behind is removed by the next.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::fs::FlockOperation;
use tokio::process::Command;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{debug, warn};

use super::Error;
use super::child::Process;

/// Longest path of a unix socket (`sun_path` less its final zero), in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Starts that are with the thread at once. More wait their turn; how many there can be is bounded by
/// the servers' `processes_max`, and how long by the call that wants the child.
const ORDERS_MAX: usize = 64;
const PREFIX: &str = "conduit-";
const LOCK: &str = "lock";

/// The sockets' directory and the thread that starts children. Clones share both.
#[derive(Clone, Debug)]
pub struct Runtime {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    /// The binary that is started again as a guard.
    executable: PathBuf,
    sockets: AtomicU64,
    orders: mpsc::SyncSender<Order>,
    /// One permit for each place in `orders`.
    turns: Arc<Semaphore>,
    /// Locked as long as this gateway lives.
    _lock: File,
}

struct Order {
    command: Command,
    within: tokio::runtime::Handle,
    started: oneshot::Sender<io::Result<Process>>,
    /// Given back with the order, also where who asked has gone.
    _turn: OwnedSemaphorePermit,
}

impl Runtime {
    /// Opens a fresh private directory under `$RUNTIME_DIRECTORY` (systemd), `$XDG_RUNTIME_DIR` or
    /// the directory for temporary files, and removes those of dead gateways beside it.
    /// `executable` is the binary whose main gives way to [`super::guard::main`].
    ///
    /// # Errors
    /// [`Error`] where no directory can be made, or its path is too long for sockets.
    pub fn open(executable: PathBuf) -> Result<Self, Error> {
        Self::open_under(&base(), executable)
    }

    /// As [`Runtime::open`], under `base`.
    ///
    /// # Errors
    /// As [`Runtime::open`].
    pub fn open_under(base: &Path, executable: PathBuf) -> Result<Self, Error> {
        remove_stale(base);
        let (directory, lock) = make(base).map_err(|source| Error::ConfigDirectory {
            base: base.to_owned(),
            source,
        })?;
        let (orders, queue) = mpsc::sync_channel(ORDERS_MAX);
        thread::Builder::new()
            .name("conduit-spawn".to_owned())
            .spawn(move || start_children(&queue))
            .map_err(Error::Thread)?;
        let runtime = Self {
            inner: Arc::new(Inner {
                directory,
                executable,
                sockets: AtomicU64::new(0),
                orders,
                turns: Arc::new(Semaphore::new(ORDERS_MAX)),
                _lock: lock,
            }),
        };
        let longest = runtime.inner.directory.join("4294967295.sock");
        if longest.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(Error::ConfigPathTooLong { path: longest });
        }
        Ok(runtime)
    }

    /// The private directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// The binary that is started as a guard.
    pub(super) fn executable(&self) -> &Path {
        &self.inner.executable
    }

    /// A path for one more socket. Server ids may be longer than a socket's path: it is a number.
    pub(super) fn socket(&self) -> PathBuf {
        let number = self.inner.sockets.fetch_add(1, Ordering::Relaxed);
        self.inner.directory.join(format!("{number}.sock"))
    }

    /// Starts `command` on the one thread that lives as long as the gateway: the parent-death
    /// signal is sent when the *thread* that started a process ends.
    pub(super) async fn start(&self, command: Command) -> io::Result<Process> {
        let turns = Arc::clone(&self.inner.turns);
        let turn = turns.acquire_owned().await.map_err(io::Error::other)?;
        let (started, child) = oneshot::channel();
        let order = Order {
            command,
            within: tokio::runtime::Handle::current(),
            started,
            _turn: turn,
        };
        self.inner
            .orders
            .try_send(order)
            .map_err(|_| io::Error::other("the thread that starts children has no room"))?;
        child
            .await
            .map_err(|_| io::Error::other("the thread that starts children has ended"))?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            debug!(%error, "Runtime directory not removed");
        }
    }
}

/// Until the last [`Runtime`] is dropped.
fn start_children(orders: &mpsc::Receiver<Order>) {
    while let Ok(mut order) = orders.recv() {
        let _within = order.within.enter();
        // Where who asked has gone, the process comes back, and ends as it is dropped.
        drop(order.started.send(order.command.spawn().map(Process::from)));
    }
}

fn base() -> PathBuf {
    // systemd gives a list where there are several.
    let systemd =
        std::env::var_os("RUNTIME_DIRECTORY").and_then(|list| std::env::split_paths(&list).next());
    systemd
        .or_else(|| std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
        .filter(|base| base.is_absolute() && base.is_dir())
        .unwrap_or_else(std::env::temp_dir)
}

/// A fresh directory with a random name, and the lock that says that its owner lives.
fn make(base: &Path) -> io::Result<(PathBuf, File)> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let name = format!("{PREFIX}{:016x}", u64::from_ne_bytes(random));
    let directory = base.join(name);
    // Fails where it exists, so that nobody can have prepared it.
    DirBuilder::new().mode(0o700).create(&directory)?;
    let lock = File::create(directory.join(LOCK))?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok((directory, lock))
}

/// Removes the directories of gateways that can no longer do it themselves.
fn remove_stale(base: &Path) {
    let own = rustix::process::getuid().as_raw();
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(PREFIX).is_some_and(|rest| {
                rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        }) && fs::symlink_metadata(entry.path())
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == own);
        if ours && is_stale(&entry.path()) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => debug!(path = %entry.path().display(), "Stale directory removed"),
                Err(error) => {
                    warn!(path = %entry.path().display(), %error, "Stale directory not removed");
                }
            }
        }
    }
}

/// Whether nobody holds the lock. A directory without one is just being made.
fn is_stale(directory: &Path) -> bool {
    File::open(directory.join(LOCK)).is_ok_and(|lock| {
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn open(base: &Path) -> Runtime {
        Runtime::open_under(base, PathBuf::from("/nonexistent")).unwrap()
    }

    #[test]
    fn the_directory_is_private_and_goes_with_its_owner() {
        let base = tempfile::tempdir().unwrap();
        let runtime = open(base.path());
        let directory = runtime.directory().to_owned();
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(runtime);
        assert!(!directory.exists());
    }

    #[test]
    fn a_dead_gateways_directory_is_removed_and_a_living_ones_is_kept() {
        let base = tempfile::tempdir().unwrap();
        let living = open(base.path());
        let dead = base.path().join("conduit-0123456789abcdef");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let foreign = base.path().join("conduit-notes");
        fs::create_dir(&foreign).unwrap();
        let _second = open(base.path());
        assert!(living.directory().exists());
        assert!(foreign.exists());
        assert!(!dead.exists());
    }

    #[test]
    fn a_path_without_room_for_a_socket_is_refused_and_named() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("x".repeat(80));
        fs::create_dir(&deep).unwrap();
        let error = Runtime::open_under(&deep, PathBuf::new()).unwrap_err();
        assert!(error.to_string().contains(&"x".repeat(80)), "{error}");
    }
}
