//! The log of an instance.
//!
//! Rule: a line of a request is written at once, unless one was written within the last [`INTERVAL`]; then it waits for
//! the others of that time, and all are written together. Why: each write is a call of the host, and costs a sixth of
//! what a whole request costs besides. A line in words is written at once, with all that wait before it. An instance
//! that dies takes the lines of [`INTERVAL`] with it, as it takes what it has counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use spillway_config::LogLevel;
use spillway_platform::Platform;
use spillway_telemetry::AccessRecord;

/// How long a line waits at most.
const INTERVAL: Duration = Duration::from_millis(100);

/// No more than this waits, in bytes.
const MAX_WAITING_BYTES: usize = 16 * 1024;

/// Writes lines as the configuration has them. A copy is the same log.
#[derive(Clone)]
pub struct Log<P> {
    platform: P,
    style: spillway_telemetry::LogStyle,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: String,
    /// When something was last written.
    written: Option<Duration>,
    is_scheduled: bool,
}

impl<P: Platform> Log<P> {
    /// As this part of the configuration says.
    pub fn new(platform: P, config: &spillway_config::LogConfig) -> Self {
        platform.log_as_json(config.format == spillway_config::LogFormat::Json);
        Self {
            platform,
            style: spillway_telemetry::LogStyle::new(config.clone()),
            lines: Arc::default(),
        }
    }

    /// The operator must act.
    pub fn error(&self, words: &str) {
        self.message(LogLevel::Error, words);
    }

    /// Something is out of order.
    pub fn warn(&self, words: &str) {
        self.message(LogLevel::Warn, words);
    }

    /// Something is in order again, or worth to know.
    pub fn info(&self, words: &str) {
        self.message(LogLevel::Info, words);
    }

    /// What helps to find a mistake. The words are made only where they are written.
    pub fn debug(&self, words: impl FnOnce() -> String) {
        if self.style.writes(LogLevel::Debug) {
            self.message(LogLevel::Debug, &words());
        }
    }

    /// A request has ended.
    pub fn record(&self, record: &AccessRecord) {
        let Some(line) = self.style.record(self.platform.since_1970(), record) else {
            return;
        };
        let now = self.platform.now();
        let Ok(mut lines) = self.lines.lock() else {
            return;
        };
        lines.add(&line);
        let has_waited = lines
            .written
            .is_none_or(|written| now.saturating_sub(written) >= INTERVAL);
        if has_waited || lines.waiting.len() > MAX_WAITING_BYTES {
            self.write(&mut lines);
        } else if !std::mem::replace(&mut lines.is_scheduled, true) {
            drop(lines);
            let (log, scheduled) = (self.clone(), Scheduled(Arc::clone(&self.lines)));
            self.platform.spawn(async move {
                log.platform.sleep(INTERVAL).await;
                drop(scheduled);
                if let Ok(mut lines) = log.lines.lock() {
                    log.write(&mut lines);
                }
            });
        }
    }

    fn message(&self, level: LogLevel, words: &str) {
        let line = self.style.message(self.platform.since_1970(), level, words);
        if let (Some(line), Ok(mut lines)) = (line, self.lines.lock()) {
            lines.add(&line);
            self.write(&mut lines);
        }
    }

    /// Writes what waits, in one call of the host.
    fn write(&self, lines: &mut Lines) {
        if !lines.waiting.is_empty() {
            self.platform.log(&lines.waiting);
            lines.waiting.clear();
            lines.written = Some(self.platform.now());
        }
    }
}

/// A task that waits to write them. It may end with the request that began it, before its time: another is begun then.
struct Scheduled(Arc<Mutex<Lines>>);

impl Drop for Scheduled {
    fn drop(&mut self) {
        if let Ok(mut lines) = self.0.lock() {
            lines.is_scheduled = false;
        }
    }
}

impl Lines {
    fn add(&mut self, line: &str) {
        if !self.waiting.is_empty() {
            self.waiting.push('\n');
        }
        self.waiting.push_str(line);
    }
}
