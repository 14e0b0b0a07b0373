//! How Redis is spoken to: connections that many callers share, and whether one is used at all.
//!
//! What is asked, and what follows where nobody answers, is for those who use this.
//!
//! **Invariant:** every question ends within its budget, and at once when its connection is given up.

pub mod circuit;
pub mod pause;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisError, RedisResult, ServerErrorKind, pipe,
};
use tokio::select;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long making a connection may take, and each question that is asked before it is used.
pub const SETUP_BUDGET: Duration = Duration::from_secs(1);

/// How often a connection is asked whether Redis is there.
pub const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Why Redis did not do what it was asked to. The text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used. It is not shown: it may hold a password.
    #[error("the Redis URL cannot be used")]
    ConfigUrl(#[source] Arc<RedisError>),
    /// No connection could be made.
    #[error("Redis cannot be reached")]
    Connect(#[source] Arc<RedisError>),
    /// Redis refused, or the connection broke.
    #[error("Redis failed")]
    Command(#[source] Arc<RedisError>),
    /// Redis did not answer in time.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis failed before, and has not been found to answer again.
    #[error("Redis is not used until it answers again")]
    Unused,
}

/// A connection.
pub struct Connection {
    commands: MultiplexedConnection,
    lost: CancellationToken,
}

/// A way to Redis; nothing is connected yet.
///
/// # Errors
/// If the URL cannot be used.
pub fn client(url: &str) -> Result<Client, Error> {
    let refused = |error| Error::ConfigUrl(Arc::new(error));
    // Commands are small and awaited: none should wait for another to fill a packet.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = url.into_connection_info().map_err(refused)?;
    Client::open(info.set_tcp_settings(tcp)).map_err(refused)
}

// === impl Error ===

impl Error {
    /// Whether Redis does not know a script: nothing was done.
    #[must_use]
    pub fn is_unknown_script(&self) -> bool {
        let kind = ErrorKind::Server(ServerErrorKind::NoScript);
        matches!(self, Self::Command(error) if error.kind() == kind)
    }
}

// === impl Connection ===

impl Connection {
    /// Connects, and sees that Redis takes writes: `probe` is a key that is never there.
    ///
    /// # Errors
    /// If it does not, or not in time.
    pub async fn open(client: &Client, probe: &str) -> Result<Self, Error> {
        let connection = Self {
            commands: connect(client, AsyncConnectionConfig::new()).await?,
            lost: CancellationToken::new(),
        };
        // A full Redis still takes this; a replica, or one that is loading, does not.
        let mut question = pipe();
        question.cmd("DEL").arg(probe).ignore();
        let () = connection.ask(&question, SETUP_BUDGET).await?;
        Ok(connection)
    }

    /// Asks something.
    ///
    /// # Errors
    /// If Redis refuses or does not answer in time, or if another question showed that it does not.
    pub async fn ask<T: FromRedisValue>(
        &self,
        question: &Pipeline,
        budget: Duration,
    ) -> Result<T, Error> {
        let mut commands = self.commands.clone();
        select! {
            biased;
            () = self.lost.cancelled() => Err(Error::Unused),
            answer = timeout(budget, question.query_async(&mut commands)) => in_time(answer),
        }
    }

    /// Sees that it answers.
    ///
    /// # Errors
    /// If it does not, or not in time.
    pub async fn ping(&self, budget: Duration) -> Result<(), Error> {
        let mut question = pipe();
        question.cmd("PING").ignore();
        self.ask(&question, budget).await
    }

    /// Returns when it is given up.
    ///
    /// # Errors
    /// If it does not answer any more, or not in time.
    pub async fn watch(&self) -> Result<(), Error> {
        let mut probes = interval(PROBE_EVERY);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let probe = async {
            loop {
                probes.tick().await;
                if let Err(error) = self.ping(SETUP_BUDGET).await {
                    return error;
                }
            }
        };
        select! {
            () = self.lost.cancelled() => Ok(()),
            error = probe => Err(error),
        }
    }

    /// Ends all questions: nobody waits for a connection that is given up.
    pub fn give_up(&self) {
        self.lost.cancel();
    }
}

/// A connection that nobody else uses.
///
/// # Errors
/// If there is none in time.
pub async fn connect(
    client: &Client,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Error> {
    // Each question watches its own time.
    let config = config
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let made = client.get_multiplexed_async_connection_with_config(&config);
    match timeout(SETUP_BUDGET, made).await {
        Ok(made) => made.map_err(|error| Error::Connect(Arc::new(error))),
        Err(_) => Err(Error::TimedOut),
    }
}

/// What came within its budget.
///
/// # Errors
/// Redis's own, or that there was nothing in time.
pub fn in_time<T, E>(answer: Result<RedisResult<T>, E>) -> Result<T, Error> {
    match answer {
        Ok(answer) => answer.map_err(|error| Error::Command(Arc::new(error))),
        Err(_) => Err(Error::TimedOut),
    }
}
