//! The log of an instance.

use spillway_config::LogLevel;
use spillway_platform::Platform;
use spillway_telemetry::AccessRecord;

/// Writes lines as the configuration has them.
#[derive(Clone)]
pub struct Log<P> {
    platform: P,
    style: spillway_telemetry::Log,
}

impl<P: Platform> Log<P> {
    /// As this part of the configuration says.
    pub fn new(platform: P, config: &spillway_config::Log) -> Self {
        platform.log_as_json(config.format == spillway_config::LogFormat::Json);
        Self {
            platform,
            style: spillway_telemetry::Log::new(config.clone()),
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

    /// A request has ended.
    pub fn record(&self, record: &AccessRecord) {
        let now = self.platform.since_1970();
        if let Some(line) = self.style.record(now, record) {
            self.platform.log(&line);
        }
    }

    fn message(&self, level: LogLevel, words: &str) {
        let now = self.platform.since_1970();
        if let Some(line) = self.style.message(now, level, words) {
            self.platform.log(&line);
        }
    }
}
