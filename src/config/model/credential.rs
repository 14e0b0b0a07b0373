//! The gateway's own credential at a server.
//!
//! **Invariant:** serialised, and so in the server's edition, is which credential it is, and not what
//! its source gives today: a token that is renewed leaves what was cached with it.

use std::path::PathBuf;

use serde::Serialize;

use crate::config::choice::ClientAuthentication;
use crate::config::model::Secret;

/// The gateway's own credential at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Credential {
    /// A token as it is written.
    Token(Secret),
    /// A token of an environment variable.
    Variable {
        /// The variable.
        name: String,
        /// What it holds.
        #[serde(skip)]
        token: Secret,
    },
    /// What a file holds.
    File(PathBuf),
    /// Tokens of an authorization server.
    Grant(Grant),
}

/// Tokens of an authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Where they are to be had.
    pub endpoint: Endpoint,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub secret: ClientSecret,
    /// How it is proved.
    pub authentication: ClientAuthentication,
    /// What they are to be good for.
    pub scopes: Vec<String>,
    /// Who is to accept them.
    pub audience: Option<String>,
    /// Who is to accept them: a resource indicator.
    pub resource: Option<String>,
}

/// Where tokens are to be had. The texts are URLs, as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Endpoint {
    /// A token endpoint.
    Token(String),
    /// An issuer whose metadata names it.
    Issuer(String),
}

/// A client's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ClientSecret {
    /// As it is written.
    Written(Secret),
    /// What a file holds.
    File(PathBuf),
}
