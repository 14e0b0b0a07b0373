//! Standard input that tells when it has ended.
//!
//! A listen stream ends only when its client leaves. On stdio that is the end of stdin, which
//! rmcp keeps to itself until every handler has returned, so that each would wait for the other.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Reads from `source` and cancels `ended` at its end.
pub(crate) struct Watched<R> {
    pub(crate) source: R,
    pub(crate) ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.source).poll_read(context, buffer);
        // Nothing read is the end, and so is an error.
        if polled.is_ready() && buffer.filled().len() == before {
            self.ended.cancel();
        }
        polled
    }
}
