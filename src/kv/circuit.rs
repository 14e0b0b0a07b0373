//! Whether Redis is used. The first question that fails opens the circuit: nobody asks any more, and
//! whoever waits for an answer stops waiting. A keeper connects anew and closes it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::{Client, FromRedisValue, Pipeline};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::kv::{Connection, Error, SETUP_BUDGET};

/// How often Redis is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A connection that lasted this long was good: the next one is made at once.
const STEADY: Duration = Duration::from_secs(5);

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

/// The time between two attempts to connect: longer each time, and never the same on two instances.
struct Pause(Duration);

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
                    self.watch(&connection).await;
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

    /// Returns when the connection was given up.
    async fn watch(&self, connection: &Arc<Connection>) {
        let mut probes = interval(PROBE_EVERY);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let probe = async {
            loop {
                probes.tick().await;
                if let Err(error) = connection.ping(SETUP_BUDGET).await {
                    self.open(connection, &error);
                    return;
                }
            }
        };
        tokio::select! {
            () = connection.given_up() => {}
            () = probe => {}
        }
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

// === impl Pause ===

impl Default for Pause {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(25);
    const LAST: Duration = Duration::from_secs(2);

    /// Begins again with a short one after something that lasted.
    fn reset_after(&mut self, lasted: Duration) {
        if lasted > STEADY {
            self.0 = Self::FIRST;
        }
    }

    /// Waits.
    async fn wait(&mut self) {
        sleep(self.0.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        self.0 = (self.0 * 2).min(Self::LAST);
    }
}
