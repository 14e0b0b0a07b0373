//! Carries one request to a replica and its answer back.
//!
//! Why not Pingora's proxy phase: it drops the upstream when the client leaves, which a legacy call
//! must survive (E22); it cannot write a keep-alive comment into an idle stream (E23); and it costs
//! about twice the CPU. It stays Pingora's connector, TLS and load balancer underneath.
//!
//! **Invariant:** [`Flight`] sends its request once. It sends it a second time only if the first
//! cannot have been acted on: no connection, a write that failed on a reused connection, or a
//! request that is safe to repeat on a reused connection that closed without a byte, or that was
//! refused (401) for a credential of the gateway's that could be renewed.
//!
//! **Invariant:** what a server says of the gateway's credential, or repeats of it, leaves this file as an
//! error or covered. Its 401 and 403 leave it only where the credential is the client's.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::mask::{Mask, Veil};
use http::header::{PROXY_AUTHENTICATE, WWW_AUTHENTICATE};

use crate::upstream::cluster::Cluster;
use crate::upstream::connection::{COALESCED_BODY_BYTES, Connection};
use crate::upstream::credential::{Own, Ticket};
use crate::upstream::error::Error;
use crate::upstream::head::{Framing, Head};
use crate::upstream::replica::{InFlight, Replica};

/// A request to one server.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub verb: &'static str,
    /// Path and query, where they are not those of the replica's address.
    pub target: Option<Arc<str>>,
    /// Every header line but `Host` and `Content-Length`, each with its CRLF.
    pub fields: Vec<u8>,
    /// The body.
    pub body: Bytes,
    /// Whether repeating it changes nothing upstream.
    pub is_repeatable: bool,
    /// The legacy session it belongs to.
    pub session: Option<String>,
}

/// A request on its way.
pub struct Flight {
    cluster: Arc<Cluster>,
    request: Request,
    tried: Vec<usize>,
    stage: Stage,
    was_repeated: bool,
    /// The gateway's credential that it carries.
    ticket: Option<Arc<Ticket>>,
    was_renewed: bool,
}

enum Stage {
    /// Nothing was sent.
    Grounded,
    /// Being sent; a flight abandoned here is never resumed.
    Launching,
    /// Sent, awaiting the answer.
    Sent(Connection, InFlight),
    /// Over.
    Landed,
}

impl Flight {
    /// A permitted request that has not left yet.
    #[must_use]
    pub fn new(cluster: Arc<Cluster>, request: Request, _permit: Permit) -> Self {
        Self::for_gateway(cluster, request)
    }

    /// A request of the gateway's own, for which nobody needs a permit.
    #[must_use]
    pub fn for_gateway(cluster: Arc<Cluster>, request: Request) -> Self {
        Self {
            cluster,
            request,
            tried: Vec::new(),
            stage: Stage::Grounded,
            was_repeated: false,
            ticket: None,
            was_renewed: false,
        }
    }

    /// Sends it to the replica of that index and to no other.
    #[must_use]
    pub fn pinned_to(mut self, index: usize) -> Self {
        let all = 0..self.cluster.replicas().len();
        self.tried = all.filter(|other| *other != index).collect();
        self
    }

