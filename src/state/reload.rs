//! A reload of the configuration, as those see it who ask for one.

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Reads the configuration again. The control plane asks; `app` does it.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Report> + Send + Sync>;

/// What became of a reload. Where there are errors, nothing changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What changed and is in effect, by its path.
    pub reloaded: Vec<String>,
    /// What changed and is not in effect, by its path, with the reason.
    pub skipped: Vec<String>,
    /// Why the configuration is not used, each with its path.
    pub errors: Vec<String>,
    /// What is doubtful about the configuration that is used.
    pub warnings: Vec<String>,
}

impl Report {
    /// A reload that changed nothing.
    #[must_use]
    pub fn refused(errors: Vec<String>) -> Self {
        Self {
            errors,
            ..Self::default()
        }
    }
}
