//! Clients that take their time.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::within;

/// Sends bytes one by one for as long as the peer takes them; what it said before it closed.
pub(crate) async fn dribble<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    head: &str,
    more: &str,
) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut said = Vec::new();
    let dribbling = async {
        write.write_all(head.as_bytes()).await.ok();
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
        for byte in more.bytes().cycle() {
            tick.tick().await;
            if write.write_all(&[byte]).await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    within("the connection to be closed", async {
        tokio::select! {
            () = dribbling => {}
            // A reset is an end, too.
            _ = read.read_to_end(&mut said) => {}
        }
    })
    .await;
    said
}
