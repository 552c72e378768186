//! How lines of the log are written, and which are.

use std::time::Duration;

use spillway_config::{LogFormat, LogLevel};

use crate::AccessRecord;
use crate::fields::{Fields, MESSAGE};

/// How lines of the log are written, and which are. `now` is the time since 1970 throughout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStyle(spillway_config::LogConfig);

impl LogStyle {
    /// As the configuration has it.
    pub fn new(config: spillway_config::LogConfig) -> Self {
        Self(config)
    }

    /// What is out of order, in words, where nothing more is known of the configuration.
    pub fn warning(is_json: bool, now: Duration, words: &str) -> String {
        let format = if is_json {
            LogFormat::Json
        } else {
            LogFormat::Text
        };
        let mut fields = Fields::begin(format, now, LogLevel::Warn, MESSAGE);
        fields.message(words);
        fields.finish()
    }

    /// A line in words; `None` where its level is not written.
    pub fn message(&self, now: Duration, level: LogLevel, words: &str) -> Option<String> {
        self.writes(level).then(|| {
            let mut fields = Fields::begin(self.0.format, now, level, MESSAGE);
            fields.message(words);
            fields.finish()
        })
    }

    /// The line of a request that has ended; `None` where its level is not written.
    pub fn record(&self, now: Duration, record: &AccessRecord) -> Option<String> {
        let level = record.level();
        self.writes(level).then(|| {
            let mut fields = Fields::begin(self.0.format, now, level, record.event());
            record.write(&mut fields);
            fields.finish()
        })
    }

    /// Whether lines of this level are written.
    pub fn writes(&self, level: LogLevel) -> bool {
        level <= self.0.level
    }
}
