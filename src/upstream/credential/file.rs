//! A token in a file that somebody else keeps fresh: a mounted secret, an agent's output.

use std::path::PathBuf;
use std::time::Duration;

use filters::grant::is_token;
use filters::identity::credential::CREDENTIAL_BYTES_MAX;
use tokio::io::AsyncReadExt;

use crate::upstream::credential::{Failure, Fetched, Token};

/// How often the file is looked at. It is read each time: it is small, and a time of change can be wrong.
pub const EVERY: Duration = Duration::from_secs(1);

/// The file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    /// How often it is looked at.
    pub(super) every: Duration,
}

impl File {
    /// A file that is read when it is needed, or as often as that.
    #[must_use]
    pub fn new(path: PathBuf, every: Duration) -> Self {
        Self { path, every }
    }

    pub(super) async fn fetch(&self) -> Result<Fetched, Failure> {
        let text = self.read().await?;
        if !is_token(&text) {
            return Err(Failure::Content(self.path.display().to_string()));
        }
        Ok(Fetched {
            token: Token(text),
            next: self.every,
            lifetime: None,
        })
    }

    /// What it holds, without the space around it.
    ///
    /// # Errors
    /// Where it cannot be read, or is too long.
    pub async fn read(&self) -> Result<String, Failure> {
        let path = || self.path.display().to_string();
        let read = async {
            let file = tokio::fs::File::open(&self.path).await?;
            let mut bytes = Vec::new();
            // As much as is needed to see that it is too long.
            let most = u64::try_from(2 * CREDENTIAL_BYTES_MAX).unwrap_or(u64::MAX);
            file.take(most).read_to_end(&mut bytes).await?;
            Ok(bytes)
        };
        let bytes = read.await.map_err(|error| Failure::File {
            path: path(),
            error,
        })?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::Content(path()))?;
        let text = text.trim();
        if text.is_empty() || text.len() > CREDENTIAL_BYTES_MAX {
            return Err(Failure::Content(path()));
        }
        Ok(text.to_owned())
    }
}
