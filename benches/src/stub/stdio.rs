//! The stub as a stdio child: newline-delimited JSON-RPC on stdin and stdout.
//!
//! **Invariant:** answers are flushed before a read that could block, so none waits for a later request.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::mcp::{self, Answer};
use crate::workload::Workload;

const LINE_BYTES_MAX: u64 = 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
}

/// Answers until stdin ends.
///
/// # Errors
/// When a pipe breaks or a line is not JSON-RPC.
pub(crate) fn serve() -> Result<()> {
    // The standard handles have buffers of their own; the files below do not.
    let stdin = File::from(
        io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .context("stub: no stdin")?,
    );
    let stdout = File::from(
        io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .context("stub: no stdout")?,
    );
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, stdin);
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, stdout);
    let answers: Vec<_> = Workload::ALL.map(|w| (w, Answer::to_workload(w))).into();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return writer.flush().context("stub: stdout is closed");
        }
        answer(&line, &answers, &mut writer)?;
        if memchr::memchr(b'\n', reader.buffer()).is_none() {
            writer.flush()?;
        }
    }
}

fn answer(line: &[u8], answers: &[(Workload, Answer)], writer: &mut impl Write) -> Result<()> {
    if let (Some(workload), Some(id)) = (mcp::find_workload(line), mcp::find_id(line))
        && let Some((_, answer)) = answers.iter().find(|(known, _)| *known == workload)
    {
        return write(writer, answer, id);
    }
    let envelope: Envelope<'_> = serde_json::from_slice(line).context("stub: not JSON-RPC")?;
    let (Some(id), Some(method)) = (envelope.id, envelope.method) else {
        return Ok(());
    };
    let answer = mcp::result_of(method).map_or_else(Answer::method_not_found, |result| {
        Answer::with_result(&result)
    });
    write(writer, &answer, id.get().as_bytes())
}

fn write(writer: &mut impl Write, answer: &Answer, id: &[u8]) -> Result<()> {
    writer.write_all(answer.before_id)?;
    writer.write_all(id)?;
    writer.write_all(&answer.after_id)?;
    writer.write_all(b"\n")?;
    Ok(())
}
