//! The connection to Redis: one, shared by all, made when it is needed and again when it is lost.
//!
//! It is `redis`'s multiplexed connection. Its `ConnectionManager` is not used: that one answers from
//! an attempt that failed earlier although Redis is back by now, and keeps a connection on which
//! nothing comes any more. Here the first command after a loss connects anew, and a connection that
//! was silent until a deadline is given up.
//!
//! **Invariant:** [`Link::send`] ends by its deadline.
//! **Invariant:** at most one connection is being made at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisError, ServerErrorKind,
};
use tokio::time::{Instant, timeout_at};

use crate::state::store::Error;

/// How long making a connection may take. Longer than a command has: one that gives up leaves
/// the attempt to the next.
const CONNECT_BUDGET: Duration = Duration::from_secs(2);

/// A connection that is there or being made.
type Attempt = Shared<BoxFuture<'static, Result<MultiplexedConnection, Arc<RedisError>>>>;

/// A way to Redis.
pub struct Link {
    client: Client,
    current: Mutex<Option<Attempt>>,
}

impl Link {
    /// A link; nothing is connected yet.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        // Commands are small and awaited: none should wait for another to fill a packet.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        Ok(Self {
            client: Client::open(info)?,
            current: Mutex::new(None),
        })
    }

    /// Sends commands, and gives their answers. Commands may be sent twice, if the connection broke
    /// under them: they must mean the same then.
    ///
    /// # Errors
    /// If Redis cannot be reached, refuses, or does not answer before the deadline.
    pub async fn send<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<T, Error> {
        match timeout_at(deadline, self.send_or_repeat(commands)).await {
            Ok(result) => result,
            Err(_) => {
                self.give_up_on_silence();
                Err(Error::TimedOut)
            }
        }
    }

    async fn send_or_repeat<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Error> {
        let (attempt, is_new) = self.attempt();
        match self.send_once(attempt, commands).await {
            // It was lost earlier, and nobody had noticed.
            Err(Error::Command(error)) if is_lost(&error) && !is_new => {
                self.send_once(self.attempt().0, commands).await
            }
            result => result,
        }
    }

    async fn send_once<T: FromRedisValue>(
        &self,
        attempt: Attempt,
        commands: &Pipeline,
    ) -> Result<T, Error> {
        let mut connection = attempt.clone().await.map_err(|error| {
            self.forget(&attempt);
            Error::Connect(error)
        })?;
        commands
            .query_async(&mut connection)
            .await
            .map_err(|error| {
                if is_lost(&error) {
                    self.forget(&attempt);
                }
                Error::Command(Arc::new(error))
            })
    }

    /// The connection as it is, or a new one; and whether it is new.
    fn attempt(&self) -> (Attempt, bool) {
        let mut current = self.current.lock();
        if let Some(attempt) = current.as_ref() {
            return (attempt.clone(), false);
        }
        let client = self.client.clone();
        let attempt = async move {
            // Each command watches its own time.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_BUDGET))
                .set_response_timeout(None);
            let made = client.get_multiplexed_async_connection_with_config(&config);
            made.await.map_err(Arc::new)
        };
        let attempt = attempt.boxed().shared();
        *current = Some(attempt.clone());
        (attempt, true)
    }

    /// Makes the next command connect anew, unless another one did already.
    fn forget(&self, lost: &Attempt) {
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|current| current.ptr_eq(lost)) {
            *current = None;
        }
    }

    /// Lets go of a connection that was made and does not answer; one that is being made has time
    /// of its own.
    fn give_up_on_silence(&self) {
        let mut current = self.current.lock();
        if current
            .as_ref()
            .is_some_and(|current| current.peek().is_some())
        {
            *current = None;
        }
    }
}

/// Whether another connection may do better: this one is gone, or leads to what is no longer the
/// primary.
fn is_lost(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
