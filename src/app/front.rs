//! Connections, from the moment they are accepted: how many there may be, TLS where it is spoken, and how
//! long a client may take to say what it wants. Those of the control plane's own listeners, too.
//!
//! Pingora bounds none of that: it waits without end for the first bytes of a plain connection and for
//! the next request of one that is kept, and has no limit of connections. Everything else of a
//! connection, HTTP/1.1 and HTTP/2, is Pingora's.
//!
//! **Invariant:** a connection on which no request is being served ends by itself.

mod wait;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::protocols::l4::stream::Stream as Tcp;
use pingora::server::ShutdownWatch;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::app::front::wait::{Ended, Wait};
use crate::app::tls::Secure;
use crate::config::model::gateway::Connections;
use crate::state::live::Live;

/// Most connections at once of one of the control plane's own listeners.
const OPERATORS_MAX: usize = 256;

/// Accepts connections for an application.
pub(super) struct Front<A> {
    app: Arc<A>,
    whose: Whose,
    secure: Option<Arc<Secure>>,
    places: Semaphore,
    patience: Patience,
    live: Arc<Live>,
}

/// Who connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Clients, whose connections are counted.
    Clients,
    /// Who operates the gateway, or watches it.
    Operators,
}

/// How long clients may take.
#[derive(Clone, Copy)]
struct Patience {
    handshake: Duration,
    head: Duration,
    idle: Duration,
}

impl<A> Front<A> {
    /// The front of a gateway, which speaks TLS where it has what that takes.
    pub(super) fn new(
        app: A,
        secure: Option<Arc<Secure>>,
        bounds: &Connections,
        live: Arc<Live>,
    ) -> Self {
        Self {
            app: Arc::new(app),
            whose: Whose::Clients,
            secure,
            places: Semaphore::new(bounds.max.min(Semaphore::MAX_PERMITS)),
            patience: Patience {
                handshake: bounds.handshake,
                head: bounds.head,
                idle: bounds.idle,
            },
            live,
        }
    }

    /// The front of a listener of the control plane's own: as patient as the gateway's, and with fewer places.
    pub(super) fn of_control(app: A, bounds: &Connections, live: Arc<Live>) -> Self {
        Self {
            whose: Whose::Operators,
            places: Semaphore::new(bounds.max.min(OPERATORS_MAX)),
            ..Self::new(app, None, bounds, live)
        }
    }

    fn refuse(&self, reason: &'static str) {
        self.live.metrics.connections.count_refusal(reason);
    }

    /// The connection once TLS stands, with the client's certificate.
    async fn secured(&self, secure: &Secure, stream: Stream) -> Option<Stream> {
        let tcp = stream.into_any().downcast::<Tcp>().ok()?;
        let handshake = Box::pin(secure.accept(*tcp));
        match timeout(self.patience.handshake, handshake).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(error)) => {
                self.refuse("tls_handshake");
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
            Err(_) => {
                self.refuse("tls_timeout");
                None
            }
        }
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let Ok(_place) = self.places.try_acquire() else {
            self.refuse("full");
            return None;
        };
        let is_counted = self.whose == Whose::Clients;
        let _open = is_counted.then(|| self.live.metrics.connections.open());
        let stream = match &self.secure {
            Some(secure) => Box::pin(self.secured(secure, stream)).await?,
            None => stream,
        };
        let wait = Arc::new(Wait::begin(self.patience.head));
        let connection = Arc::new(Connection {
            app: Arc::clone(&self.app),
            wait: Arc::clone(&wait),
            idle: self.patience.idle,
        });
        let served = connection.process_new(stream, shutdown);
        if wait.bound(served, self.patience.idle).await == Ended::ByUs {
            self.refuse("idle");
        }
        None
    }

    async fn cleanup(&self) {
        self.app.http_cleanup().await;
    }
}

/// One connection. Pingora serves its requests, and asks for each by [`Self::process_new_http`].
struct Connection<A> {
    app: Arc<A>,
    wait: Arc<Wait>,
    idle: Duration,
}

type Served<'f> = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'f>>;

impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Connection<A> {
    // Without `async`: the application's future is given as it is, not wrapped into another box.
    fn process_new_http<'s, 'w, 'f>(
        self: &'s Arc<Self>,
        mut session: ServerSession,
        shutdown: &'w ShutdownWatch,
    ) -> Served<'f>
    where
        's: 'f,
        'w: 'f,
        Self: 'f,
    {
        if session.is_http2() {
            // Its head is there already, and Pingora tells idle HTTP/2 connections by itself.
            self.wait.is_over();
        } else {
            let awaited = Wait::next(&self.wait, self.idle);
            session.set_connection_user_context(Some(Box::new(awaited)));
        }
        self.app.process_new_http(session, shutdown)
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.app.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.app.server_options()
    }
}
