//! Answers that go on where their stream breaks.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use crate::upstream::error::Error;
use crate::upstream::talk::Talk;

/// How often an answer's stream that broke is resumed without any progress.
const RESUMES_MAX: u32 = 5;
/// How long to wait before it is, at most.
const RESUME_MAX: Duration = Duration::from_secs(30);
/// How long to wait before it is, as SSE has it where the server does not say.
const RESUME_AFTER: Duration = Duration::from_millis(200);

/// An answer that goes on where its stream breaks, if the server lets it (2025-11-25,
/// "Resumability and Redelivery").
pub struct Resumable<'s> {
    session: &'s Session,
    talk: Talk,
    n_resumes: u32,
}

impl<'s> Resumable<'s> {
    /// An answer of `session`.
    #[must_use]
    pub fn new(session: &'s Session, talk: Talk) -> Self {
        Self {
            session,
            talk,
            n_resumes: 0,
        }
    }

    /// The next message, or nothing where no more will come. Cancel-safe.
    ///
    /// # Errors
    /// As [`Talk::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        next(self.session, &mut self.talk, &mut self.n_resumes).await
    }
}

/// The next message of an answer, from a resumed stream where the first broke. Cancel-safe.
///
/// # Errors
/// As [`Talk::next`].
pub async fn next(
    session: &Session,
    talk: &mut Talk,
    n_resumes: &mut u32,
) -> Result<Option<Bytes>, Error> {
    loop {
        let error = match talk.next().await {
            Ok(Some(message)) => {
                *n_resumes = 0;
                return Ok(Some(message));
            }
            Ok(None) => None,
            Err(error @ (Error::Truncated | Error::Io(_) | Error::ClosedEarly)) => Some(error),
            Err(error) => return Err(error),
        };
        let Some(last_event) = talk.last_event().filter(|_| *n_resumes < RESUMES_MAX) else {
            return error.map_or(Ok(None), Err);
        };
        let last_event = last_event.to_owned();
        tokio::time::sleep(talk.retry().unwrap_or(RESUME_AFTER).min(RESUME_MAX)).await;
        let mut resumed = session.open_stream(Some(&last_event)).await?;
        *n_resumes += 1;
        if !resumed.is_stream() {
            return error.map_or(Ok(None), Err);
        }
        resumed.resume_from(last_event, talk);
        *talk = resumed;
    }
}
