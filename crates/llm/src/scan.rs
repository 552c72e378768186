//! A JSON object read in steps: whether it is JSON (RFC 8259), and where its members stand.
//!
//! **Why not `serde_json`.** It reads in one go. A body of 60 MiB would keep the instance's only thread for 100 ms, and
//! every stream that the instance serves would stand still meanwhile. A step here is [`STEP_BYTES`]; between two of them
//! others have their turn.
//! **Rule.** Values are checked and left as they are; names are read. Nesting is kept on a stack of its own, so depth
//! costs a byte a level and no call.
//! **Cost.** One pass. Text, which is nearly all of a body, eight bytes at a time.

mod number;
mod text;

use bytes::Bytes;

use number::Number;
use text::plain_length;

/// What one step reads.
const STEP_BYTES: usize = 1024 * 1024;

/// So many members an object may have. No API's request has a hundred; each costs memory and a comparison with every
/// name that is looked for.
const MAX_MEMBERS: usize = 1_000;

/// The longest name of a member of the outermost object, in bytes as written.
const MAX_NAME_BYTES: usize = 1_024;

/// The deepest nesting: ten times what Python's reader takes.
const MAX_DEPTH: usize = 10_000;

/// Members in order: name, and value as it was written.
pub(crate) type MembersAsWritten = Vec<(String, Bytes)>;

