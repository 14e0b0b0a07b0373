//! What was approved of servers' tools, where it is kept, and what was seen besides.
//!
//! **Invariant:** what is in force is what stands in the file: an approval counts once it was written.
//! **Invariant:** of what servers define so much is kept as [`ledger`] bounds.

pub mod file;
pub mod ledger;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use filters::lock::book::{Book, Tools};
use filters::lock::definition::{Definition, Digest};
use filters::lock::screen::Seen;
use parking_lot::Mutex;

use crate::lock::ledger::{Ledger, Sighting};

/// How long writing the file may take, waiting for others who write it included.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// It is not what was written.
    #[error("{path}: {broken}")]
    Broken {
        /// The file.
        path: String,
        /// What is wrong.
        broken: filters::lock::book::Broken,
    },
    /// It is larger than any that is written.
    #[error("{path}: is larger than {max} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The bound.
        max: u64,
    },
    /// Somebody else writes it, and does not end.
    #[error("{path}: is being written by somebody else")]
    Busy {
        /// The file.
        path: String,
    },
    /// The task that wrote it failed.
    #[error("the task that wrote the file failed")]
    Task,
}

/// What was approved, and what was seen besides.
pub struct Lock {
    path: PathBuf,
    book: ArcSwap<Book>,
    ledger: Mutex<Ledger>,
}

impl Lock {
    /// A lock of what stands in a file; where there is none, nothing was approved.
    ///
    /// # Errors
    /// Where the file is there and cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            book: ArcSwap::from_pointee(file::read(path)?),
            path: path.to_owned(),
            ledger: Mutex::default(),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that was approved.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// What was approved of a server; nothing where nobody ever looked at it.
    #[must_use]
    pub fn tools(&self, server: &str) -> Option<Arc<Tools>> {
        self.book.load().server(server).map(Arc::clone)
    }

    /// Notes a tool that is not approved; whether that is new.
    pub fn note(&self, server: &str, seen: &Seen<'_>) -> bool {
        self.ledger.lock().note(server, seen, Instant::now())
    }

    /// What was seen of a server lately and is not approved.
    #[must_use]
    pub fn seen(&self, server: &str) -> Vec<Sighting> {
        self.ledger.lock().recent(server, Instant::now())
    }

    /// A definition that was seen.
    #[must_use]
    pub fn find(&self, server: &str, tool: &str, digest: Digest) -> Option<Arc<Definition>> {
        self.ledger.lock().find(server, tool, digest)
    }

    /// What stands in the file now.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub async fn reread(&self) -> Result<Book, Error> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&path)).await;
        read.unwrap_or(Err(Error::Task))
    }

    /// Puts what stands in the file into force; whether that is something else than before.
    pub fn adopt(&self, book: Book) -> bool {
        let is_other = **self.book.load() != book;
        if is_other {
            self.book.store(Arc::new(book));
        }
        is_other
    }

    /// Changes what is approved: in the file first, as that is now, then here. Where `change` refuses,
    /// nothing changes.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub async fn amend<T, E>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Book) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let lock = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            file::amend(&lock.path, change, |book| lock.book.store(Arc::new(book)))
        });
        match tokio::time::timeout(WRITE_MAX, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::Task),
            Err(_) => Err(Error::Busy {
                path: self.path.display().to_string(),
            }),
        }
    }

    /// Forgets what was seen of a tool.
    pub fn forget(&self, server: &str, tool: &str) {
        self.ledger.lock().forget(server, tool);
    }

    /// Forgets what was seen and is approved now: should it be seen again otherwise, that is told.
    pub fn settle(&self, server: &str) {
        let Some(tools) = self.tools(server) else {
            return;
        };
        self.ledger.lock().settle(server, &tools);
    }
}