    /// Whether the request is with the upstream.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent(..))
    }

    /// The replica that carries the request.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        match &self.stage {
            Stage::Sent(_, in_flight) => Some(in_flight.replica()),
            Stage::Grounded | Stage::Launching | Stage::Landed => None,
        }
    }

    /// Sends the request: on an idle connection, a new one, or one to another replica.
    ///
    /// # Errors
    /// Where no replica takes it, or one broke while it was sent.
    pub async fn launch(&mut self) -> Result<(), Error> {
        debug_assert!(
            matches!(self.stage, Stage::Grounded),
            "a flight is launched once"
        );
        self.stage = Stage::Launching;
        if self.ticket.is_none()
            && let Some(own) = self.cluster.credentials.own()
            && let Some(credential) = &own.credential
        {
            self.ticket = Some(match credential.good() {
                Some(ticket) => ticket,
                // Boxed: waiting is rare.
                None => Box::pin(credential.ticket()).await?,
            });
        }
        let mut failure = Error::Unavailable;
        while let Some(replica) = self
            .cluster
            .choose(self.request.session.as_deref(), &self.tried)
        {
            match self.send_to(&replica).await {
                Ok(connection) => {
                    self.stage = Stage::Sent(connection, InFlight::start(replica));
                    return Ok(());
                }
                Err(error) if error.is_before_sending() => {
                    self.tried.push(replica.index);
                    failure = error;
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    async fn send_to(&self, replica: &Arc<Replica>) -> Result<Connection, Error> {
        // A repeated request takes no chances with a second idle connection.
        if !self.was_repeated
            && let Some(mut connection) = replica.pool.take(self.request.is_repeatable)
            && connection
                .send(self.request_head(replica), &self.request.body)
                .await
                .is_ok()
        {
            return Ok(connection);
        }
        let limit = self.cluster.limits.connect;
        // Boxed: connecting is rare, and its future is several times as large as the rest of a flight.
        let mut connection = Box::pin(replica.connect(&self.cluster.transport, limit)).await?;
        // An upstream may answer (413, say) and close before it has read everything: what it said
        // is worth more than the broken pipe.
        if let Err(error) = connection
            .send(self.request_head(replica), &self.request.body)
            .await
        {
            tracing::debug!(%error, "Upstream closed while the request was sent");
        }
        Ok(connection)
    }

    /// Awaits the answer's head. Cancel-safe once the flight is sent.
    ///
    /// # Errors
    /// Where the upstream closes first, answers what is not HTTP, or does not accept the gateway's
    /// credential.
    pub async fn head(&mut self) -> Result<Head, Error> {
        loop {
            let Stage::Sent(connection, _) = &mut self.stage else {
                self.launch().await?;
                continue;
            };
            match connection.read_head().await {
                Err(Error::ClosedEarly)
                    if self.request.is_repeatable
                        && connection.is_reused()
                        && !self.was_repeated =>
                {
                    self.was_repeated = true;
                    self.stage = Stage::Grounded;
                }
                Err(error) => return Err(error),
                Ok(mut head) => {
                    let Some(own) = self.cluster.credentials.own() else {
                        return Ok(head);
                    };
                    let Some(refused) = self.refusal(own, &head) else {
                        self.cover(own, &mut head);
                        return Ok(head);
                    };
                    // It did nothing, so it can be sent again. Its connection is given up with it.
                    self.stage = Stage::Grounded;
                    if !Box::pin(self.renew(&refused)).await {
                        return Err(refused);
                    }
                }
            }
        }
    }

    /// What an answer says of the gateway's credential, if it does not accept it, or that there is none:
    /// to a client, the same status would speak of its own (RFC 9110, 15.5.2).
    fn refusal(&self, own: &Own, head: &Head) -> Option<Error> {
        let status = head.header.status.as_u16();
        if !matches!(status, 401 | 403) {
            return None;
        }
        Some(match self.ticket.is_some() || own.is_written {
            true => Error::CredentialRefused(status),
            false => Error::CredentialWanted(status),
        })
    }

    /// Takes another credential than the one that was refused, once, if there is one.
    async fn renew(&mut self, refused: &Error) -> bool {
        if self.was_renewed || !matches!(refused, Error::CredentialRefused(401)) {
            return false;
        }
        self.was_renewed = true;
        let own = self.cluster.credentials.own();
        let credential = own.and_then(|own| own.credential.as_ref());
        let (Some(credential), Some(ticket)) = (credential, &self.ticket) else {
            return false;
        };
        let other = credential.instead_of(ticket).await;
        let is_other = other.is_some();
        self.ticket = other;
        is_other
    }

    /// Takes out of a head what is for nobody but the gateway.
    fn cover(&self, own: &Own, head: &mut Head) {
        for name in [WWW_AUTHENTICATE, PROXY_AUTHENTICATE] {
            head.header.remove_header(&name);
        }
        if let Some(mask) = self.mask(own) {
            head.cover(mask);
        }
    }

    fn mask<'m>(&'m self, own: &'m Own) -> Option<&'m Arc<Mask>> {
        let of_ticket = self.ticket.as_ref().and_then(|ticket| ticket.mask.as_ref());
        of_ticket.or(own.mask.as_ref())
    }

    /// Goes on to the body that `head` announced.
    ///
    /// # Errors
    /// [`Error::ClosedEarly`] where no head was read.
    pub fn into_body(mut self, head: &mut Head) -> Result<Body, Error> {
        let own = self.cluster.credentials.own();
        let mask = own.and_then(|own| self.mask(own)).map(Arc::clone);
        match std::mem::replace(&mut self.stage, Stage::Landed) {
            Stage::Sent(connection, in_flight) => Ok(Body {
                connection: Some(connection),
                framing: std::mem::replace(&mut head.framing, Framing::Length(0)),
                keep_alive: head.keep_alive,
                in_flight,
                veil: mask.map(|mask| (mask, Veil::default())),
            }),
            Stage::Grounded | Stage::Launching | Stage::Landed => Err(Error::ClosedEarly),
        }
    }

    fn request_head(&self, replica: &Replica) -> Vec<u8> {
        let Request {
            verb,
            target,
            fields,
            body,
            ..
        } = &self.request;
        let address = &replica.address;
        let target = target.as_deref().unwrap_or(&address.path);
        let mut head = Vec::with_capacity(
            verb.len()
                + target.len()
                + address.authority.len()
                + fields.len()
                + 64
                + body.len().min(COALESCED_BODY_BYTES),
        );
        for part in [
            verb,
            " ",
            target,
            " HTTP/1.1\r\nhost: ",
            &address.authority,
            "\r\n",
        ] {
            head.extend_from_slice(part.as_bytes());
        }
        head.extend_from_slice(fields);
        if let Some(ticket) = &self.ticket {
            head.extend_from_slice(&ticket.line);
        }
        if *verb == "POST" {
            head.extend_from_slice(b"content-length: ");
            head.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// An answer's body. Dropped before its end, it closes the connection: the upstream sees that
/// nobody listens any more.
#[derive(Debug)]
pub struct Body {
    connection: Option<Connection>,
    framing: Framing,
    keep_alive: Option<std::time::Duration>,
    in_flight: InFlight,
    /// Covers what it repeats of what the gateway sent, where that is secret.
    veil: Option<(Arc<Mask>, Veil)>,
}

impl Body {
    /// The next bytes, as many as are there; nothing at the end. Cancel-safe.
    ///
    /// # Errors
    /// Where the upstream closes before the end, or breaks the framing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let read = self.read().await?;
            let Some((mask, veil)) = &mut self.veil else {
                return Ok(read);
            };
            let is_last = self.connection.is_none();
            let bytes = match read {
                Some(bytes) => bytes,
                None if veil.is_holding() => Bytes::new(),
                None => return Ok(None),
            };
            let shown = match veil.pass(mask, &bytes, is_last) {
                Cow::Borrowed(shown) => bytes.slice(..shown.len()),
                Cow::Owned(shown) => shown.into(),
            };
            if is_last || !shown.is_empty() {
                return Ok(Some(shown));
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let bytes = connection.read_body(&mut self.framing).await;
        match bytes {
            Ok(None) => self.settle(),
            Ok(Some(_)) if matches!(self.framing, Framing::Length(0)) => self.settle(),
            Ok(Some(_)) => {}
            Err(_) => self.connection = None,
        }
        bytes
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.connection.is_none()
    }

    /// The replica that sends it.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        self.in_flight.replica()
    }

    fn settle(&mut self) {
        if let (Some(connection), Some(keep)) = (self.connection.take(), self.keep_alive) {
            self.in_flight.replica().pool.put(connection, keep);
        }
    }
}
