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
pub(super) struct Watched<R> {
    pub(super) source: R,
    pub(super) ended: CancellationToken,
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio_util::sync::CancellationToken;

    use super::Watched;

    #[tokio::test]
    async fn the_end_is_told_only_at_the_end() {
        let ended = CancellationToken::new();
        let mut reader = Watched {
            source: b"ab".as_slice(),
            ended: ended.clone(),
        };
        let mut bytes = [0; 2];
        reader.read_exact(&mut bytes).await.unwrap();
        assert!(!ended.is_cancelled());
        assert_eq!(reader.read(&mut bytes).await.unwrap(), 0);
        assert!(ended.is_cancelled());
    }
}
