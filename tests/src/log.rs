//! What gateways write, kept until it is known whether the test failed.

use std::{
    cell::RefCell,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use anyhow::Result;

/// So many of the last lines are printed.
const LINES: usize = 200;

/// Logs of the gateways that run now.
static LIVE: Mutex<Vec<Weak<LogFile>>> = Mutex::new(Vec::new());

thread_local! {
    /// Logs of the gateways that the present test has stopped.
    static STOPPED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The file that takes standard output and standard error of a gateway.
#[derive(Debug)]
pub(crate) struct LogFile(PathBuf);

impl LogFile {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        let log = Arc::new(Self(path));
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|other| other.strong_count() > 0);
        live.push(Arc::downgrade(&log));
        log
    }

    pub(crate) fn read(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }

    /// Keeps what was logged, as the file is about to go.
    pub(crate) fn keep(&self) {
        let text = self.read();
        STOPPED.with_borrow_mut(|stopped| stopped.push(text));
    }
}

/// Prints logs when a test ends in an error or in a panic.
pub(crate) struct LogsOnFailure {
    settled: bool,
}

impl LogsOnFailure {
    pub(crate) fn new() -> Self {
        STOPPED.with_borrow_mut(Vec::clear);
        Self { settled: false }
    }

    /// The error is told before the logs as well: of a long output only the beginning and the end may be shown.
    #[expect(
        clippy::print_stderr,
        reason = "it belongs into the output of the failed test"
    )]
    pub(crate) fn settle(mut self, outcome: Result<()>) -> Result<()> {
        self.settled = outcome.is_ok();
        if let Err(error) = &outcome {
            eprintln!("failed: {error:?}");
        }
        outcome
    }
}

impl Drop for LogsOnFailure {
    #[expect(
        clippy::print_stderr,
        reason = "the log belongs into the output of the failed test"
    )]
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let live: Vec<String> = live
            .iter()
            .filter_map(Weak::upgrade)
            .map(|log| log.read())
            .collect();
        for log in STOPPED.take().iter().chain(&live) {
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.iter().skip(lines.len().saturating_sub(LINES));
            eprintln!("--- the gateway's log ---");
            last.for_each(|line| eprintln!("{line}"));
        }
    }
}
