//! Everything a configuration is made from: the file's text, the environment, `.env` files.
//!
//! [`Source::read`] is the only place that touches the outside; [`crate::config::load`] works on
//! what it gathered, so that a reload and a test go the same way as a start.
//!
//! **Invariant:** the process environment wins over `.env`, the `.env` beside the configuration
//! file over the one in the working directory, and nothing is ever written to the environment.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use filters::mask::SECRET_BYTES_MIN;
use filters::problem::Problems;
use filters::secret;

use crate::config::yaml::TEXT_BYTES_MAX;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "conduit.config.yml";

/// The largest `.env` file, in bytes.
const DOTENV_BYTES_MAX: u64 = 1024 * 1024;

/// Everything one load works on.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The path of the configuration file, for messages; relative ones stay so.
    pub path: PathBuf,
    /// Its text; `None` if nobody named a file and the default one does not exist.
    pub text: Option<String>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// The `.env` files, the stronger first.
    pub dotenv: Vec<DotEnv>,
    /// Variables that Conduit itself offers, weaker than all others.
    pub builtin: BTreeMap<String, String>,
    /// What gathering them found doubtful.
    pub remarks: Vec<String>,
}

/// A `.env` file.
#[derive(Debug, Clone)]
pub struct DotEnv {
    /// Its path, for messages.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A source that is nothing but a file's text: no environment, no `.env`.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self {
            path: PathBuf::from(DEFAULT_FILE),
            text: Some(text.to_owned()),
            ..Self::default()
        }
    }

    /// Gathers the sources: the file named by `flag`, else by `CONDUIT_CONFIG`, else
    /// [`DEFAULT_FILE`] in the working directory.
    ///
    /// # Errors
    /// A file that was named but cannot be read, or is not text.
    pub fn read(flag: Option<&Path>) -> Result<Self, Problems> {
        let mut remarks = Vec::new();
        let environment = process_environment();
        let here = read_dotenv(Path::new(".env"), &mut remarks);
        let named = flag
            .map(Path::to_path_buf)
            .or_else(|| named_file(&environment, here.as_ref()));
        let is_optional = named.is_none();
        let path = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        let text = match read_text(&path) {
            Ok(text) => Some(text),
            Err(error) if is_optional && error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let beside = dotenv_beside(&path).and_then(|file| read_dotenv(&file, &mut remarks));
        Ok(Self {
            path,
            text,
            environment,
            dotenv: beside.into_iter().chain(here).collect(),
            builtin: builtin(),
            remarks,
        })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    let mut problems = Problems::default();
    let path = path.display();
    let message = format!("cannot read the configuration file {path}: {error}");
    problems.error("", message);
    problems
}

/// The `.env` beside a configuration file, unless that is the one in the working directory.
fn dotenv_beside(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let is_here = match (folder.canonicalize(), Path::new(".").canonicalize()) {
        (Ok(folder), Ok(here)) => folder == here,
        (Err(_), _) | (_, Err(_)) => folder.as_os_str().is_empty(),
    };
    (!is_here).then(|| folder.join(".env"))
}

fn process_environment() -> BTreeMap<String, String> {
    // A variable that is not text cannot be referred to; the lossy form never matches a name.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn named_file(environment: &BTreeMap<String, String>, here: Option<&DotEnv>) -> Option<PathBuf> {
    let from_dotenv = || here.and_then(|file| variables_of(file).remove("CONDUIT_CONFIG"));
    environment
        .get("CONDUIT_CONFIG")
        .cloned()
        .or_else(from_dotenv)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn builtin() -> BTreeMap<String, String> {
    let exe = std::env::current_exe()
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok());
    exe.map(|path| ("CONDUIT_EXE".to_owned(), path))
        .into_iter()
        .collect()
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than allowed, so that the reader can tell "too large" from "just fits".
    let limit = u64::try_from(TEXT_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    std::fs::File::open(path)?
        .take(limit)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// A `.env` file, if there is one. One that cannot be read is remarked on: it is often there for
/// somebody else.
fn read_dotenv(path: &Path, remarks: &mut Vec<String>) -> Option<DotEnv> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(DOTENV_BYTES_MAX).read_to_string(&mut text));
    let path = path.to_path_buf();
    match read {
        Ok(_) => Some(DotEnv { path, text }),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            remarks.push(format!("{} is not used: {error}", path.display()));
            None
        }
    }
}

fn variables_of(file: &DotEnv) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (name, value) in dotenvy::from_read_iter(file.text.as_bytes()).flatten() {
        variables.entry(name).or_insert(value);
    }
    variables
}

/// The variables a load can refer to.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Merges a source's variables by their strength. Lines of `.env` files that cannot be read
    /// are warned about.
    #[must_use]
    pub fn gather(source: &Source, problems: &mut Problems) -> Self {
        let mut all = source.builtin.clone();
        for file in source.dotenv.iter().rev() {
            warn_about_lines(file, problems);
            all.extend(variables_of(file));
        }
        let set = source
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        all.extend(set);
        Self(all)
    }

    /// The value of a variable; `None` if it is not set.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values of variables that a text refers to and whose names speak of a secret; none that is too
    /// short to be one.
    #[must_use]
    pub fn secrets(&self, text: &str) -> Vec<&str> {
        let is_used = |name: &str| {
            let mut after = text
                .split("${")
                .skip(1)
                .filter_map(|it| it.strip_prefix(name));
            after.any(|rest| rest.starts_with(['}', ':']))
        };
        let told = self.0.iter().filter(|(name, value)| {
            value.len() >= SECRET_BYTES_MIN && secret::is_named(name) && is_used(name)
        });
        told.map(|(_, value)| value.as_str()).collect()
    }
}

fn warn_about_lines(file: &DotEnv, problems: &mut Problems) {
    let n_bad = dotenvy::from_read_iter(file.text.as_bytes())
        .filter(Result::is_err)
        .count();
    if n_bad > 0 {
        let path = file.path.display();
        // Which lines is not told: the error would quote them, and they may hold secrets.
        problems.warning(
            "",
            format!("{path}: {n_bad} of its lines cannot be read as NAME=value"),
        );
    }
}
