//! A Redis of a test's own: `redis-server` on a unix socket in a folder that goes with it.

use redis::{Cmd, FromRedisValue};
use tempfile::TempDir;

use super::process::Process;
use super::{DEADLINE, until};

/// A place where Redis is, or is not. It remembers nothing from one start to the next.
pub(crate) struct Redis {
    folder: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// A place where no Redis is yet.
    pub(crate) fn absent() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            process: None,
        }
    }

    /// A running Redis.
    pub(crate) async fn started() -> Self {
        let mut redis = Self::absent();
        redis.start().await;
        redis
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn start(&mut self) {
        self.start_with(&[]).await;
    }

    /// Starts it with more arguments, and waits until it answers, if only that it wants a password.
    pub(crate) async fn start_with(&mut self, more: &[&str]) {
        let folder = self.folder.path().to_str().unwrap();
        let socket = self.socket();
        let arguments = ["--port", "0", "--unixsocket", &socket, "--dir", folder];
        let no_files = ["--save", "", "--appendonly", "no"];
        let arguments = [arguments.as_slice(), &no_files, more].concat();
        let process = Process::spawn("redis-server", arguments, &[]);
        until("Redis to answer", || async {
            process.assert_alive("Redis to answer");
            match self.try_ask::<String>(&redis::cmd("PING")).await {
                Ok(_) => Some(()),
                Err(error) => (error.code() == Some("NOAUTH")).then_some(()),
            }
        })
        .await;
        self.process = Some(process);
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Stops it as it is: connections stay, and nothing is answered.
    pub(crate) fn freeze(&self) {
        self.process.as_ref().unwrap().signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.process.as_ref().unwrap().signal("CONT");
    }

    /// Its URL, also while it is not running.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket())
    }

    /// Sends a command of the test itself.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        self.try_ask(command).await.unwrap()
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await?;
        command.query_async(&mut connection).await
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> String {
        let path = self.folder.path().join("redis.sock");
        path.to_str().unwrap().to_owned()
    }
}
