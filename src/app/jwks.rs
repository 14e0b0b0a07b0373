//! Fetches an identity provider's public keys: `upstream` does what `auth` asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use pingora::connectors::TransportConnector;

use crate::auth::jwks::{SET_BYTES_MAX, Source};
use crate::upstream::address::{Address, Invalid};
use crate::upstream::cluster::{self, Cluster};
use crate::upstream::relay::Request;
use crate::upstream::talk::{Patience, Talk};

/// How long a fetch may take as a whole.
const TOTAL: Duration = Duration::from_secs(5);

/// A document at a URL that the configuration names. Redirects are not followed.
pub(super) struct Document {
    cluster: Arc<Cluster>,
}

impl Document {
    /// The document at `url`.
    ///
    /// # Errors
    /// Where that is no URL.
    pub(super) fn new(url: &str, transport: Arc<TransportConnector>) -> Result<Self, Invalid> {
        let spec = cluster::Spec::of_document("identity provider", Address::parse(url)?, TOTAL);
        let cluster = Arc::new(Cluster::new(spec, transport, None));
        Ok(Self { cluster })
    }
}

#[async_trait]
impl Source for Document {
    async fn fetch(&self) -> Result<Bytes, String> {
        let request = Request {
            verb: "GET",
            target: None,
            fields: b"accept: application/json\r\n".to_vec(),
            body: Bytes::new(),
            is_repeatable: true,
            session: None,
        };
        let patience = Patience::Call {
            deadline: Instant::now() + TOTAL,
        };
        let talk = Talk::begin(&self.cluster, request, patience).await;
        let mut talk = talk.map_err(|error| error.to_string())?;
        if talk.status != 200 {
            return Err(format!("answered HTTP {}", talk.status));
        }
        let document = talk.rest().await.map_err(|error| error.to_string())?;
        if document.len() > SET_BYTES_MAX {
            return Err(format!("answered with more than {SET_BYTES_MAX} bytes"));
        }
        Ok(document)
    }
}
