//! The gateway's connections, from the moment they are accepted: how many there may be, TLS where it is
//! spoken, and how long a client may take to say what it wants.
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
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::app::front::wait::{Ended, Wait};
use crate::app::tls::Secure;
use crate::config::model::gateway::Connections;
use crate::gateway::Gateway;
use crate::state::live::Live;

/// Accepts connections for the gateway.
pub(super) struct Front {
    proxy: Arc<HttpProxy<Gateway>>,
    secure: Option<Arc<Secure>>,
    places: Semaphore,
    patience: Patience,
    live: Arc<Live>,
}

/// How long clients may take.
#[derive(Clone, Copy)]
struct Patience {
    handshake: Duration,
    head: Duration,
    idle: Duration,
}

impl Front {
    /// The front of a gateway, which speaks TLS where it has what that takes.
    pub(super) fn new(
        proxy: HttpProxy<Gateway>,
        secure: Option<Arc<Secure>>,
        bounds: &Connections,
        live: Arc<Live>,
    ) -> Self {
        Self {
            proxy: Arc::new(proxy),
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
impl ServerApp for Front {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let Ok(_place) = self.places.try_acquire() else {
            self.refuse("full");
            return None;
        };
        let _open = self.live.metrics.connections.open();
        let stream = match &self.secure {
            Some(secure) => Box::pin(self.secured(secure, stream)).await?,
            None => stream,
        };
        let wait = Arc::new(Wait::begin(self.patience.head));
        let connection = Arc::new(Connection {
            proxy: Arc::clone(&self.proxy),
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
        self.proxy.http_cleanup().await;
    }
}

/// One connection. Pingora serves its requests, and asks for each by [`Self::process_new_http`].
struct Connection {
    proxy: Arc<HttpProxy<Gateway>>,
    wait: Arc<Wait>,
    idle: Duration,
}

type Served<'f> = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'f>>;

impl HttpServerApp for Connection {
    // Without `async`: the proxy's future is given as it is, not wrapped into another box.
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
        self.proxy.process_new_http(session, shutdown)
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }
}
