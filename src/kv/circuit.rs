//! Whether Redis is used. The first question that fails opens the circuit: nobody asks any more, and
//! whoever waits for an answer stops waiting. A keeper connects anew and closes it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::{Client, FromRedisValue, Pipeline};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::kv::pause::Pause;
use crate::kv::{Connection, Error};

/// The way to Redis.
pub struct Circuit {
    /// What it is used for, as the log says it.
    purpose: &'static str,
    /// How long a question may take.
    budget: Duration,
    /// Cancelled once it was tried to connect.
    tried: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Arc<Connection>>,
    /// Since when Redis was not used, once that was said.
    down: Option<Instant>,
}

// === impl Circuit ===

impl Circuit {
    /// An open one. Questions may take as long as `budget`.
    #[must_use]
    pub fn new(purpose: &'static str, budget: Duration) -> Self {
        Self {
            purpose,
            budget,
            tried: CancellationToken::new(),
            state: Mutex::default(),
        }
    }

    /// Whether Redis is used.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.lock().connection.is_some()
    }

    /// Asks something, if Redis is used. Opens the circuit where it fails; an answer that says that a
    /// script is unknown is no failure.
    ///
    /// # Errors
    /// If Redis is not used, refuses, or does not answer in time.
    pub async fn ask<T: FromRedisValue>(
        &self,
        question: &Pipeline,
        budget: Duration,
    ) -> Result<T, Error> {
        let connection = self.state.lock().connection.as_ref().map(Arc::clone);
        let connection = connection.ok_or(Error::Unused)?;
        let asked = connection.ask(question, budget).await;
        if let Err(error) = &asked
            && !error.is_unknown_script()
        {
            self.open(&connection, error);
        }
        asked
    }

    /// Keeps a connection, for ever. Without this Redis is not used.
    pub async fn keep(&self, client: &Client, probe: &str) {
        let mut pause = Pause::default();
        loop {
            let connected = self.connect(client, probe).await;
            self.tried.cancel();
            match connected {
                Ok(connection) => {
                    let since = Instant::now();
                    if let Err(error) = connection.watch().await {
                        self.open(&connection, &error);
                    }
                    pause.reset_after(since.elapsed());
                }
                Err(error) => self.state.lock().report(self.purpose, &error),
            }
            pause.wait().await;
        }
    }

    /// Waits until it was tried to connect once.
    pub async fn tried(&self) {
        self.tried.cancelled().await;
    }

    /// Opens it.
    pub fn end(&self) {
        self.state.lock().open();
    }

    async fn connect(&self, client: &Client, probe: &str) -> Result<Arc<Connection>, Error> {
        let connection = Arc::new(Connection::open(client, probe).await?);
        // One that is too slow for requests is not used.
        connection.ping(self.budget).await?;
        let mut state = self.state.lock();
        state.connection = Some(Arc::clone(&connection));
        if let Some(since) = state.down.take() {
            let down_ms = since.elapsed().as_millis();
            info!(purpose = self.purpose, down_ms, "Redis is used again");
        }
        Ok(connection)
    }

    /// Opens it, unless that connection was given up before.
    fn open(&self, lost: &Arc<Connection>, error: &Error) {
        let mut state = self.state.lock();
        let current = state.connection.as_ref();
        if current.is_some_and(|current| Arc::ptr_eq(current, lost)) {
            state.open();
            state.report(self.purpose, error);
        }
    }
}

// === impl State ===

impl State {
    fn open(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.give_up();
        }
    }

    fn report(&mut self, purpose: &str, error: &Error) {
        if self.down.is_none() {
            self.down = Some(Instant::now());
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(purpose, %error, cause, "Redis cannot be used");
        }
    }
}
