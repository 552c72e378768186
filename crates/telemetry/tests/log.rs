//! Lines of the log.

mod records;

use std::time::Duration;

use spillway_config::{LogConfig, LogFormat, LogLevel};
use spillway_telemetry::LogStyle;

const NOW: Duration = Duration::from_millis(1_764_438_723_004);

fn lines(format: LogFormat, level: LogLevel) -> String {
    let log = LogStyle::new(LogConfig { format, level });
    let mut text = String::new();
    for record in records::all() {
        if let Some(line) = log.record(NOW, &record) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    for level in [LogLevel::Error, LogLevel::Warn, LogLevel::Debug] {
        if let Some(line) = log.message(NOW, level, "limits: \"the store\" is gone") {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_lines_are_the_committed_ones() {
    for (format, name) in [(LogFormat::Text, "log.txt"), (LogFormat::Json, "log.json")] {
        let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = lines(format, LogLevel::Info);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(path).unwrap());
    }
}

#[test]
fn every_line_of_json_is_json() {
    let text = lines(LogFormat::Json, LogLevel::Debug);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["level"].is_string() && line["event"].is_string());
    }
}

#[test]
fn a_level_keeps_back_what_matters_less() {
    let written = |level| lines(LogFormat::Text, level).lines().count();
    assert_eq!(written(LogLevel::Debug), 9);
    assert_eq!(written(LogLevel::Info), 8);
    assert_eq!(written(LogLevel::Warn), 5);
    assert_eq!(written(LogLevel::Error), 2);
}
