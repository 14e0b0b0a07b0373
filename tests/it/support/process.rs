//! A child process of a test: its output is kept for the failure message, and it never outlives its owner.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::until;

/// The most output that is kept; more is dropped, so that a chatty server cannot fill the memory.
const OUTPUT_LINES_MAX: usize = 20_000;

/// A running child; killed and reaped on drop.
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
    open_outputs: Arc<AtomicUsize>,
}

impl Process {
    /// Starts `program`, with stdin closed and both outputs kept.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> Self {
        let name = program.as_ref().to_string_lossy().into_owned();
        let mut child = command(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: does not start: {error}"));
        let lines = Arc::default();
        let open_outputs = Arc::new(AtomicUsize::new(2));
        keep(child.stdout.take(), &lines, &open_outputs);
        keep(child.stderr.take(), &lines, &open_outputs);
        Self {
            name,
            child: Mutex::new(child),
            lines,
            open_outputs,
        }
    }

    /// Everything that it has printed so far, both outputs, for a failure message.
    pub(crate) fn output(&self) -> String {
        self.lines.lock().join("\n")
    }

    /// Its exit status, once it has ended.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().try_wait().unwrap()
    }

    /// Waits for the first line that `pick` takes something from.
    pub(crate) async fn line<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        until(what, || async {
            let found = self.lines.lock().iter().find_map(|line| pick(line));
            if found.is_none() {
                self.assert_alive(what);
            }
            found
        })
        .await
    }

    /// Sends it a signal: `TERM`, `INT`, `HUP`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let signal = match name {
            "TERM" => rustix::process::Signal::TERM,
            "INT" => rustix::process::Signal::INT,
            "HUP" => rustix::process::Signal::HUP,
            "STOP" => rustix::process::Signal::STOP,
            "CONT" => rustix::process::Signal::CONT,
            other => panic!("no such signal here: {other}"),
        };
        let pid = rustix::process::Pid::from_child(&self.child.lock());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself and all its output was read. It has as long as it takes: this is
    /// for programs that watch their own time.
    pub(crate) async fn finish(&self) -> ExitStatus {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let status = loop {
            again.tick().await;
            if let Some(status) = self.ended() {
                break status;
            }
        };
        until(&format!("{}: its outputs to end", self.name), || async {
            (self.open_outputs.load(Ordering::Acquire) == 0).then_some(())
        })
        .await;
        status
    }

    /// Fails with its output if it is no longer running.
    pub(crate) fn assert_alive(&self, what: &str) {
        if let Some(status) = self.ended() {
            panic!(
                "{what}: {} ended with {status}:\n{}",
                self.name,
                self.output()
            );
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // It may have ended already; then there is nothing to kill, and `wait` returns at once.
        drop(child.kill());
        drop(child.wait());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the product; a test starts the product"
)]
fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// Reads an output to its end on its own thread, so that the child never blocks on a full pipe.
fn keep(
    output: Option<impl Read + Send + 'static>,
    lines: &Arc<Mutex<Vec<String>>>,
    open_outputs: &Arc<AtomicUsize>,
) {
    let (lines, open_outputs) = (Arc::clone(lines), Arc::clone(open_outputs));
    let output = output.unwrap();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let mut lines = lines.lock();
            if lines.len() < OUTPUT_LINES_MAX {
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
        }
        open_outputs.fetch_sub(1, Ordering::Release);
    });
}
