//! Tokens of an authorization server, by the client credentials grant of OAuth 2.1.
//!
//! **Invariant:** the secret goes to the token endpoint of the configuration, or of the metadata of the
//! configured issuer, and nowhere else: servers name no endpoint, redirects are not followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use filters::grant::{self, Authentication, Token, metadata};
use pingora::connectors::TransportConnector;
use tokio::time::timeout;

use crate::upstream::address::Address;
use crate::upstream::cluster::{self, Cluster};
use crate::upstream::credential::file::File;
use crate::upstream::credential::{self, Failure, Fetched};
use crate::upstream::error::Error;
use crate::upstream::learned;
use crate::upstream::relay::{Flight, Request};
use filters::refusal::Phase;

/// How long one exchange may take as a whole.
const TOTAL: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// What is asked for, and where.
pub struct Spec {
    /// Where.
    pub endpoint: Endpoint,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub secret: Secret,
    /// How it is proved.
    pub authentication: Authentication,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// Who is to accept it.
    pub audience: Option<String>,
    /// Who is to accept it: a resource indicator.
    pub resource: Option<String>,
}

/// Where tokens are to be had.
pub enum Endpoint {
    /// At this URL.
    Token(String),
    /// Where this issuer's metadata says.
    Issuer(String),
}

/// A client's secret.
pub enum Secret {
    /// As it is written.
    Written(String),
    /// What a file holds whenever it is needed.
    File(File),
}

/// Asks for tokens.
pub struct Grant {
    spec: Spec,
    transport: Arc<TransportConnector>,
}

impl Grant {
    /// A grant that was not asked for yet.
    #[must_use]
    pub fn new(spec: Spec, transport: Arc<TransportConnector>) -> Self {
        Self { spec, transport }
    }

    pub(super) async fn fetch(&self) -> Result<Fetched, Failure> {
        let address = match &self.spec.endpoint {
            Endpoint::Token(url) => configured(url)?,
            Endpoint::Issuer(issuer) => self.discover(issuer).await?,
        };
        let token = self.ask(address).await?;
        Ok(Fetched {
            next: Duration::from_secs_f64(token.renewed_after(fastrand::f64())),
            lifetime: token.lifetime_seconds.map(Duration::from_secs),
            token: credential::Token(token.text),
        })
    }

    /// Finds the token endpoint of an issuer.
    async fn discover(&self, issuer: &str) -> Result<Address, Failure> {
        let what = "issuer's metadata:";
        let mut last = Failure::Answer(grant::Failure::Metadata);
        for url in metadata::urls(issuer) {
            let request = Request {
                verb: "GET",
                target: None,
                fields: b"accept: application/json\r\n".to_vec(),
                body: Bytes::new(),
                is_repeatable: true,
                session: None,
            };
            let found = self.exchange(configured(&url)?, request).await;
            let (status, document) = found.map_err(|error| Failure::Upstream { what, error })?;
            if status != 200 {
                continue;
            }
            match metadata::endpoint(issuer, &document) {
                Ok(endpoint) => return Ok(learned::address(&endpoint, issuer).await?),
                Err(failure) => last = Failure::Answer(failure),
            }
        }
        Err(last)
    }

    async fn ask(&self, address: Address) -> Result<Token, Failure> {
        let spec = &self.spec;
        let secret = match &spec.secret {
            Secret::Written(secret) => secret.clone(),
            Secret::File(file) => file.read().await?,
        };
        let asked = grant::Request {
            client_id: &spec.client_id,
            authentication: spec.authentication,
            scopes: &spec.scopes,
            audience: spec.audience.as_deref(),
            resource: spec.resource.as_deref(),
        };
        let mut fields = "accept: application/json\r\n\
                          content-type: application/x-www-form-urlencoded\r\n"
            .to_owned();
        if let Some(value) = asked.authorization(&secret) {
            fields += &format!("authorization: {value}\r\n");
        }
        let request = Request {
            verb: "POST",
            target: None,
            fields: fields.into_bytes(),
            body: asked.body(&secret).into(),
            // One token more does no harm.
            is_repeatable: true,
            session: None,
        };
        let what = "token endpoint";
        let answered = self.exchange(address, request).await;
        let (status, document) = answered.map_err(|error| Failure::Upstream { what, error })?;
        Token::read(status, &document).map_err(Failure::Answer)
    }

    /// One request on a connection of its own, and all that comes back.
    async fn exchange(&self, address: Address, request: Request) -> Result<(u16, Bytes), Error> {
        let spec = cluster::Spec::of_document("authorization server", address, TOTAL);
        let cluster = Arc::new(Cluster::new(spec, Arc::clone(&self.transport), None));
        let exchanged = async {
            let mut flight = Flight::for_gateway(cluster, request);
            let mut head = flight.head().await?;
            let status = head.header.status.as_u16();
            let mut body = flight.into_body(&mut head)?;
            let mut document = BytesMut::new();
            while let Some(bytes) = body.next().await? {
                if document.len() + bytes.len() > DOCUMENT_BYTES_MAX {
                    // So long, it is neither a token response nor metadata.
                    return Ok((status, Bytes::new()));
                }
                document.extend_from_slice(&bytes);
            }
            Ok((status, document.freeze()))
        };
        // Boxed: it holds a whole flight, which holds who waits for credentials.
        let exchanged = timeout(TOTAL, Box::pin(exchanged)).await;
        exchanged.map_err(|_| Error::Timeout(Phase::Total))?
    }
}

fn configured(url: &str) -> Result<Address, Failure> {
    Address::parse(url).map_err(|_| Failure::Learned(learned::Refused::Url))
}
