//! Carries messages to a server of the HTTP+SSE transport: `upstream` does what `stdio` asks for.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use filters::sse::endpoint::Base;
use futures_util::stream::{self, StreamExt};

use crate::stdio::remote::{Broken, Carrier, Opened, Postman};
use crate::upstream::address::{Address, Endpoint};
use crate::upstream::cluster::Cluster;
use crate::upstream::error::Error;
use crate::upstream::fields::StaticFields;
use crate::upstream::found::{Dialect, Finder};
use crate::upstream::http_sse::{self, Unusable};

/// Opens event streams on the replicas of one server.
pub(super) struct HttpSse {
    cluster: Arc<Cluster>,
    listening: Vec<u8>,
    posting: Arc<[u8]>,
    /// Told where the server looks as if it spoke Streamable HTTP, if that is what it was said to.
    finder: Option<Finder>,
}

/// Posts to the replica that holds one event stream.
struct Pinned {
    cluster: Arc<Cluster>,
    replica: usize,
    posting: Arc<[u8]>,
}

impl HttpSse {
    /// A carrier that sends the server's static header lines with every request.
    pub(super) fn new(
        cluster: Arc<Cluster>,
        fields: &StaticFields,
        finder: Option<Finder>,
    ) -> Self {
        let with = |own: &[(&str, &str)]| {
            let mut lines = fields.lines.clone();
            for (name, value) in own.iter().filter(|(name, _)| !fields.sets(name)) {
                lines.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            lines
        };
        Self {
            cluster,
            listening: with(&[
                ("accept", "text/event-stream"),
                ("cache-control", "no-cache"),
            ]),
            posting: with(&[("accept", "*/*"), ("content-type", "application/json")]).into(),
            finder,
        }
    }

    /// The server was replaced by another, perhaps.
    fn doubt(&self) {
        if let Some(finder) = &self.finder {
            finder.hint(Dialect::Streamable);
        }
    }

    fn tell(&self, error: &Error) -> Broken {
        tracing::debug!(server.id = %self.cluster.server, %error, "Event stream failed");
        describe(error).into()
    }
}

#[async_trait]
impl Carrier for HttpSse {
    async fn open(&self) -> Result<Opened, Broken> {
        let opened = http_sse::open(&self.cluster, self.listening.clone()).await;
        let opened = opened.map_err(|unusable| match unusable {
            Unusable::Upstream(error) => self.tell(&error),
            Unusable::Status(status) => {
                if matches!(status, 400 | 404..=406) {
                    self.doubt();
                }
                format!("{unusable} to GET").into()
            }
            Unusable::NotEvents => {
                self.doubt();
                format!("{unusable} to GET").into()
            }
        })?;
        let base = base(&opened.body.replica().address);
        let events = stream::unfold(opened.body, |mut body| async {
            let next = body.next().await.transpose()?;
            Some((next.map_err(|_| "broke off its event stream".into()), body))
        });
        Ok(Opened {
            base,
            events: events.boxed(),
            postman: Box::new(Pinned {
                cluster: Arc::clone(&self.cluster),
                replica: opened.replica,
                posting: Arc::clone(&self.posting),
            }),
        })
    }
}

#[async_trait]
impl Postman for Pinned {
    async fn post(&self, target: Arc<str>, message: Bytes) -> Result<u16, Broken> {
        let fields = self.posting.to_vec();
        let posted = http_sse::post(&self.cluster, self.replica, target, fields, message).await;
        posted.map_err(|error| {
            tracing::debug!(server.id = %self.cluster.server, %error, "Message not posted");
            describe(&error).into()
        })
    }
}

fn base(address: &Address) -> Base {
    Base {
        is_tls: match address.endpoint {
            Endpoint::Tcp { tls, .. } | Endpoint::Pinned { tls, .. } => tls,
            Endpoint::Unix(_) => false,
        },
        authority: address.authority.clone(),
        path: address.path.clone(),
    }
}

/// What clients may know of an error, after the server's name.
fn describe(error: &Error) -> &'static str {
    match error {
        Error::Unavailable | Error::Busy | Error::Connect(_) => "cannot be connected to",
        Error::Io(_) | Error::ClosedEarly | Error::Truncated | Error::SessionLost => {
            "broke the connection"
        }
        Error::CredentialRefused(_) | Error::CredentialMissing => {
            "does not accept the gateway's credential"
        }
        Error::CredentialWanted(_) => "wants a credential, and the gateway has none for it",
        Error::NotHttp(_) => "answered with something that is not HTTP",
        Error::TooLong => "said too much at once",
        Error::Timeout(_) => "did not answer in time",
    }
}
