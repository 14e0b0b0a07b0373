//! What a session is set to: its log level, and the resources it is subscribed to.

use filters::json::object::Object;

use super::Session;
use crate::upstream::error::Error;
use crate::upstream::talk::Answered;

impl Session {
    /// Subscribes to a resource; only the first of several subscribers asks the server.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn subscribe(&self, uri: &str) -> Result<Answered, Error> {
        let is_first = {
            let mut state = self.state.lock();
            let count = state.subscriptions.entry(uri.to_owned()).or_insert(0);
            *count += 1;
            *count == 1
        };
        if !is_first {
            return Ok(Answered::Result("{}".to_owned()));
        }
        let answered = self.ask_about(uri, "resources/subscribe").await;
        if !matches!(answered, Ok(Answered::Result(_))) {
            self.state.lock().subscriptions.remove(uri);
        }
        answered
    }

    /// Ends one subscription to a resource; the last one tells the server.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn unsubscribe(&self, uri: &str) -> Result<Answered, Error> {
        let is_last = {
            let mut state = self.state.lock();
            match state.subscriptions.get_mut(uri) {
                Some(count) if *count > 1 => {
                    *count -= 1;
                    false
                }
                Some(_) => {
                    state.subscriptions.remove(uri);
                    true
                }
                None => true,
            }
        };
        if !is_last {
            return Ok(Answered::Result("{}".to_owned()));
        }
        self.ask_about(uri, "resources/unsubscribe").await
    }

    /// Tells the server of one resource, whoever else is subscribed to it.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(in crate::upstream) async fn ask_about(
        &self,
        uri: &str,
        method: &str,
    ) -> Result<Answered, Error> {
        let mut params = Object::default();
        params.set_text("uri", uri);
        self.ask(method, Some(&params.write()), self.remote.deadline())
            .await
    }

    /// Sets the log level, unless it is set.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn set_log_level(&self, level: &str) -> Result<(), Error> {
        if self.state.lock().log_level.as_deref() == Some(level) {
            return Ok(());
        }
        let mut params = Object::default();
        params.set_text("level", level);
        let deadline = self.remote.deadline();
        self.ask("logging/setLevel", Some(&params.write()), deadline)
            .await?;
        self.state.lock().log_level = Some(level.to_owned());
        Ok(())
    }
}
