//! The fields of a line of the log, as text or as JSON.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use spillway_config::{LogFormat, LogLevel};

/// The event of a line in words.
pub(crate) const MESSAGE: &str = "message";

/// A line that is being written. Writing to a string cannot fail.
pub(crate) struct Fields {
    format: LogFormat,
    line: String,
}

impl Fields {
    /// Begins with the time since 1970, the level, and what happened.
    pub fn begin(format: LogFormat, now: Duration, level: LogLevel, event: &str) -> Self {
        let time = SystemTime::UNIX_EPOCH
            .checked_add(now)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let time = humantime::format_rfc3339_millis(time);
        let level = level_name(level);
        let mut line = String::with_capacity(256);
        let _ = match format {
            // The words of a message say what happened.
            LogFormat::Text if event == MESSAGE => write!(line, "{time} {level}"),
            LogFormat::Text => write!(line, "{time} {level} {event}"),
            LogFormat::Json => write!(
                line,
                "{{\"time\":\"{time}\",\"level\":\"{level}\",\"event\":\"{event}\""
            ),
        };
        Self { format, line }
    }

    /// A word, without quotes where it needs none.
    pub fn word(&mut self, name: &str, value: &str) {
        self.name(name);
        match self.format {
            LogFormat::Text if is_one_word(value) => self.line.push_str(value),
            LogFormat::Text | LogFormat::Json => self.quote(value),
        }
    }

    /// Others' text: quoted, so that it is one word of one line.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.quote(value);
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: impl itoa::Integer) {
        self.name(name);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    /// A truth value.
    pub fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.line.push_str(if value { "true" } else { "false" });
    }

    fn name(&mut self, name: &str) {
        match self.format {
            LogFormat::Text => {
                self.line.push(' ');
                self.line.push_str(name);
                self.line.push('=');
            }
            LogFormat::Json => {
                self.line.push_str(",\"");
                self.line.push_str(name);
                self.line.push_str("\":");
            }
        }
    }

    fn quote(&mut self, value: &str) {
        // Both forms write it so.
        if value.bytes().all(is_simple) {
            self.line.push('"');
            self.line.push_str(value);
            self.line.push('"');
            return;
        }
        match self.format {
            LogFormat::Text => {
                let _ = write!(self.line, "{value:?}");
            }
            LogFormat::Json => self.line.push_str(&json(value)),
        }
    }

    /// What a person reads.
    pub fn message(&mut self, message: &str) {
        let _ = match self.format {
            LogFormat::Text => write!(self.line, " {message}"),
            LogFormat::Json => write!(self.line, ",\"message\":{}", json(message)),
        };
    }

    /// A list; in text, each item begins with what `head` gives of it.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: &[T],
        head: impl Fn(&T) -> String,
        mut write_item: impl FnMut(&mut Self, &T),
    ) {
        let is_json = self.format == LogFormat::Json;
        let _ = if is_json {
            write!(self.line, ",\"{name}\":[")
        } else {
            write!(self.line, " {name}=[")
        };
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.line.push_str(if is_json { "," } else { ", " });
            }
            if is_json {
                // Every field begins with a comma; the first member is there for that.
                let _ = write!(self.line, "{{\"number\":{}", index.saturating_add(1));
            } else {
                self.line.push_str(&head(item));
            }
            write_item(self, item);
            if is_json {
                self.line.push('}');
            }
        }
        self.line.push(']');
    }

    /// Whether it becomes JSON.
    pub fn is_json(&self) -> bool {
        self.format == LogFormat::Json
    }

    /// The line, without its end.
    pub fn finish(mut self) -> String {
        if self.is_json() {
            self.line.push('}');
        }
        self.line
    }
}

const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

/// Whether it stands between quotes as it is.
const fn is_simple(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn is_one_word(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| is_simple(byte) && byte != b' ')
}

fn json(text: &str) -> String {
    // Text cannot fail to be written.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_none_is_quoted() {
        for (value, expected) in [
            ("abc-1", "x=abc-1"),
            ("", "x=\"\""),
            ("a b", "x=\"a b\""),
            ("a\"b", "x=\"a\\\"b\""),
            ("gr\u{fc}n", "x=\"gr\u{fc}n\""),
        ] {
            let (now, level) = (Duration::ZERO, LogLevel::Info);
            let mut fields = Fields::begin(LogFormat::Text, now, level, "e");
            fields.word("x", value);
            let line = fields.finish();
            assert!(line.ends_with(expected), "{line}");
            let mut fields = Fields::begin(LogFormat::Json, now, level, "e");
            fields.word("x", value);
            let line: serde_json::Value = serde_json::from_str(&fields.finish()).unwrap();
            assert_eq!(line["x"], value);
        }
    }
}
