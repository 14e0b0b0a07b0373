//! The client behind one request: the place for what differs between the eras.
//!
//! | | up to 2025-11-25 | from 2026-07-28 |
//! |---|---|---|
//! | log level | `logging/setLevel`, for the session | `_meta`, for the request |
//! | question to the user | `elicitation/create` while the call waits | the call ends with `input_required` and is made again with the answer |
#![expect(
    deprecated,
    reason = "logging still works in both eras, so the demo shows it"
)]

use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientCapabilities, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult,
        ElicitationAction, ElicitationSchema, InputRequest, InputRequests, InputRequiredResult,
        InputResponses, LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
        ProtocolVersion,
    },
    service::RequestContext,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// The key of the one question a call asks.
const QUESTION: &str = "question";

/// See the module.
pub(super) struct Caller<'a> {
    request: &'a RequestContext<RoleServer>,
    session_level: LoggingLevel,
}

/// What came of a question to the user.
pub(super) enum Reply<T> {
    /// The form, filled in.
    Answered(T),
    /// The user does not want to.
    Declined,
    /// The client cannot ask its user, or failed to. The text says why.
    Unasked(String),
    /// Return this; the client calls again with the answer.
    Later(InputRequiredResult),
}

impl<'a> Caller<'a> {
    pub(super) fn new(
        request: &'a RequestContext<RoleServer>,
        level: &Mutex<LoggingLevel>,
    ) -> Self {
        Self {
            request,
            session_level: *level.lock(),
        }
    }

    /// Tells the client how far the call has come, if it asked to be told.
    pub(super) async fn progress(&self, done: u32, total: u32, message: &str) {
        let Some(token) = self.request.meta.get_progress_token() else {
            return;
        };
        let progress = ProgressNotificationParam::new(token, f64::from(done))
            .with_total(f64::from(total))
            .with_message(message);
        // A client that has gone does not want to know.
        self.request.peer.notify_progress(progress).await.ok();
    }

    /// Logs to the client, if it wants to hear of this level.
    pub(super) async fn log(&self, level: LoggingLevel, text: String) {
        let least = if self.is_modern() {
            self.request.meta.log_level()
        } else {
            Some(self.session_level)
        };
        // The levels are declared in the order of their severity.
        if least.is_none_or(|least| (level as u8) < least as u8) {
            return;
        }
        let message =
            LoggingMessageNotificationParam::new(level, Value::from(text)).with_logger("demo");
        self.request.peer.notify_logging_message(message).await.ok();
    }

    /// Asks the user to fill in a form. `state` comes back with the answer in the modern era; it
    /// is the caller's to seal, for the client can change it.
    ///
    /// # Errors
    ///
    /// -32021 if a modern client did not declare that it can ask, -32602 if its answer does not
    /// fit the form.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        message: &str,
        form: ElicitationSchema,
        answers: Option<&InputResponses>,
        state: String,
    ) -> Result<Reply<T>, ErrorData> {
        if let Some(answer) = answers.and_then(|answers| answers.get(QUESTION)) {
            let answer = ElicitResult::deserialize(answer).map_err(|_| unfit())?;
            return read(answer);
        }
        let able = self
            .request
            .client_capabilities()
            .is_some_and(|capabilities| capabilities.elicitation.is_some());
        let question = ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: message.to_owned(),
            requested_schema: form,
        });
        match (self.is_modern(), able) {
            (true, false) => {
                let needed = ClientCapabilities::builder().enable_elicitation().build();
                Err(ErrorData::missing_required_client_capability(needed))
            }
            (true, true) => {
                let question = InputRequest::Elicitation(question);
                let questions = InputRequests::from([(QUESTION.to_owned(), question)]);
                Ok(Reply::Later(InputRequiredResult::new(
                    Some(questions),
                    Some(state),
                )))
            }
            (false, false) => Ok(Reply::Unasked("this client cannot ask its user".to_owned())),
            (false, true) => match self.request.peer.send_request(question.into()).await {
                Ok(ClientResult::ElicitResult(answer)) => read(answer),
                Ok(_) => Err(unfit()),
                Err(error) => Ok(Reply::Unasked(error.to_string())),
            },
        }
    }

    fn is_modern(&self) -> bool {
        self.request
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
    }
}

fn read<T: DeserializeOwned>(answer: ElicitResult) -> Result<Reply<T>, ErrorData> {
    if answer.action != ElicitationAction::Accept {
        return Ok(Reply::Declined);
    }
    let content = answer.content.unwrap_or_default();
    serde_json::from_value(content)
        .map(Reply::Answered)
        .map_err(|_| unfit())
}

fn unfit() -> ErrorData {
    ErrorData::invalid_params("the answer to the question does not fit its form", None)
}
