//! The unix socket of the admin API.
//!
//! **Invariant:** nobody else can connect to it, at no moment: it is made in a folder that only this
//! user can enter, and moved to its place once its mode is 0600.
//!
//! **Invariant:** nothing is removed but a socket that nobody listens on.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{Fds, ListenFds, ShutdownWatch};
use pingora::services::listening::Service;

use crate::app::adapter::ControlApp;
use crate::app::front::Front;

/// Who may open the socket: its owner.
const SOCKET_MODE: u32 = 0o600;
/// Who may enter the folder that it is made in.
const FOLDER_MODE: u32 = 0o700;

/// A socket that is listened on.
pub(super) struct Bound {
    listener: UnixListener,
    socket: Socket,
}

/// The file of a socket; gone when this is dropped, unless it is another one's by then.
pub(super) struct Socket {
    path: PathBuf,
    identity: (u64, u64),
}

/// The service of a socket that is bound already.
pub(super) struct Listening {
    service: Service<Front<ControlApp>>,
    fds: ListenFds,
}

impl Bound {
    /// Listens on `path`. What is left of a gateway that was killed is replaced.
    ///
    /// # Errors
    /// Where somebody listens there, where something else is there, and the system's.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        check_free(path)?;
        let folder = Folder::make(path)?;
        let made = folder.0.join("s");
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(SOCKET_MODE))?;
        listener.set_nonblocking(true)?;
        let identity = identity(&fs::symlink_metadata(&made)?);
        fs::rename(&made, path)?;
        let socket = Socket {
            path: path.to_owned(),
            identity,
        };
        Ok(Self { listener, socket })
    }

    /// Has a service listen on it.
    pub(super) fn serve(self, mut service: Service<Front<ControlApp>>) -> (Listening, Socket) {
        let path = self.socket.path.to_string_lossy();
        service.add_uds(&path, Some(Permissions::from_mode(SOCKET_MODE)));
        let mut fds = Fds::new();
        // Pingora takes it from there, as it would from a process that it replaces.
        fds.add(path.into_owned(), self.listener.into_raw_fd());
        let fds = Arc::new(Mutex::new(fds));
        (Listening { service, fds }, self.socket)
    }
}

/// Whether a socket can have this path.
fn check_free(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        let why = "there is a file that is no socket; remove it or choose another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A folder of this user's own, for as long as it takes.
struct Folder(PathBuf);

impl Folder {
    fn make(beside: &Path) -> io::Result<Self> {
        let name = format!(".conduit-{}", std::process::id());
        let path = beside.with_file_name(name);
        DirBuilder::new().mode(FOLDER_MODE).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Where binding failed half-way, the socket is still in it.
        fs::remove_file(self.0.join("s")).ok();
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::warn!(%error, "Folder of a socket cannot be removed");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| identity(&there) == self.identity) {
            // It may have gone meanwhile.
            fs::remove_file(&self.path).ok();
        }
    }
}

#[async_trait]
impl pingora::services::Service for Listening {
    async fn start_service(
        &mut self,
        _fds: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        let fds = Some(Arc::clone(&self.fds));
        self.service
            .start_service(fds, shutdown, listeners_per_fd)
            .await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn only_its_owner_can_open_it_and_nothing_else_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("admin.sock");
        let bound = Bound::bind(&path).unwrap();
        assert_eq!(mode(&path), SOCKET_MODE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(bound);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_gateway_left_is_replaced() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the system leaves it");
        let bound = Bound::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(bound);
    }

    #[test]
    fn a_socket_in_use_and_what_is_none_stay_as_they_are() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("admin.sock");
        let used = Bound::bind(&path).unwrap();
        let error = Bound::bind(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        for taken in [&file, &link] {
            let error = Bound::bind(taken).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        drop(used);
    }

    #[test]
    fn a_successors_socket_is_not_removed() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("admin.sock");
        let Bound { listener, socket } = Bound::bind(&path).unwrap();
        drop(listener);
        let next = Bound::bind(&path).unwrap();
        drop(socket);
        UnixStream::connect(&path).unwrap();
        drop(next);
    }
}