/// What is wrong with a body, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    /// Something else should stand there.
    #[error("expected {expected} at line {line} column {column}")]
    Expected {
        expected: &'static str,
        line: usize,
        column: usize,
    },
    /// It ends too early.
    #[error("it ends where {expected} should follow, at line {line} column {column}")]
    Ends {
        expected: &'static str,
        line: usize,
        column: usize,
    },
    /// It is too large in some way.
    #[error("it has {0}")]
    TooMany(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Object,
    Array,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Whole,
    FirstName,
    Name,
    Colon,
    FirstValue,
    Value,
    After,
    Text,
    Escape,
    Hex(u8),
    Literal(&'static [u8]),
    Number(Number),
    Done,
}

/// A body that is being read.
#[derive(Debug)]
pub(crate) struct ObjectScan {
    body: Bytes,
    at: usize,
    /// Up to here it is UTF-8.
    utf8: usize,
    state: State,
    open: Vec<Open>,
    /// Whether the text being read is a member's name.
    is_name: bool,
    /// Where the name or value being read began, of the outermost object.
    began: usize,
    name: String,
    members: MembersAsWritten,
}

impl ObjectScan {
    pub(crate) fn new(body: Bytes) -> Self {
        Self {
            body,
            at: 0,
            utf8: 0,
            state: State::Whole,
            open: Vec::new(),
            is_name: false,
            began: 0,
            name: String::new(),
            members: MembersAsWritten::new(),
        }
    }

    /// Reads on; `None` where there is more to read.
    pub(crate) fn step(&mut self) -> Option<Result<MembersAsWritten, ScanError>> {
        let body = self.body.clone();
        let until = self.at.saturating_add(STEP_BYTES).min(body.len());
        if let Err(error) = self
            .check_utf8(until)
            .and_then(|()| self.read(&body, until))
        {
            return Some(Err(error));
        }
        if until < body.len() {
            return None;
        }
        Some(match self.state {
            State::Done => Ok(std::mem::take(&mut self.members)),
            _ => Err(self.fault()),
        })
    }

    /// Whether there is nothing but blanks.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.state, State::Whole) && self.at >= self.body.len()
    }

    fn check_utf8(&mut self, until: usize) -> Result<(), ScanError> {
        let piece = self.body.get(self.utf8..until).unwrap_or_default();
        match std::str::from_utf8(piece) {
            Ok(_) => self.utf8 = until,
            // A character may be cut by the end of the step, not by that of the body.
            Err(error) if error.error_len().is_none() && until < self.body.len() => {
                self.utf8 = self.utf8.saturating_add(error.valid_up_to());
            }
            Err(error) => {
                self.at = self.utf8.saturating_add(error.valid_up_to());
                return Err(self.expected("UTF-8"));
            }
        }
        Ok(())
    }

    fn read(&mut self, body: &[u8], until: usize) -> Result<(), ScanError> {
        while let Some(&byte) = body.get(self.at..until).and_then(<[u8]>::first) {
            self.state = match self.state {
                State::Text => {
                    let plain = plain_length(body.get(self.at..until).unwrap_or_default());
                    self.at = self.at.saturating_add(plain);
                    match body.get(self.at..until).and_then(<[u8]>::first) {
                        None => State::Text,
                        Some(b'"') => self.text_ends()?,
                        Some(b'\\') => State::Escape,
                        Some(_) => return Err(self.fault()),
                    }
                }
                State::Escape => match byte {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text,
                    b'u' => State::Hex(4),
                    _ => return Err(self.fault()),
                },
                State::Hex(left) if byte.is_ascii_hexdigit() => match left {
                    1 => State::Text,
                    _ => State::Hex(left.saturating_sub(1)),
                },
                State::Literal([first, rest @ ..]) if *first == byte => match rest {
                    [] => self.value_ends(self.at.saturating_add(1))?,
                    _ => State::Literal(rest),
                },
                State::Number(number) => match number.next(byte) {
                    Some(next) => State::Number(next),
                    None if number.may_end() => {
                        // The byte belongs to what comes after.
                        self.state = self.value_ends(self.at)?;
                        continue;
                    }
                    None => return Err(self.fault()),
                },
                State::Hex(_) | State::Literal(_) => return Err(self.fault()),
                state if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => state,
                State::Whole if byte == b'{' => self.opens(Open::Object)?,
                State::FirstName | State::Name if byte == b'"' => {
                    self.is_name = true;
                    self.begins();
                    State::Text
                }
                State::FirstName if byte == b'}' => self.closes()?,
                State::Colon if byte == b':' => State::Value,
                State::FirstValue if byte == b']' => self.closes()?,
                State::FirstValue | State::Value => self.value_begins(byte)?,
                State::After => match (byte, self.open.last()) {
                    (b',', Some(Open::Object)) => State::Name,
                    (b',', Some(Open::Array)) => State::Value,
                    (b'}', Some(Open::Object)) | (b']', Some(Open::Array)) => self.closes()?,
                    _ => return Err(self.fault()),
                },
                _ => return Err(self.fault()),
            };
            self.at = self.at.saturating_add(1).min(until);
        }
        Ok(())
    }

    /// A name or value begins here; it is of interest in the outermost object.
    fn begins(&mut self) {
        if self.open.len() == 1 {
            self.began = self.at;
        }
    }

    fn value_begins(&mut self, byte: u8) -> Result<State, ScanError> {
        self.begins();
        Ok(match byte {
            b'{' => self.opens(Open::Object)?,
            b'[' => self.opens(Open::Array)?,
            b'"' => {
                self.is_name = false;
                State::Text
            }
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => State::Number(Number::begins(byte).ok_or_else(|| self.fault())?),
        })
    }

    fn opens(&mut self, open: Open) -> Result<State, ScanError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(ScanError::TooMany("more than 10,000 levels"));
        }
        self.open.push(open);
        Ok(match open {
            Open::Object => State::FirstName,
            Open::Array => State::FirstValue,
        })
    }

    fn closes(&mut self) -> Result<State, ScanError> {
        self.open.pop();
        if self.open.is_empty() {
            return Ok(State::Done);
        }
        self.value_ends(self.at.saturating_add(1))
    }

    fn text_ends(&mut self) -> Result<State, ScanError> {
        let end = self.at.saturating_add(1);
        if !self.is_name {
            return self.value_ends(end);
        }
        if self.open.len() == 1 {
            let written = self.body.get(self.began..end).unwrap_or_default();
            if written.len() > MAX_NAME_BYTES {
                return Err(ScanError::TooMany(
                    "a member's name of more than 1,024 bytes",
                ));
            }
            // What is no text after all: half a character.
            self.name = serde_json::from_slice(written)
                .map_err(|_| self.expected("whole characters in the name before"))?;
        }
        Ok(State::Colon)
    }

    fn value_ends(&mut self, end: usize) -> Result<State, ScanError> {
        if self.open.len() == 1 {
            if self.members.len() >= MAX_MEMBERS {
                return Err(ScanError::TooMany("more than 1,000 members"));
            }
            let value = self.body.slice(self.began..end.min(self.body.len()));
            self.members.push((std::mem::take(&mut self.name), value));
        }
        Ok(State::After)
    }

    fn fault(&self) -> ScanError {
        self.expected(match (self.state, self.open.last()) {
            (State::Whole, _) => "`{`",
            (State::FirstName, _) => "a member's name or `}`",
            (State::Name, _) => "a member's name",
            (State::Colon, _) => "`:`",
            (State::FirstValue, _) => "a value or `]`",
            (State::Value, _) => "a value",
            (State::After, Some(Open::Array)) => "`,` or `]`",
            (State::After, _) => "`,` or `}`",
            (State::Text, _) if self.at < self.body.len() => "control characters as escapes",
            (State::Text, _) => "`\"`",
            (State::Escape, _) => "one of `\"\\/bfnrtu`",
            (State::Hex(_), _) => "a hexadecimal digit",
            (State::Literal(_), _) => "`true`, `false` or `null`",
            (State::Number(_), _) => "a digit",
            (State::Done, _) => "the end",
        })
    }

    fn expected(&self, expected: &'static str) -> ScanError {
        let before = self.body.get(..self.at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let last = before.rsplit(|byte| *byte == b'\n').next();
        let column = last.map_or(0, <[u8]>::len);
        if self.at >= self.body.len() {
            return ScanError::Ends {
                expected,
                line,
                column,
            };
        }
        ScanError::Expected {
            expected,
            line,
            column: column.saturating_add(1),
        }
    }
}
