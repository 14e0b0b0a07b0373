//! The file of what was approved.
//!
//! **Invariant:** whoever reads it finds what somebody wrote, whole: it is replaced, never written into.
//! **Invariant:** two who change it, also from two processes, change it one after the other: they lock
//! its folder, for the file itself is another one each time.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use filters::lock::book::Book;

use crate::lock::Error;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What stands in a file; nothing where there is none.
///
/// # Errors
/// Where it is there and cannot be used.
pub fn read(path: &Path) -> Result<Book, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Book::default()),
        Err(error) => return Err(io(path, error)),
    };
    let mut text = String::new();
    let n_bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    n_bytes.map_err(|error| io(path, error))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(Error::TooLarge {
            path: path.display().to_string(),
            max: FILE_BYTES_MAX,
        });
    }
    Book::read(&text).map_err(|broken| Error::Broken {
        path: path.display().to_string(),
        broken,
    })
}

/// Changes what stands in a file and hands it to `publish` before anybody else can change it again.
/// Where `change` refuses, the file stays as it is, and is published as that.
///
/// # Errors
/// Where it cannot be read or written; nothing is published then.
pub fn amend<T, E>(
    path: &Path,
    change: impl FnOnce(&mut Book) -> Result<T, E>,
    publish: impl FnOnce(Book),
) -> Result<Result<T, E>, Error> {
    // A link is followed once, so that it is the file behind it that is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder(path);
    let guard = File::open(folder).map_err(|error| io(folder, error))?;
    guard.lock().map_err(|error| io(folder, error))?;
    let before = read(path)?;
    let mut book = before.clone();
    let outcome = change(&mut book);
    if outcome.is_err() {
        publish(before);
        return Ok(outcome);
    }
    if book != before {
        replace(path, folder, &guard, &book.write()).map_err(|error| io(path, error))?;
    }
    publish(book);
    Ok(outcome)
}

fn replace(path: &Path, folder: &Path, guard: &File, text: &str) -> std::io::Result<()> {
    let beside = beside(path, folder);
    // One that is left from a crash is nobody's: its writer held the folder.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| match fs::metadata(path) {
            Ok(known) => file.set_permissions(known.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // It may be gone already; the first error is the one that tells.
        fs::remove_file(&beside).ok();
        return Err(error);
    }
    // The name is in the folder, which has to reach the disk, too.
    guard.sync_all()
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

fn beside(path: &Path, folder: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder.join(format!(".{name}.new"))
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use filters::lock::book::Before;
    use filters::lock::definition::Definition;

    use super::*;

    fn approve(name: &str) -> impl FnOnce(&mut Book) -> Result<(), &'static str> {
        let definition = Definition::read(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
        move |book| {
            let tools = book.open("s");
            tools
                .approve(&definition, "now", Before::Replaced)
                .map_err(|_| "full")
        }
    }

    fn names(path: &Path) -> Vec<String> {
        let book = read(path).unwrap();
        let tools = book
            .server("s")
            .map(|tools| tools.names().map(str::to_owned).collect());
        tools.unwrap_or_default()
    }

    #[test]
    fn what_was_approved_stands_in_the_file_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conduit.lock");
        assert_eq!(read(&path).unwrap(), Book::default());
        // A writer died here.
        fs::write(folder.path().join(".conduit.lock.new"), "half").unwrap();
        amend(&path, approve("a"), |_| ()).unwrap().unwrap();
        amend(&path, approve("b"), |_| ()).unwrap().unwrap();
        assert_eq!(names(&path), ["a", "b"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_change_that_is_refused_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conduit.lock");
        let refuse = |book: &mut Book| {
            book.open("s");
            Err::<(), _>("no")
        };
        assert_eq!(amend(&path, refuse, |_| ()).unwrap(), Err("no"));
        assert!(!path.exists());
    }

    #[test]
    fn those_who_change_it_at_once_lose_nothing_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conduit.lock");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || amend(path, approve(&format!("t{n}")), |_| ()).unwrap());
            }
        });
        assert_eq!(names(&path).len(), 8);
    }

    #[test]
    fn a_broken_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("conduit.lock");
        fs::write(&path, "{").unwrap();
        let error = amend(&path, approve("a"), |_| ()).unwrap_err().to_string();
        assert!(error.contains("conduit.lock: is no JSON object"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{");
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, real) = (folder.path().join("link"), folder.path().join("real"));
        amend(&real, approve("a"), |_| ()).unwrap().unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        amend(&path, approve("b"), |_| ()).unwrap().unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(names(&real), ["a", "b"]);
    }
}
