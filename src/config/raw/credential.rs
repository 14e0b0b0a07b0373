//! The gateway's own credential at a server as it is written, below `servers[].upstream_auth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::ClientAuthentication;

/// A token that is sent as `Authorization: Bearer`. One of the three says where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bearer {
    /// The environment variable that holds the token, from the environment or `.env`.
    #[schemars(extend("writeOnly" = true))]
    pub env: Option<String>,
    /// A file that holds the token and nothing else. It is read again when it changes.
    pub file: Option<String>,
    /// The token itself, best as `${VAR}`.
    #[schemars(extend("writeOnly" = true))]
    pub token: Option<String>,
}

/// Tokens of an authorization server, by the client credentials grant of OAuth 2.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client_id"]))]
pub struct ClientCredentials {
    /// The token endpoint. Either this or `issuer`.
    pub token_url: Option<String>,
    /// The authorization server, exactly as its metadata names it (RFC 8414): the token endpoint is
    /// looked up there. One on another origin than the issuer's must have a public address.
    pub issuer: Option<String>,
    /// Who the gateway is at the authorization server.
    pub client_id: String,
    /// What proves it, best as `${VAR}`. Either this or `client_secret_file`.
    #[schemars(extend("writeOnly" = true))]
    pub client_secret: Option<String>,
    /// A file that holds the secret and nothing else. It is read whenever a token is asked for.
    pub client_secret_file: Option<String>,
    /// Where the secret is sent: `basic` in the `Authorization` header, `post` in the body.
    pub client_authentication: ClientAuthentication,
    /// The scopes that are asked for. None leaves it to the authorization server.
    pub scopes: Vec<String>,
    /// An `audience` that is asked for, at authorization servers that know it.
    pub audience: Option<String>,
    /// The resource that tokens are asked for (RFC 8707). Absent means the server's URL; empty asks for
    /// none.
    pub resource: Option<String>,
}

impl Default for ClientCredentials {
    fn default() -> Self {
        Self {
            token_url: None,
            issuer: None,
            client_id: String::new(),
            client_secret: None,
            client_secret_file: None,
            client_authentication: ClientAuthentication::Basic,
            scopes: Vec::new(),
            audience: None,
            resource: None,
        }
    }
}
