//! What is logged on a test's own thread.

use std::cell::RefCell;
use std::io;
use std::io::Write;
use std::sync::Once;

/// One subscriber for all tests, for ever: those that come and go on other threads make `tracing`
/// lose lines.
static SUBSCRIBER: Once = Once::new();

thread_local! {
    static TEXT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// What this thread logs for as long as it lives.
pub(crate) struct Log(());

/// The text of the thread that writes.
struct Text;

impl Log {
    pub(crate) fn start() -> Self {
        SUBSCRIBER.call_once(|| {
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(|| Text)
                .init();
        });
        TEXT.with_borrow_mut(|text| *text = Some(Vec::new()));
        Self(())
    }

    pub(crate) fn text(&self) -> String {
        let text = TEXT.with_borrow(Clone::clone);
        String::from_utf8(text.unwrap_or_default()).unwrap()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        TEXT.with_borrow_mut(|text| *text = None);
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TEXT.with_borrow_mut(|text| {
            if let Some(text) = text {
                text.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
