//! From bytes to events.

use std::collections::VecDeque;

use memchr::memchr2;

/// A stream that cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One event, or one line, is larger than the reader's limit.
    #[error("an event of the stream is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// One dispatched event. Blocks without a `data` field are no events and are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `event` field; `None` where there was none or it was empty (the standard's type `message`).
    pub name: Option<Vec<u8>>,
    /// The `data` fields joined by LF, as they came: not checked to be UTF-8.
    pub data: Vec<u8>,
}

/// Push bytes in with [`Reader::push`], take events out with [`Reader::next_event`].
///
/// The result depends on the bytes alone, never on how they were cut. Line ends are LF, CRLF or CR. Memory is
/// bounded by the limit given to [`Reader::with_limit`] plus the events not yet taken.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    /// The line begun and not yet ended.
    line: Vec<u8>,
    /// Whether the last byte was a CR that ended a line: an LF right after it belongs to it.
    after_carriage_return: bool,
    /// Whether a byte-order mark may still come.
    at_start: bool,
    reads_strays: bool,
    block: Block,
    ready: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct Block {
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
}

impl Block {
    fn push(&mut self, line: &[u8], limit: usize) -> Result<(), Error> {
        if self.data.len().saturating_add(line.len()) >= limit {
            return Err(Error::TooLarge { limit });
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(line);
        Ok(())
    }
}

impl Reader {
    /// The default limit of one event, in bytes: 16 MiB, above any image that a model returns inline.
    pub const DEFAULT_LIMIT: usize = 16 * 1024 * 1024;

    /// A reader that refuses events and lines of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_carriage_return: false,
            at_start: true,
            reads_strays: false,
            block: Block::default(),
            ready: VecDeque::new(),
        }
    }

    /// Takes two things that the standard passes over, and that engines send where something went wrong: a field named
    /// `error`, as the data of an event of that name, and a line that begins with `{` or `[{`, blanks before it or not, as
    /// data without the field's name.
    #[must_use]
    pub fn taking_strays(mut self) -> Self {
        self.reads_strays = true;
        self
    }

    /// Takes the next piece of the stream.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; the events before the oversized one can still be taken, further bytes cannot be
    /// pushed with any meaning.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if self.after_carriage_return && !bytes.is_empty() {
            self.after_carriage_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (text, rest) = bytes.split_at(end);
            let is_carriage_return = rest.first() == Some(&b'\r');
            bytes = rest.get(1..).unwrap_or_default();
            if is_carriage_return {
                match bytes.first() {
                    Some(b'\n') => bytes = bytes.get(1..).unwrap_or_default(),
                    Some(_) => {}
                    None => self.after_carriage_return = true,
                }
            }
            if self.line.is_empty() {
                self.end_line(text)?;
            } else {
                self.extend_line(text)?;
                let line = std::mem::take(&mut self.line);
                self.end_line(&line)?;
                self.line = line;
                self.line.clear();
            }
        }
        self.extend_line(bytes)
    }

    /// The data of the event that `bytes` begins with, where it is written as nearly all are, `data: ` and one line that
    /// an LF and an empty line end, and nothing before it is still open. It need not be pushed then: its bytes are those
    /// of `data`, eight more in all.
    pub fn plain<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let is_between_events = self.line.is_empty()
            && !self.after_carriage_return
            && !self.block.has_data
            && self.block.name.is_empty()
            && self.ready.is_empty();
        let rest = bytes
            .strip_prefix(b"data: ")
            .filter(|_| is_between_events)?;
        let (data, end) = rest.split_at(memchr2(b'\n', b'\r', rest)?);
        let is_plain = end.starts_with(b"\n\n") && data.len() < self.limit;
        // What begins so has no byte-order mark.
        self.at_start &= !is_plain;
        is_plain.then_some(data)
    }

    /// The next complete event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// Says that the stream has ended. A last block without its closing blank line is given out as an event,
    /// unlike in a browser: many engines leave out the last line end, and it is complete for all one can tell.
    ///
    /// # Errors
    /// As [`Reader::push`].
    pub fn finish(&mut self) -> Result<(), Error> {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.end_line(&line)?;
        }
        self.dispatch();
        Ok(())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.line.len().saturating_add(bytes.len()) > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), Error> {
        let line = if std::mem::replace(&mut self.at_start, false) {
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        } else {
            line
        };
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        let stray = line.trim_ascii_start();
        if self.reads_strays && (stray.starts_with(b"{") || stray.starts_with(b"[{")) {
            return self.block.push(stray, self.limit);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = line.get(colon.saturating_add(1)..).unwrap_or_default();
                (
                    line.get(..colon).unwrap_or_default(),
                    value.strip_prefix(b" ").unwrap_or(value),
                )
            }
            None => (line, &[][..]),
        };
        match field {
            b"data" => self.block.push(value, self.limit)?,
            b"error" if self.reads_strays && !matches!(value, b"" | b"null") => {
                self.block.name = field.to_vec();
                self.block.push(value, self.limit)?;
            }
            b"event" => {
                self.block.name.clear();
                self.block.name.extend_from_slice(value);
            }
            // Comments, `id`, `retry` and fields the standard does not know.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.has_data {
            self.ready.push_back(Event {
                name: (!block.name.is_empty()).then_some(block.name),
                data: block.data,
            });
        }
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }
}
