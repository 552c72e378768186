//! What components write to their stdout and stderr: whole lines, each with the component's name
//! before it, so that the output of many instances never mixes within a line.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use spillway_config::{LogConfig, LogFormat, LogLevel};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// A line longer than this is cut: in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The host's stdout.
    Stdout,
    /// The host's stderr.
    Stderr,
    /// Nowhere.
    Discard,
}

impl Destination {
    /// Writes all of `lines` at once. A host whose output is closed goes on without it.
    pub fn write(self, lines: &[u8]) {
        let _ = match self {
            Self::Stdout => write_flushed(&mut io::stdout().lock(), lines),
            Self::Stderr => io::stderr().lock().write_all(lines),
            Self::Discard => Ok(()),
        };
    }
}

fn write_flushed(output: &mut impl Write, lines: &[u8]) -> io::Result<()> {
    output.write_all(lines)?;
    output.flush()
}

/// Whether the host's own lines are JSON, too.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// The number of the least level of which the host writes lines: all, as long as nothing is known of the configuration.
static LEVEL: AtomicU8 = AtomicU8::new(number(LogLevel::Debug));

/// From now on the host's own lines are written as those of components are by `telemetry.log`.
pub fn write_as(config: &LogConfig) {
    IS_JSON.store(config.format == LogFormat::Json, Ordering::Relaxed);
    LEVEL.store(number(config.level), Ordering::Relaxed);
}

const fn number(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 0,
        LogLevel::Warn => 1,
        LogLevel::Info => 2,
        LogLevel::Debug => 3,
    }
}

/// Writes one line of the host's own to stderr.
pub fn notice(line: &str) {
    write(LogLevel::Info, None, line);
}

/// The same, of something that is out of order.
pub fn warn(line: &str) {
    write(LogLevel::Warn, None, line);
}

/// The same on behalf of a component.
pub fn warn_of(component: &str, line: &str) {
    write(LogLevel::Warn, Some(component), line);
}

/// One line on what the host ends by: it is always written.
pub fn error(line: &str) {
    write(LogLevel::Error, None, line);
}

/// One line on behalf of a component, where that writes its own.
pub fn notice_of(destination: Destination, component: &str, line: &str) {
    write_to(destination, LogLevel::Info, Some(component), line);
}

fn write(level: LogLevel, component: Option<&str>, line: &str) {
    write_to(Destination::Stderr, level, component, line);
}

fn write_to(destination: Destination, level: LogLevel, component: Option<&str>, line: &str) {
    if number(level) <= LEVEL.load(Ordering::Relaxed) {
        let is_json = IS_JSON.load(Ordering::Relaxed);
        destination.write(written(is_json, level, component, line).as_bytes());
    }
}

/// In the order of the gateway's own lines.
#[derive(Serialize)]
struct JsonLine<'l> {
    time: String,
    level: LogLevel,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'l str>,
    message: &'l str,
}

/// A line in words as the log has it, its end among that.
fn written(is_json: bool, level: LogLevel, component: Option<&str>, line: &str) -> String {
    match component {
        _ if is_json => {
            let line = JsonLine {
                time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
                level,
                event: "host",
                component,
                message: line,
            };
            // Text cannot fail to be written.
            format!("{}\n", serde_json::to_string(&line).unwrap_or_default())
        }
        Some(component) => format!("[{component}] {line}\n"),
        None => format!("{line}\n"),
    }
}

/// How often components have written, whether or not it is shown.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// How often components have written since the host began.
pub fn written_by_components() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

/// One output of one component instance.
#[derive(Debug, Clone)]
pub struct ComponentOutput {
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    prefix: Arc<str>,
    destination: Destination,
    /// What was written since the last line's end.
    unfinished: Vec<u8>,
}

impl ComponentOutput {
    /// An output whose lines begin with `prefix`.
    pub fn new(prefix: Arc<str>, destination: Destination) -> Self {
        Self {
            lines: Arc::new(Mutex::new(Lines {
                prefix,
                destination,
                unfinished: Vec::new(),
            })),
        }
    }

    fn append(&self, bytes: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.destination != Destination::Discard {
            let finished = lines.append(bytes);
            if !finished.is_empty() {
                lines.destination.write(&finished);
            }
        }
        WRITTEN.fetch_add(1, Ordering::Relaxed);
    }
}

impl Lines {
    /// Takes in `bytes` and returns the lines that they finish.
    fn append(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut finished = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.unfinished.extend_from_slice(piece);
            if self.unfinished.ends_with(b"\n") {
                self.finish_line(&mut finished);
            } else if self.unfinished.len() >= MAX_LINE_BYTES {
                self.unfinished.push(b'\n');
                self.finish_line(&mut finished);
            }
        }
        finished
    }

    fn finish_line(&mut self, finished: &mut Vec<u8>) {
        // A JSON line stays one.
        if !self.unfinished.starts_with(b"{") {
            finished.extend_from_slice(self.prefix.as_bytes());
        }
        finished.append(&mut self.unfinished);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            let finished = self.append(b"\n");
            self.destination.write(&finished);
        }
    }
}

impl IsTerminal for ComponentOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for ComponentOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for ComponentOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for ComponentOutput {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE_BYTES)
    }
}

impl AsyncWrite for ComponentOutput {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines {
            prefix: "[model] ".into(),
            destination: Destination::Discard,
            unfinished: Vec::new(),
        }
    }

    #[test]
    fn a_line_of_the_host_is_json_as_those_of_components_are() {
        let line = written(true, LogLevel::Warn, None, "a \"b\"");
        assert!(line.starts_with("{\"time\":\"20"), "{line}");
        let end = r#""level":"warn","event":"host","message":"a \"b\""}"#;
        assert!(line.trim_end().ends_with(end), "{line}");
        let line = written(false, LogLevel::Info, Some("model"), "words");
        assert_eq!(line, "[model] words\n");
    }

    #[test]
    fn only_whole_lines_come_out_each_with_the_prefix() {
        let mut lines = lines();
        assert_eq!(lines.append(b"one"), b"");
        assert_eq!(lines.append(b" line\nand"), b"[model] one line\n");
        assert_eq!(
            lines.append(b" more\n\nend"),
            b"[model] and more\n[model] \n"
        );
        assert_eq!(lines.append(b"\n"), b"[model] end\n");
        assert_eq!(lines.append(b"{\"a\":1}\n"), b"{\"a\":1}\n");
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let mut lines = lines();
        let written = lines.append(&vec![b'x'; MAX_LINE_BYTES]);
        assert_eq!(written.len(), MAX_LINE_BYTES + "[model] ".len() + 1);
        assert!(lines.unfinished.is_empty());
    }
}
